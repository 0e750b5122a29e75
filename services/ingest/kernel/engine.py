"""Reads many connections in one call of the receive kernel, and hands on what it made of them.

The sockets stand in an epoll of their own, which stands in the event loop's: one wake-up, and one call into C, for all
that have something. What C leaves is Python's to look at, in the same buffer.

C also writes to NATS, and stays for a while: it reads, writes and rests again and again. It comes back at once where a
connection needs Python, and behind a rest where the event loop's epoll shows something else. Without a lease it drops
what it would write, so that a worker that lost it by load has less to do. What it has taken stands in each connection's
store (`services.ingest.kernel.store`), until it is fetched.
"""

import asyncio
import os
import select
import time
from collections.abc import Callable
from typing import Any, Final, Protocol

from services.ingest.kernel.library import FULL, LIMITS, WAIT, Connection, ffi
from services.mesh.log import get_logger

log = get_logger()

MAX_MESSAGE_BYTES: Final = LIMITS["PI_MESSAGE_BYTES"]
STAY_US: Final = 20_000
"""So long a call may last. Timers of the process are late by it."""
FOREVER_US: Final = 2**63 - 1
QUIET_US: Final = 4_000
"""For so long after the event loop had something else to do calls are short: what follows of it takes turns too."""


class KernelTaker(Protocol):
    """Takes what comes of one connection. Called on the event loop."""

    def fetch(self) -> None:
        """Takes what stands in the connection's store, if anything does. It was published. Raises nothing."""

    def look(self) -> None:
        """What stands in the buffer is for Python."""

    def lend_again(self) -> None:
        """Sockets are about to be read, and somebody had looked (`KernelEngine.lend_later`)."""

    def ended(self) -> None:
        """The connection is over, as its next read says."""

    def failed(self) -> None:
        """One of the others raised an error, which is logged: the connection is to be read otherwise."""


class BusSocket(Protocol):
    """The socket to NATS, which C writes to past the event loop's transport."""

    def lend_socket(self) -> tuple[int, int]:
        """Its number, -1 where it has none to lend; and until when anything may be published (`time.monotonic`, µs).

        Called in each turn of the loop; the loan ends with the call of C that follows.
        """

    def wrote_lines(self, count: int, size_bytes: int, rest: bytes) -> None:
        """Messages of together ``size_bytes`` were written, but for the ``rest`` of the last one."""

    def dropped_lines(self, count: int) -> None:
        """So many messages were made when nothing might be published any more."""


class KernelEngine:
    """A worker's. `close` it; what was connected must be disconnected before."""

    def __init__(
        self,
        kernel: Any,
        publish: Callable[[bytes, int, int], None],
        max_message_bytes: Callable[[], int],
        rest: Callable[[], None] = lambda: None,
        *,
        socket: BusSocket | None = None,
        rest_seconds: float = 0.0,
    ) -> None:
        """``publish`` gets lines for NATS that C has not written, how many messages stand in them, and their bytes.

        ``rest`` is called when all of a turn is done. ``rest_seconds``: how long C rests behind what it wrote.
        """
        self._kernel = kernel
        self._publish = publish
        self._rest = rest
        self._max_message_bytes = max_message_bytes
        self._epoll = select.epoll()
        self._engine = ffi.new("pi_engine *")
        engine = self._engine
        engine.epoll = self._epoll.fileno()
        self._takers: dict[int, KernelTaker] = {}
        self._to_lend: list[KernelTaker] = []
        self._numbers = 0
        self._loop = asyncio.get_running_loop()
        self._socket = socket
        self._others_us = 0
        """When the loop had something else to do."""
        engine.loop, engine.bus, engine.rest_us = _epoll_of(self._loop), -1, round(rest_seconds * 1e6)
        engine.held_until_us = FOREVER_US
        self._loop.add_reader(self._epoll.fileno(), self._turn)

    def close(self) -> None:
        """Reads nothing more."""
        self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()

    def connect(self, fd: int, buffer: bytearray, taker: KernelTaker) -> Connection:
        """Reads a socket from now on, into ``buffer``. Raises `OSError`.

        The caller gives the result a store, and holds it until it was disconnected.
        """
        self._numbers += 1
        connection = ffi.new("pi_connection *")
        connection.buffer, connection.size = ffi.from_buffer("uint8_t[]", buffer), len(buffer)
        connection.fd, connection.number = fd, self._numbers
        connection.heard_us = time.monotonic_ns() // 1000
        if error := self._kernel.pi_watch(self._engine, connection):
            raise OSError(error, os.strerror(error))
        self._takers[self._numbers] = taker
        return connection

    def disconnect(self, connection: Connection) -> None:
        """Reads the socket no more. It must be open still."""
        del self._takers[connection.number]
        self._kernel.pi_unwatch(self._engine, connection)

    def take(self, connection: Connection, arrival_us: int) -> bool:
        """Takes the pictures in a connection's buffer, and fetches them; whether what is left only waits for more."""
        engine, taker = self._engine, self._takers[connection.number]
        engine.max_message_bytes = self._max_message_bytes()
        wall_us = (time.time_ns() - time.monotonic_ns()) // 1000 + arrival_us
        status = FULL
        while status == FULL:
            engine.sent = engine.begun_bytes = engine.lines_count = engine.dropped = 0
            status = self._kernel.pi_take(engine, connection, arrival_us, wall_us)
            self._publish_lines()
            taker.fetch()
        return bool(status == WAIT)

    def fetch(self) -> None:
        """All takers fetch what was taken."""
        for taker in list(self._takers.values()):
            taker.fetch()

    def lend_later(self, taker: KernelTaker) -> None:
        """Its loan ended because somebody looked: tells it when sockets are about to be read again."""
        self._to_lend.append(taker)

    def _turn(self) -> None:
        engine = self._engine
        to_lend, self._to_lend = self._to_lend, []
        for taker in to_lend:
            taker.lend_again()
        engine.max_message_bytes = self._max_message_bytes()
        if self._socket is not None:
            engine.bus, engine.held_until_us = self._socket.lend_socket()
            now_us = time.monotonic_ns() // 1000
            is_quiet = now_us - self._others_us > QUIET_US
            may_stay = engine.bus >= 0 or engine.held_until_us <= now_us  # else Python publishes
            engine.stay_us = STAY_US if is_quiet and may_stay else 0
        if self._kernel.pi_turn(engine) <= 0:
            return
        if engine.others:
            self._others_us = time.monotonic_ns() // 1000
        looks, ended = engine.looks, engine.ended
        look = engine.look[0:looks] if looks else ()
        end = engine.end[0:ended] if ended else ()
        self._publish_lines()
        for number in look:
            self._tell(number, ended=False)
        for number in end:
            self._tell(number, ended=True)
        self._rest()

    def _tell(self, number: int, *, ended: bool) -> None:
        taker = self._takers.get(number)
        if taker is None:
            return
        try:
            if ended:
                taker.ended()
            else:
                taker.look()
        except Exception as error:  # a supervisor: the others' bytes are looked at all the same
            log.exception("ingest.look_failed", error=error)
            taker.failed()

    def _publish_lines(self) -> None:
        """Counts what C has written and dropped, and publishes what it has left."""
        engine, count = self._engine, self._engine.lines_count
        sent, sent_bytes, begun, rest = engine.sent, engine.sent_bytes, engine.begun_bytes, b""
        if engine.dropped and self._socket is not None:
            self._socket.dropped_lines(engine.dropped)
        if not sent and not count:
            return
        lines = [(bytes(ffi.buffer(line.at, line.bytes)), line.message_bytes) for line in engine.lines[0:count]]
        if begun:
            line, size_bytes = lines.pop(0)
            rest, sent, sent_bytes = line[begun:], sent + 1, sent_bytes + size_bytes
        if sent and self._socket is not None:
            self._socket.wrote_lines(sent, sent_bytes, rest)
        if lines:
            self._publish(b"".join(line for line, _ in lines), len(lines), sum(size for _, size in lines))


def _epoll_of(loop: asyncio.AbstractEventLoop) -> int:
    """The descriptor that a loop waits on, which is uvloop's to tell; -1 where the loop is another."""
    tell: Callable[[], int] | None = getattr(loop, "_get_backend_id", None)
    return -1 if tell is None else tell()
