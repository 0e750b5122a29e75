"""The process that `ForkServer` starts: it imports modules once, and is forked for each process that is asked for.

It has no threads, no event loop and no bus. A request is a JSON object in one datagram (``number``, ``arguments``,
``environ``, ``with_parent``); the answer is ``{"pid", "number"}``, and when that process ends ``{"pid", "status"}``. It
ends when its socket does, and those that it was forked into end with it.
"""

import ctypes
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

REQUEST_BYTES: Final = 1 << 20
PADDING: Final = "-" * 200
"""The last argument of this process: room for its children's own command lines."""
_PR_SET_PDEATHSIG: Final = 1


def main(descriptor: int, modules: list[str]) -> None:
    """Serves requests until the socket ends."""
    for module in modules:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()  # what is there now is not walked again, so that its pages stay shared
    asking = socket.socket(fileno=descriptor)
    ended, wake = socket.socketpair()
    ended.setblocking(False)
    wake.setblocking(False)
    signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C on the terminal is the parent's matter
    selector = selectors.DefaultSelector()
    selector.register(asking, selectors.EVENT_READ)
    selector.register(ended, selectors.EVENT_READ)
    while True:
        ready = [key.fileobj for key, _ in selector.select()]
        if ended in ready:
            with suppress(BlockingIOError):
                ended.recv(4096)
            _report_ended(asking)
        if asking in ready:
            request = asking.recv(REQUEST_BYTES)
            if not request:
                return
            _fork(asking, json.loads(request))


def _fork(asking: socket.socket, request: dict[str, Any]) -> None:
    parent = os.getpid()
    begun, begin = os.pipe()
    pid = os.fork()
    if pid:
        os.close(begin)
        os.read(begun, 1)  # the answer finds a process with its own command line
        os.close(begun)
        asking.send(json.dumps({"pid": pid, "number": request["number"]}).encode())
        return
    status = 70  # EX_SOFTWARE of sysexits.h
    try:
        asking.close()
        os.close(begun)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        os.setsid()
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, request["with_parent"], 0, 0, 0)
        if os.getppid() != parent:
            os.kill(os.getpid(), request["with_parent"])
        os.environ.clear()
        os.environ.update(request["environ"])
        _show_command_line(request["arguments"])
        os.close(begin)
        status = _run(request["arguments"])
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _run(arguments: list[str]) -> int:
    """Runs ``[python, "-m", module, …]`` or ``[python, script, …]`` in this process; returns its exit status."""
    try:
        if arguments[1] == "-m":
            sys.argv = arguments[2:]
            runpy.run_module(arguments[2], run_name="__main__", alter_sys=True)
        else:
            sys.argv = arguments[1:]
            runpy.run_path(arguments[1], run_name="__main__")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def _show_command_line(arguments: list[str]) -> None:
    """Lets ps(1) show what this process does: writes over the arguments that it was started with (proc(5))."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    begin, end = int(fields[45]), int(fields[46])
    room = end - begin
    shown = b"\0".join(map(os.fsencode, arguments))[: room - 1]
    ctypes.memmove(begin, shown.ljust(room, b"\0"), room)


def _report_ended(asking: socket.socket) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        asking.send(json.dumps({"pid": pid, "status": os.waitstatus_to_exitcode(status)}).encode())


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2].split(","))
