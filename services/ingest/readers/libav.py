"""The reader that takes every source: libav, each source in a process of its own (`libav_process`)."""

import asyncio
import os
import signal
import socket
import sys
from contextlib import suppress
from itertools import count
from typing import Final

from services.contracts.models import Reason
from services.ingest.readers.libav_messages import LibavMessages, encode_close, encode_read
from services.ingest.readers.source import Outlet, Packet, ReaderEnd, RtpTransport, Source, Track
from services.ingest.readers.source_backlog import SourceBacklog
from services.mesh.child import ChildProcess
from services.mesh.hangs import LOOK_SECONDS, HangWatch, process_times
from services.mesh.log import get_logger

log = get_logger()

FORK_SECONDS: Final = 10.0
"""Until the first sign of a process."""
START_SECONDS: Final = 30.0
"""What loading libav may take on a busy machine."""
HANG_SECONDS: Final = 2.5
"""A process sends something every second; one that is silent for so long hangs."""
STOP_SECONDS: Final = 1.0
RECEIVE_BYTES: Final = 1024 * 1024
"""What the kernel keeps between a process and us, so that a busy loop does not hold the source up at once."""


class LibavProcesses:
    """The server that forks the reading processes, started when it is first needed and again when it is gone."""

    def __init__(self, backlog: SourceBacklog | None = None) -> None:
        """``backlog`` learns of the processes' sockets."""
        self._backlog = backlog or SourceBacklog()
        self._server: ChildProcess | None = None
        self._control: socket.socket | None = None
        self._watching: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()
        self._numbers = count(1)

    def reader(self) -> "LibavReader":
        """A reader whose processes this server forks."""
        return LibavReader(self, self._backlog)

    async def open(self, source: Source) -> tuple[int, socket.socket]:
        """Has ``source`` read: the process's number, and the socket over which its messages come.

        Raises ``OSError`` where there can be no process.
        """
        async with self._starting:
            if self._server is None or not self._server.running or self._control is None:
                await self._start()
        number = next(self._numbers)
        ours, theirs = socket.socketpair()
        with theirs:
            theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, RECEIVE_BYTES)
            ours.setblocking(False)
            try:
                self._send(encode_read(number, source), theirs)
            except OSError:
                ours.close()
                self._kill()
                raise
        return number, ours

    def close(self, number: int, *, now: bool) -> None:
        """Sees that a process ends soon, whether it hangs or not; ``now`` without time to close its source."""
        with suppress(OSError):
            self._send(encode_close(number, now=now))

    def _send(self, message: bytes, passed: socket.socket | None = None) -> None:
        if self._control is None:
            raise BrokenPipeError("the libav server is gone")
        if passed is None:
            self._control.send(message)
        else:
            socket.send_fds(self._control, [message], [passed.fileno()])

    async def _start(self) -> None:
        self._kill()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        with theirs:
            self._server = await ChildProcess.start(
                [sys.executable, "-m", "services.ingest.readers.libav_process", str(theirs.fileno())],
                environ=os.environ | {"MALLOC_ARENA_MAX": "2"},
                keep_open=(theirs.fileno(),),
                with_parent=signal.SIGKILL,
            )
        self._control = ours
        try:
            async with asyncio.timeout(START_SECONDS):
                await asyncio.get_running_loop().sock_recv(ours, 1)  # it has loaded libav, or ended
        except TimeoutError as error:
            raise TimeoutError("the libav server does not start") from error
        log.info("libav.started", pid=self._server.pid)
        self._watching = asyncio.create_task(self._kill_when_it_hangs(self._server, ours), name="libav server")

    async def _kill_when_it_hangs(self, server: ChildProcess, control: socket.socket) -> None:
        """The server says at each look that it is well. The processes that it forked end with it."""
        hangs, signs = HangWatch(), 1
        while server.running:
            await asyncio.sleep(LOOK_SECONDS)
            with suppress(OSError):
                while control.recv(64):
                    signs += 1
            if hangs.look(signs, process_times(server.pid)):
                log.error("libav.server_hangs", pid=server.pid)
                server.kill()

    def _kill(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
            self._watching = None
        if self._server is not None:
            self._server.kill()
        if self._control is not None:
            self._control.close()
            self._control = None

    async def stop(self) -> None:
        """Ends all; the server gives its processes a moment to close their sources."""
        if self._watching is not None:
            self._watching.cancel()
            self._watching = None
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._server is not None:
            await self._server.end(STOP_SECONDS, ask=lambda: None)  # it ends when its socket does

    def hung(self, *, before_opening: bool) -> None:
        """A process hung: where it never said anything, it is the server that hangs, and is replaced."""
        if before_opening:
            self._kill()


class LibavReader:
    """Reads a source with libav. See `Reader`."""

    def __init__(self, processes: LibavProcesses, backlog: SourceBacklog) -> None:
        self._processes = processes
        self._backlog = backlog

    async def run(self, source: Source, outlet: Outlet) -> ReaderEnd:
        loop = asyncio.get_running_loop()
        try:
            number, ours = await self._processes.open(source)
        except OSError as error:
            return ReaderEnd(Reason.READER_FAILED, f"no process can be started to read it ({error.strerror})")
        stream, hangs = _Stream(outlet, loop), False
        transport: asyncio.Transport | None = None
        try:
            made = await loop.create_unix_connection(lambda: stream, sock=ours)
            transport = made[0]
            self._backlog.add(transport)
            while not stream.over.done():
                await asyncio.wait((stream.over,), timeout=HANG_SECONDS / 6)
                limit = HANG_SECONDS if stream.heard else FORK_SECONDS
                if not stream.over.done() and loop.time() - stream.heard_at > limit:
                    hangs = True
                    log.warning("libav.hangs", number=number)
                    self._processes.hung(before_opening=not stream.heard)
                    return ReaderEnd(Reason.READER_FAILED, "the process that reads it hung, and was ended")
            return stream.over.result()
        finally:
            stream.close()
            if transport is not None:
                self._backlog.discard(transport)
                transport.abort()
            else:
                ours.close()
            self._processes.close(number, now=hangs)


class _Stream(asyncio.Protocol):
    """The worker's end of one process's socket."""

    def __init__(self, outlet: Outlet, loop: asyncio.AbstractEventLoop) -> None:
        self.over: asyncio.Future[ReaderEnd] = loop.create_future()
        self.heard = False
        self.heard_at = loop.time()
        self._loop = loop
        self._outlet: Outlet | None = outlet
        self._messages = LibavMessages(on_packet=self._on_packet, on_opened=self._on_opened, on_end=self._finish)

    def data_received(self, data: bytes) -> None:
        """See ``asyncio.Protocol``."""
        self.heard = True
        self.heard_at = self._loop.time()
        try:
            self._messages.feed(data)
        except ValueError as error:
            self._finish(ReaderEnd(Reason.READER_FAILED, f"the process that reads it sends nonsense ({error})"))

    def connection_lost(self, exc: Exception | None) -> None:
        """See ``asyncio.Protocol``."""
        self._finish(ReaderEnd(Reason.READER_FAILED, "the process that read it has crashed"))

    def close(self) -> None:
        """Nothing more is handed on."""
        self._outlet = None

    def _on_packet(self, packet: Packet) -> None:
        if self._outlet is not None:
            self._outlet.packet(packet)

    def _on_opened(self, tracks: tuple[Track, ...], transport: RtpTransport, bursts: bool) -> None:
        if self._outlet is not None:
            self._outlet.opened(tracks, transport=transport, bursts=bursts)

    def _finish(self, end: ReaderEnd) -> None:
        if not self.over.done():
            self.over.set_result(end)
