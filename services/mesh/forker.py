"""The process that `ForkServer` starts: it imports modules once, and is forked for each process that is asked for.

It has no threads, no event loop and no bus. A request is a JSON object in one datagram (``number``, ``arguments``,
``environ``, ``with_parent``) with the descriptors that the process inherits; the answer is ``{"pid", "number"}`` or
``{"error", "number"}``, and when that process ends ``{"pid", "status"}``. It ends when its socket does, and those that
it was forked into with it.
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
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn

REQUEST_BYTES: Final = 1 << 20
MAX_DESCRIPTORS: Final = 4
"""Of one request."""
_PR_SET_PDEATHSIG: Final = 1


class Template(NamedTuple):
    """A process of this kind that was forked from its owner, and the owner's end of its socket."""

    pid: int
    socket: socket.socket


def fork_template(modules: Sequence[str], with_parent: signal.Signals) -> Template | None:
    """Forks this process into one that serves requests; None where this system has no `ForkServer`, or no process left.

    What this process has imported is then shared as well. Call it on the main thread before there is another thread or
    an event loop. ``with_parent`` is the signal that it gets when this process ends.
    """
    if not sys.platform.startswith("linux"):
        return None
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    parent = os.getpid()
    sys.stdout.flush()
    _keep_shared()
    try:
        pid = os.fork()
    except OSError:
        ours.close()
        theirs.close()
        return None
    if pid == 0:
        ours.close()
        _live(partial(_serve_owner, parent, theirs, modules, with_parent))
    theirs.close()
    return Template(pid, ours)


def _serve_owner(parent: int, asking: socket.socket, modules: Sequence[str], with_parent: signal.Signals) -> int:
    _end_with(parent, with_parent)
    os.setsid()
    with Path(os.devnull).open() as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)  # the standard output is the owner's own
    _set_environment(dict(os.environ))
    _show_command_line([sys.executable, "-m", __name__, str(asking.fileno()), ",".join(modules)])
    main(asking, modules)
    return 0


def main(asking: socket.socket, modules: Sequence[str]) -> None:
    """Serves requests until the socket ends."""
    for module in modules:
        importlib.import_module(module)
    _keep_shared()
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
            request, descriptors, _, _ = socket.recv_fds(asking, REQUEST_BYTES, MAX_DESCRIPTORS)
            if not request:
                return
            _fork(asking, json.loads(request))
            for descriptor in descriptors:
                os.close(descriptor)


def _keep_shared() -> None:
    """What is there now is not walked by the collector again, so that its pages stay shared."""
    gc.collect()
    gc.freeze()


def _end_with(parent: int, number: int) -> None:
    """Has this process get a signal when ``parent`` ends, which forked it."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), number)


def _live(run: Callable[[], int]) -> NoReturn:
    """Ends this process, which was forked, with the status that ``run`` returns."""
    status = 70  # EX_SOFTWARE of sysexits.h
    try:
        status = run()
    except Exception:  # noqa: BLE001 (nothing is above it: what the interpreter does with any)
        sys.excepthook(*sys.exc_info())
    finally:
        # A broken pipe raises, and the frames above are those of the process that this one was forked from.
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(status)


def _fork(asking: socket.socket, request: dict[str, Any]) -> None:
    parent = os.getpid()
    begun, begin = os.pipe()
    try:
        pid = os.fork()
    except OSError as error:  # no more processes, or no memory: those that there are live on
        os.close(begun)
        os.close(begin)
        asking.send(json.dumps({"error": str(error), "number": request["number"]}).encode())
        return
    if pid == 0:
        asking.close()
        os.close(begun)
        _live(partial(_serve_request, parent, begin, request))
    os.close(begin)
    os.read(begun, 1)  # the answer finds a process with its own command line
    os.close(begun)
    asking.send(json.dumps({"pid": pid, "number": request["number"]}).encode())


def _serve_request(parent: int, begin: int, request: dict[str, Any]) -> int:
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    os.setsid()
    _end_with(parent, request["with_parent"])
    _set_environment(request["environ"])
    _show_command_line(request["arguments"])
    os.close(begin)
    return _run(request["arguments"])


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


def _set_environment(environ: dict[str, str]) -> None:
    """Makes it this process's; nothing refers to the environment that it was started with any more."""
    os.environ.clear()
    os.environ.update(environ)


def _show_command_line(arguments: list[str]) -> None:
    """Lets ps(1) show what this process does: writes over the arguments that it was started with (proc(5)).

    Longer ones go on where its first environment stood, separated by blanks: the kernel then takes all up to the first
    NUL for the command line (fs/proc/base.c, ``get_mm_proctitle``).
    """
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    begin, end, environ_begin, environ_end = map(int, fields[45:49])
    room = end - begin
    shown = b"\0".join(map(os.fsencode, arguments))
    if len(shown) < room:
        shown = shown.ljust(room, b"\0")
    elif environ_begin == end:
        shown = shown.replace(b"\0", b" ")[: environ_end - begin - 1] + b"\0"
    else:
        shown = shown[: room - 1] + b"\0"
    ctypes.memmove(begin, shown, len(shown))


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
    main(socket.socket(fileno=int(sys.argv[1])), sys.argv[2].split(","))
