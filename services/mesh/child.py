"""Child processes: started, ended with their parent, ended in order, started again when they die.

Three parts, each usable alone:

- `ChildProcess` is one process from its start to its end. Use it where the owner decides what follows the end
  (a converter's process, nats-server).
- `Child` is a command that runs until it is stopped; a process that ends is replaced after a `RestartPolicy`'s pause.
  One that hangs is killed: it must say that it is well (`Child.note_well`), as `lifecycle` does to its supervisor.
- `keep_running` is the loop under `Child`, for an owner whose start takes more than a command line (sockets to hand
  over, ports to wait for)::

      async def run_once() -> int:
          process = await ChildProcess.start(command, keep_open=(socket.fileno(),), with_parent=None)
          try:
              ...  # talk to it
              return await process.wait()
          finally:
              await process.end(grace_seconds=1.5)

      await keep_running("reader 0", run_once, stopping)

A parent that is killed takes its children along (``PR_SET_PDEATHSIG`` of prctl(2)); a child that is to outlive it is
started ``with_parent=None, own_group=True``.
"""

import asyncio
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import IO, Final, Protocol, Self

from services.contracts.errors import PantauError
from services.mesh.backoff import Backoff
from services.mesh.hangs import LOOK_SECONDS, HangWatch, process_times
from services.mesh.lifecycle import EXIT_REFUSED
from services.mesh.log import get_logger

log = get_logger()

QUICK_RESTARTS: Final = 5
"""So many deaths in a minute are followed by a quick restart."""
EARN_SECONDS: Final = 12.0
"""A life of so many seconds earns one of them back."""
QUICK_PAUSES_SECONDS: Final = (0.0, 0.1, 0.25, 0.5, 0.5)
"""Before the first, second, … quick restart in a row. With the start of a service this stays under two seconds."""
SLOW_PAUSES_SECONDS: Final = (1.0, 30.0)
_PR_SET_PDEATHSIG: Final = 1


class ChildRefusedError(PantauError):
    """A child refuses to start, and would refuse again."""

    code = "child-refused"


class RestartPolicy:
    """How long to wait before the next start of a child that ended.

    The first five deaths in a minute cost no more than the crash: the pause stays under half a second. Each 12 s of
    life earn one quick restart back; where none is left the pause doubles from 1 s to 30 s. Time spent waiting earns
    nothing, or a child that always dies at once would be restarted at once for ever.
    """

    def __init__(self) -> None:
        self._quick = float(QUICK_RESTARTS)
        self._slow = Backoff(*SLOW_PAUSES_SECONDS)

    def is_looping(self, lives_seconds: float) -> bool:
        """Whether the quick restarts are used up, by a child that has lived for ``lives_seconds`` since the last."""
        return self._quick + lives_seconds / EARN_SECONDS < 1

    def pause_seconds(self, lived_seconds: float) -> float:
        """The pause before the next start of a child that lived for ``lived_seconds``."""
        self._quick = min(QUICK_RESTARTS, self._quick + lived_seconds / EARN_SECONDS)
        if self._quick < 1:
            return self._slow.next_seconds()
        self._slow.reset()
        self._quick -= 1
        return QUICK_PAUSES_SECONDS[QUICK_RESTARTS - 1 - int(self._quick)]


class RunningProcess(Protocol):
    """One process that was started; `ChildProcess` says what the methods do."""

    @property
    def pid(self) -> int:
        """Its process id."""

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""

    async def wait(self) -> int:
        """Its exit status when it ends."""

    def terminate(self) -> None:
        """Sends SIGTERM."""

    def kill(self) -> None:
        """Sends SIGKILL."""


class Starter(Protocol):
    """Another way to start a process than from its command line; see `services.mesh.fork_server`."""

    async def start(self, arguments: Sequence[str], environ: Mapping[str, str]) -> RunningProcess:
        """Starts it in a process group of its own, with this process's output. Raises `OSError`."""


class ChildProcess:
    """One process, from its start to its end. Make it with `start`."""

    def __init__(self, process: asyncio.subprocess.Process, *, own_group: bool) -> None:
        self._process = process
        self._own_group = own_group

    @classmethod
    async def start(
        cls,
        arguments: Sequence[str],
        *,
        environ: Mapping[str, str] | None = None,
        stdin: int = subprocess.DEVNULL,
        stdout: IO[bytes] | IO[str] | int | None = None,
        stderr: IO[bytes] | IO[str] | int | None = None,
        keep_open: tuple[int, ...] = (),
        with_parent: signal.Signals | None = signal.SIGTERM,
        own_group: bool = False,
        read_bytes: int = 65_536,
    ) -> Self:
        """Starts ``arguments[0]``. Raises `OSError` where the system cannot.

        ``environ`` None is this process's. Outputs go where this process's go, unless a file or ``PIPE`` is named.
        ``keep_open`` are descriptors that it inherits. ``with_parent`` is the signal that it gets when this thread ends
        (Linux alone); None lets it live on. ``own_group`` puts it into a session and process group of its own: Ctrl-C
        on the terminal does not reach it, and what it leaves behind is killed when it ends. ``read_bytes`` bounds
        `stdout`'s buffer.
        """
        process = await asyncio.create_subprocess_exec(
            *arguments,
            env=environ,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            pass_fds=keep_open,
            start_new_session=own_group,
            preexec_fn=end_with_parent(with_parent) if with_parent is not None else None,
            limit=read_bytes,
        )
        return cls(process, own_group=own_group)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.returncode is None

    @property
    def stdin(self) -> asyncio.StreamWriter:
        """The pipe into it; start it with ``stdin=PIPE``."""
        assert self._process.stdin is not None
        return self._process.stdin

    @property
    def stdout(self) -> asyncio.StreamReader:
        """The pipe out of it; start it with ``stdout=PIPE``."""
        assert self._process.stdout is not None
        return self._process.stdout

    async def wait(self) -> int:
        """Its exit status when it ends; a signal's number, negative, where that ended it.

        asyncio waits for the pipes' ends too: a process that inherited `stdout` delays this.
        """
        status = await self._process.wait()
        self._sweep_group()
        return status

    def terminate(self) -> None:
        """Sends SIGTERM; does nothing where it has ended."""
        if self.running:
            with suppress(ProcessLookupError):
                self._process.terminate()

    def kill(self) -> None:
        """Sends SIGKILL, to all of its group where it has its own; does nothing where it has ended."""
        if self.running:
            with suppress(ProcessLookupError):
                self._process.kill()
            self._sweep_group()

    async def end(self, grace_seconds: float, *, ask: Callable[[], None] | None = None) -> int:
        """Asks it to end (by default with `terminate`), kills it after ``grace_seconds``; returns its exit status.

        Where this is cancelled, it is killed at once.
        """
        try:
            if self.running:
                (ask or self.terminate)()
                with suppress(TimeoutError):
                    async with asyncio.timeout(grace_seconds):
                        await self._process.wait()
        finally:
            self.kill()
            status = await self.wait()
        return status

    def _sweep_group(self) -> None:
        if self._own_group:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)


async def keep_running(
    name: str, run_once: Callable[[], Awaitable[int]], stopping: asyncio.Event, policy: RestartPolicy | None = None
) -> None:
    """Calls ``run_once`` again after each of its ends until ``stopping`` is set; it returns a process's exit status.

    It goes on by itself only between two runs: who sets ``stopping`` ends the process that runs. What ``run_once``
    raises ends it.
    """
    policy = policy or RestartPolicy()
    loop = asyncio.get_running_loop()
    while not stopping.is_set():
        started = loop.time()
        status = await run_once()
        if stopping.is_set():
            return
        pause_seconds = policy.pause_seconds(loop.time() - started)
        log.warning("child.ended", child=name, how=_how(status), again_in_seconds=round(pause_seconds, 2))
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_seconds):
                await stopping.wait()


class Child:
    """A command that is kept running until it is stopped."""

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        environ: Mapping[str, str],
        *,
        grace_seconds: float,
        keep_open: tuple[int, ...] = (),
        with_parent: signal.Signals = signal.SIGTERM,
        own_group: bool = False,
        starter: Starter | None = None,
    ) -> None:
        """``grace_seconds`` lie between `stop` and its being killed; for the rest see `ChildProcess.start`.

        ``starter`` starts it where one is given, and the arguments behind ``grace_seconds`` are the starter's matter.

        Its output goes to this process's stderr, where the logs go.
        """
        self.name = name
        self.ended = asyncio.Event()
        """Set when it will not be started again."""
        self.starts = 0
        self._arguments = list(arguments)
        self._environ = dict(environ)
        self._grace_seconds = grace_seconds
        self._keep_open = keep_open
        self._with_parent = with_parent
        self._own_group = own_group
        self._starter = starter
        self._process: RunningProcess | None = None
        self._stopping = asyncio.Event()
        self._deadline: asyncio.TimerHandle | None = None
        self._policy = RestartPolicy()
        self._started_at = 0.0
        self._signs = 0
        """How often the process that runs now has said that it is well."""

    @property
    def pid(self) -> int | None:
        """Of the process that runs now."""
        return self._process.pid if self._process and self._process.running else None

    async def keep(self) -> None:
        """Runs it until `stop`; cancelled, it kills it. Call it once.

        Raises `ChildRefusedError` where its first process ends with `EXIT_REFUSED`.
        """
        try:
            await keep_running(self.name, self._run_once, self._stopping, self._policy)
        finally:
            self.kill()
            if self._deadline:
                self._deadline.cancel()
            self.ended.set()

    async def _run_once(self) -> int:
        self._process = await self._start()
        self.starts += 1
        self._started_at = asyncio.get_running_loop().time()
        self._signs = 0
        log.info("child.started", child=self.name, pid=self._process.pid)
        if self._stopping.is_set():  # stop() came while it was being started
            self._ask_to_end(self._process)
        watching = asyncio.create_task(self._end_when_it_hangs(self._process))
        try:
            status = await self._process.wait()
        finally:
            watching.cancel()
        if status == EXIT_REFUSED and self.starts == 1 and not self._stopping.is_set():
            raise ChildRefusedError(f"{self.name} refuses to start; the lines above say why")
        return status

    async def _start(self) -> RunningProcess:
        if self._starter is not None:
            return await self._starter.start(self._arguments, self._environ)
        return await ChildProcess.start(
            self._arguments,
            environ=self._environ,
            stdout=sys.stderr,
            keep_open=self._keep_open,
            with_parent=self._with_parent,
            own_group=self._own_group,
        )

    @property
    def is_looping(self) -> bool:
        """Whether it ends again and again, so that it is started ever later."""
        lives_seconds = asyncio.get_running_loop().time() - self._started_at if self.pid is not None else 0.0
        return self.starts > 0 and self._policy.is_looping(lives_seconds)

    def note_well(self) -> None:
        """The process that runs now said that it is well; it must go on saying so."""
        self._signs += 1

    async def _end_when_it_hangs(self, process: RunningProcess) -> None:
        hangs = HangWatch()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if hangs.look(self._signs or None, process_times(process.pid)) and not self._stopping.is_set():
                log.error("child.hangs", child=self.name, pid=process.pid)
                process.kill()

    def stop(self) -> None:
        """Asks it to end; returns at once. `ended` tells when it has."""
        self._stopping.set()
        if self._process is None:
            self.ended.set()
        else:
            self._ask_to_end(self._process)

    def kill(self) -> None:
        """Ends it now, and does not start it again."""
        self._stopping.set()
        if self._process is not None and self._process.running:
            log.warning("child.killed", child=self.name)
            self._process.kill()

    def _ask_to_end(self, process: RunningProcess) -> None:
        process.terminate()
        if self._deadline is None:
            self._deadline = asyncio.get_running_loop().call_later(self._grace_seconds, self.kill)


def end_with_parent(number: signal.Signals) -> Callable[[], None] | None:
    """A ``preexec_fn`` after which the kernel sends ``number`` to the child when the thread that started it ends.

    Start children from the main thread: the signal comes when the *thread* is gone (``PR_SET_PDEATHSIG`` of prctl(2)).
    None where the system has no such thing (it is Linux's); a parent that ends in order stops its children anyway.
    """
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def arm() -> None:
        prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
        if os.getppid() != parent:  # the parent died before the line above
            os.kill(os.getpid(), number)

    return arm


def _how(status: int) -> str:
    return f"signal {signal.Signals(-status).name}" if status < 0 else f"status {status}"
