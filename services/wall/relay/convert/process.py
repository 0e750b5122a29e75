"""A converter's process, as the relay sees it; `services.wall.relay.convert.framing` has the messages."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from subprocess import PIPE
from typing import Final, Literal

from services.contracts.frames import AccessUnit, encode
from services.mesh.child import ChildProcess
from services.mesh.clock import Clock
from services.mesh.metrics import counter
from services.wall.relay.convert.framing import LENGTH, Task

Kind = Literal["picture", "sound", "footage"]
"""Of footage every unit is converted when it is asked for; of live pictures those that are late are left out."""

STOP_SECONDS: Final = 1.0
MAX_WAITING_BYTES: Final = 16 * 1024 * 1024
"""The process reads all at once and skips by itself what is late. So much waits only where it does not run at all."""
READ_BYTES: Final = 4 * 1024 * 1024
REST_SECONDS: Final = 5.0
"""From the taking of a process that waited to the start of the next: the first picture goes first."""

_in = counter("relay_converter_units_in", "Access units given to converters")
_dropped = counter("relay_converter_units_dropped", "Access units that a converter did not take in time")
_out = counter("relay_converter_units_out", "Access units that came out of converters")


class ConverterProcess:
    """Make it with `converter_process`."""

    def __init__(self, process: ChildProcess) -> None:
        self._stdin = process.stdin
        self._stdout = process.stdout
        self._full = False
        self._length: int | None = None
        """Of the message whose head has been read."""
        self._owed = 0
        """Answers that have not been read to their end."""

    def write_task(self, task: Task) -> None:
        """Says what is to be done; comes before all else."""
        message = task.pack()
        self._stdin.write(LENGTH.pack(len(message)) + message)

    def write_unit(self, unit: AccessUnit) -> None:
        """Gives it the next access unit; after one that did not fit nothing goes in before the next keyframe."""
        _in.inc()
        if self._stdin.is_closing() or self._stdin.transport.get_write_buffer_size() > MAX_WAITING_BYTES:
            self._full = True
        elif unit.keyframe:
            self._full = False
        if self._full:
            _dropped.inc()
            return
        message = encode(unit)
        self._stdin.write(LENGTH.pack(len(message)) + message)

    async def messages(self) -> AsyncIterator[bytes]:
        """What comes out, until the process ends."""
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                yield await self._message()
                _out.inc()

    async def request(self, question: bytes) -> list[bytes]:
        """All messages that answer one request (footage). May be cancelled: the next one begins after its answer.

        Raises `asyncio.IncompleteReadError` or `ConnectionError` where the process has ended.
        """
        self._stdin.write(LENGTH.pack(len(question)) + question)
        self._owed += 1
        _in.inc()
        while True:
            answer = []
            while message := await self._message():
                answer.append(message)
            self._owed -= 1
            if not self._owed:
                _out.inc(len(answer))
                return answer

    async def _message(self) -> bytes:
        if self._length is None:
            (self._length,) = LENGTH.unpack(await self._stdout.readexactly(LENGTH.size))
        message = await self._stdout.readexactly(self._length)
        self._length = None
        return message


class ConverterProcesses:
    """Starts converters, one of them ahead where one is expected to be needed: a viewer need not wait for its start."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ahead: ChildProcess | None = None
        self._taken_at = float("-inf")

    async def keep_ahead(self, expected: bool) -> None:
        """Call it about once a second. Starts one where none waits, or ends the one that does. Raises `OSError`."""
        if not expected:
            await self.close()
        elif not self._waits and self._clock.monotonic() - self._taken_at > REST_SECONDS:
            self._ahead = await _start()

    @property
    def _waits(self) -> bool:
        return self._ahead is not None and self._ahead.running

    async def close(self) -> None:
        """Ends the one that waits."""
        process, self._ahead = self._ahead, None
        if process is not None:
            await process.end(STOP_SECONDS, ask=process.stdin.close)

    @asynccontextmanager
    async def converter(self, task: Task) -> AsyncIterator[ConverterProcess]:
        """A process that does the task, until the end of the block. It ends with this one: its input is closed then.

        Raises `OSError` where none can be started.
        """
        process = await self._take()
        try:
            converter = ConverterProcess(process)
            converter.write_task(task)
            yield converter
        finally:
            await process.end(STOP_SECONDS, ask=process.stdin.close)

    async def _take(self) -> ChildProcess:
        process, self._ahead = self._ahead if self._waits else None, None
        self._taken_at = self._clock.monotonic()
        return process or await _start()


async def _start() -> ChildProcess:
    command = [sys.executable, "-m", "services.wall.relay.convert"]
    # Without a parent's signal: to arm it the child is forked, which a relay with many sessions takes long for.
    return await ChildProcess.start(command, stdin=PIPE, stdout=PIPE, with_parent=None, read_bytes=READ_BYTES)
