"""One supervised child process: started, started anew when it ends, stopped in order."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress

from services.mesh.lifecycle import EXIT_REFUSED
from services.mesh.log import get_logger
from services.mesh.processes import end_with_parent
from services.up.errors import ChildRefusedError
from services.up.restart import RestartPolicy

log = get_logger()


class Child:
    """A command that is kept running until it is stopped.

    It leads a process group and session of its own: Ctrl-C on the terminal reaches the parent only, and processes that
    the child leaves behind are killed with its group. It ends with the parent, also when the parent is killed.
    """

    def __init__(
        self, name: str, arguments: list[str], environ: Mapping[str, str], *, keep_open: tuple[int, ...] = ()
    ) -> None:
        """``keep_open`` are descriptors that it inherits."""
        self.name = name
        self.ready = asyncio.Event()
        """Set when it first said READY=1, and from then on."""
        self.ended = asyncio.Event()
        """Set when it will not be started again."""
        self.starts = 0
        self._arguments = arguments
        self._environ = dict(environ)
        self._keep_open = keep_open
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = asyncio.Event()
        self._policy = RestartPolicy()

    @property
    def pid(self) -> int | None:
        """Of the process that runs now."""
        return self._process.pid if self._process and self._process.returncode is None else None

    def notified(self, pid: int, variable: str, value: str) -> None:
        """Takes one assignment that process ``pid`` sent by ``sd_notify(3)``."""
        if pid == self.pid and (variable, value) == ("READY", "1"):
            self.ready.set()

    async def keep(self) -> None:
        """Runs it until `stop`; raises `ChildRefusedError` when it refuses its settings before it was ever ready."""
        loop = asyncio.get_running_loop()
        try:
            while not self._stopping.is_set():
                started = loop.time()
                status = await self._run_once()
                if self._stopping.is_set():
                    return
                if status == EXIT_REFUSED and not self.ready.is_set():
                    raise ChildRefusedError(f"{self.name} refuses to start; the lines above say why")
                delay = self._policy.delay_seconds(loop.time() - started)
                log.warning("child.ended", child=self.name, how=_how(status), again_in_seconds=round(delay, 2))
                with suppress(TimeoutError):
                    async with asyncio.timeout(delay):
                        await self._stopping.wait()
        finally:
            self.kill()
            self.ended.set()

    async def _run_once(self) -> int:
        self._process = await asyncio.create_subprocess_exec(
            *self._arguments,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,  # the parent's stdout carries one line, the URL
            start_new_session=True,
            pass_fds=self._keep_open,
            preexec_fn=end_with_parent(),
        )
        self.starts += 1
        log.info("child.started", child=self.name, pid=self._process.pid)
        if self._stopping.is_set():  # stop() came while it was being started
            self._signal(signal.SIGTERM)
        status = await self._process.wait()
        self._sweep()
        return status

    def stop(self) -> None:
        """Asks it to end; returns at once. `ended` tells when it has."""
        self._stopping.set()
        self._signal(signal.SIGTERM)
        if self._process is None:
            self.ended.set()

    def kill(self) -> None:
        """Ends it and all it started, now."""
        self._stopping.set()
        if self.pid is not None:
            log.warning("child.killed", child=self.name)
            self._sweep()

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)

    def _sweep(self) -> None:
        """kill -9 to the whole process group: the child's own children go with it."""
        if self._process is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)


def _how(status: int) -> str:
    return f"signal {signal.Signals(-status).name}" if status < 0 else f"status {status}"
