"""Processes of one kind that start at once: their imports are done once, in a process that is forked for each.

`ForkServer.start` gives what `ChildProcess.start` gives. A relay's imports take a second of CPU, and the processes
share memory, with their owner as well where that has forked a `Template`. Where there is no fork server to be had,
processes are started from their command lines.
"""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

from services.mesh.child import ChildProcess, RunningProcess
from services.mesh.forker import REQUEST_BYTES, Template
from services.mesh.log import get_logger

log = get_logger()

READY_SECONDS: Final = 20.0
"""For the imports of the first process, on a busy machine."""
FORK_SECONDS: Final = 3.0
STATUS_SECONDS: Final = 1.0
"""Between a process's end and the word of it."""
_LOST: Final = 1
"""Taken for the exit status of a process whose fork server has ended before it."""


class CannotForkError(Exception):
    """The system gives no process; those that there are live on."""


class ForkedProcess:
    """One process that was forked, from its start to its end."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.status: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._ended = asyncio.Event()
        try:
            self._descriptor = os.pidfd_open(pid)
        except ProcessLookupError:  # it has ended already
            self._ended.set()
        else:
            asyncio.get_running_loop().add_reader(self._descriptor, self._on_end)

    def _on_end(self) -> None:
        asyncio.get_running_loop().remove_reader(self._descriptor)
        os.close(self._descriptor)
        self._ended.set()
        with suppress(ProcessLookupError, PermissionError):  # what it leaves behind
            os.killpg(self._pid, signal.SIGKILL)
        with suppress(ChildProcessError):  # a template is this process's own child
            os.waitpid(self._pid, os.WNOHANG)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._pid

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return not self._ended.is_set()

    async def wait(self) -> int:
        """Its exit status when it ends; a signal's number, negative, where that ended it."""
        await self._ended.wait()
        with suppress(TimeoutError):
            async with asyncio.timeout(STATUS_SECONDS):
                return await asyncio.shield(self.status)
        return _LOST

    def terminate(self) -> None:
        """Sends SIGTERM; does nothing where it has ended."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """Sends SIGKILL; does nothing where it has ended."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self.running:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._descriptor, number)


class ForkServer:
    """Starts processes for one owner. Use it in one loop, on the main thread; `close` it when all have ended."""

    def __init__(
        self,
        modules: Sequence[str],
        *,
        keep_open: tuple[int, ...] = (),
        with_parent: signal.Signals = signal.SIGTERM,
        template: Template | None = None,
    ) -> None:
        """``modules``: what all the processes import. For ``keep_open`` and ``with_parent`` see `ChildProcess.start`.

        ``template``, where one was forked, is the first process that they are forked from.
        """
        self._with_parent = with_parent
        self._modules = tuple(modules)
        self._keep_open = keep_open
        self._template = template
        self._server: RunningProcess | None = None
        self._socket: socket.socket | None = None
        self._one_at_a_time = asyncio.Lock()
        self._answer: asyncio.Future[int] | None = None
        self._number = 0
        """Of the last request: an answer that comes too late is told from the next one's."""
        self._processes: dict[int, ForkedProcess] = {}

    async def start(self, arguments: Sequence[str], environ: Mapping[str, str]) -> RunningProcess:
        """Starts ``[python, "-m", module, …]``. Raises `OSError` where the system cannot."""
        if sys.platform.startswith("linux"):
            async with self._one_at_a_time:
                try:
                    return await self._fork(arguments, environ)
                except CannotForkError as error:
                    log.warning("fork_server.cannot_fork", error=error)
                except TimeoutError:  # it hangs, and its end would be that of the others
                    log.warning("fork_server.silent")
                except OSError as error:
                    log.warning("fork_server.failed", error=error)
                    self.close()
        return await ChildProcess.start(
            arguments,
            environ=environ,
            stdout=sys.stderr,
            keep_open=self._keep_open,
            with_parent=self._with_parent,
            own_group=True,
        )

    async def _fork(self, arguments: Sequence[str], environ: Mapping[str, str]) -> ForkedProcess:
        seconds = FORK_SECONDS
        if self._server is None or not self._server.running or self._socket is None:
            await self._start_server()
            seconds = READY_SECONDS
        assert self._socket is not None
        loop = asyncio.get_running_loop()
        self._answer = loop.create_future()
        self._number += 1
        request = {
            "number": self._number,
            "arguments": list(arguments),
            "environ": dict(environ),
            "with_parent": self._with_parent,
        }
        try:
            socket.send_fds(self._socket, [json.dumps(request).encode()], self._keep_open)
        except BlockingIOError as error:
            raise TimeoutError from error
        async with asyncio.timeout(seconds):
            pid = await self._answer
        process = self._processes[pid] = ForkedProcess(pid)
        return process

    async def _start_server(self) -> None:
        template, self._template = self._template, None
        self.close()
        if template is not None:
            self._socket, self._server = template.socket, ForkedProcess(template.pid)
        else:
            self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            command = [sys.executable, "-m", "services.mesh.forker", str(theirs.fileno()), ",".join(self._modules)]
            try:
                self._server = await ChildProcess.start(
                    command,
                    stdout=sys.stderr,
                    keep_open=(theirs.fileno(),),
                    with_parent=self._with_parent,
                    own_group=True,
                )
            finally:
                theirs.close()
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, REQUEST_BYTES)
        asyncio.get_running_loop().add_reader(self._socket, self._on_message)

    def _on_message(self) -> None:
        assert self._socket is not None
        try:
            data = self._socket.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(self._socket)
            if self._answer is not None and not self._answer.done():
                self._answer.set_exception(ConnectionError("the fork server has ended"))
            return
        message = json.loads(data)
        if "status" in message:
            process = self._processes.pop(message["pid"], None)
            if process is not None and not process.status.done():
                process.status.set_result(message["status"])
        elif self._answer is not None and not self._answer.done() and message["number"] == self._number:
            if "error" in message:
                self._answer.set_exception(CannotForkError(message["error"]))
            else:
                self._answer.set_result(message["pid"])
        elif "pid" in message:  # nobody waits for it any more
            with suppress(ProcessLookupError):
                os.kill(message["pid"], signal.SIGKILL)

    def close(self) -> None:
        """Ends the fork server, and with it what still runs of its processes."""
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None
        if self._server is not None:
            self._server.kill()
            self._server = None
        if self._template is not None:
            self._template.socket.close()
            self._template = None
        self._processes.clear()
