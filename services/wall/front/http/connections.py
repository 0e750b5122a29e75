"""The front's connections: how long a request's head and the reading of an answer may take, and how many one address
holds.

aiohttp bounds none of this. This is the one module that touches private names of aiohttp, which is pinned for it:
``AppRunner._make_server``, of a ``RequestHandler`` ``_force_close``, ``_loop``, ``_request_count`` and ``_waiter``, of
a ``Server`` ``_loop`` and ``_kwargs``. tests/wall/front/http/test_connections.py fails when they change.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from aiohttp import web

from services.mesh.log import get_logger
from services.mesh.metrics import counter
from services.wall.front.http.client import network_key
from services.wall.front.http.problems import CONTENT_TYPE, Problem, problem

log = get_logger()

HEAD_SECONDS: Final = 10.0
"""From the first byte of a request to the end of its headers."""
IDLE_SECONDS: Final = 75.0
"""Until the first byte of the first request: browsers open connections that they may need."""
STALL_SECONDS: Final = 120.0
"""A client that takes nothing of its answer for so long is cut off."""
TOTAL: Final = 4096
ADDRESSES_OF_NETWORK: Final = 4
"""An IPv6 network of 64 bits, of which one host may have all addresses, holds as much as so many addresses."""
TOLD_SECONDS: Final = 60.0
"""Between two lines of the log about refused connections."""
REMEDY: Final = (
    "PANTAU_WALL_CONNECTIONS_PER_ADDRESS allows more; a proxy with many clients belongs in PANTAU_WALL_TRUSTED_PROXIES"
)
_BUSY_BODY: Final = (
    Problem(
        title="Service Unavailable",
        status=503,
        detail=f"this address holds as many connections to the wall as it may, or the wall is full; {REMEDY}",
        code="busy",
    )
    .model_dump_json(exclude_none=True)
    .encode()
)
_BUSY: Final = (
    f"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Type: {CONTENT_TYPE}\r\n"
    f"Content-Length: {len(_BUSY_BODY)}\r\nConnection: close\r\n\r\n"
).encode() + _BUSY_BODY
_LATE: Final = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_cut = counter("front_connections_cut", "Connections that were refused or cut off", "why")


class Place(Protocol):
    """What an address holds: a connection, or a handshake."""

    def drop(self) -> None:
        """Ends it at once."""


@dataclass
class ConnectionLimits:
    """What one front allows, and who is connected.

    Where an address is full, a new one takes the place of its oldest that nobody has signed in on (`keep`). So a
    stranger behind the same address cannot hold all places and keep others out.
    """

    per_address: int
    is_proxy: Callable[[str], bool] = lambda _address: False
    """Whether many clients stand behind an address, so that it is not bounded."""
    total: int = TOTAL
    head_seconds: float = HEAD_SECONDS
    idle_seconds: float = IDLE_SECONDS
    stall_seconds: float = STALL_SECONDS
    held: Counter[str] = field(default_factory=Counter)
    """By address."""
    by_network: Counter[str] = field(default_factory=Counter)
    taken: int = 0
    """Since the beginning."""
    told_at: float = float("-inf")
    """When a refusal was last told to the log."""
    _places: dict[Place, str] = field(default_factory=dict)
    """Each with its address."""
    _strangers: dict[Place, str] = field(default_factory=dict)
    """Those that make room for others; the oldest first."""
    _strangers_by_network: Counter[str] = field(default_factory=Counter)

    def take(self, address: str, place: Place) -> bool:
        """Whether ``address`` may hold ``place``; it then does, until `give_back`."""
        crowd = self._crowd(address)
        if crowd is not None:
            oldest = next((each for each, other in self._strangers.items() if crowd(other)), None)
            if oldest is None:
                return False
            self.give_back(oldest)
            cut("crowded_out")
            oldest.drop()
        self.held[address] += 1
        self.by_network[network_key(address)] += 1
        self.taken += 1
        self._places[place] = address
        if not self.is_proxy(address):
            self._strangers[place] = address
            self._strangers_by_network[network_key(address)] += 1
        return True

    def keep(self, place: Place) -> None:
        """It is of somebody who has signed in: it makes room for nobody."""
        address = self._strangers.pop(place, None)
        if address is not None:
            _count_down(self._strangers_by_network, network_key(address))

    def give_back(self, place: Place) -> None:
        """It has ended. Nothing happens where it was given back before, or refused."""
        address = self._places.pop(place, None)
        if address is None:
            return
        self.keep(place)
        _count_down(self.held, address)
        _count_down(self.by_network, network_key(address))

    def _crowd(self, address: str) -> Callable[[str], bool] | None:
        """Which addresses hold too much for one more of ``address``; None: there is room."""
        network = network_key(address)
        if not self.is_proxy(address):
            if self.held[address] >= self.per_address:
                return lambda other: other == address
            if self.by_network[network] >= ADDRESSES_OF_NETWORK * self.per_address:
                return lambda other: network_key(other) == network
        if self.held.total() >= self.total:
            largest = [network for network, _ in self._strangers_by_network.most_common(1)]
            return lambda other: network_key(other) in largest
        return None

    def tell_refusal(self, address: str, now: float) -> None:
        """Counts a refusal and, once in a while, logs it."""
        cut("too_many")
        if now - self.told_at >= TOLD_SECONDS:
            self.told_at = now
            held, total = self.held[address], self.held.total()
            log.warning("front.connection_refused", address=address, held=held, total=total, remedy=REMEDY)


def _count_down(count: Counter[str], key: str) -> None:
    count[key] -= 1
    if not count[key]:
        del count[key]


def cut(why: str) -> None:
    """Counts a connection that is refused or cut off."""
    _cut.labels(why).inc()


class _Timer:
    """Calls once, so long after the first `start` that no `stop` follows."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float, call: Callable[[], None]) -> None:
        self._loop = loop
        self._seconds = seconds
        self._call = call
        self._handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        if self._handle is None:
            self._handle = self._loop.call_later(self._seconds, self._call)

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None


class Connection(web.RequestHandler):
    """aiohttp's, bounded."""

    __slots__ = ("_head_timer", "_idle_timer", "_limits", "_stall_timer")

    def __init__(self, manager: web.Server, limits: ConnectionLimits, **options: Any) -> None:
        super().__init__(manager, **options)
        self._limits = limits
        self._idle_timer = _Timer(self._loop, limits.idle_seconds, self._on_idle)
        self._head_timer = _Timer(self._loop, limits.head_seconds, self._on_late_head)
        self._stall_timer = _Timer(self._loop, limits.stall_seconds, self._on_stall)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Counts it, or refuses it at once."""
        peer = transport.get_extra_info("peername")
        address = str(peer[0]) if isinstance(peer, tuple) else ""
        if self._limits.take(address, self):
            super().connection_made(transport)
            self._idle_timer.start()
            return
        self._limits.tell_refusal(address, self._loop.time())
        self._force_close = True
        assert isinstance(transport, asyncio.Transport)
        transport.write(_BUSY)
        transport.close()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Gives its place back."""
        for timer in (self._idle_timer, self._head_timer, self._stall_timer):
            timer.stop()
        self._limits.give_back(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes of a request; a head that has begun must end in time."""
        self._idle_timer.stop()
        before = self._request_count
        super().data_received(data)
        if self._request_count != before:
            self._head_timer.stop()
        elif self._waits_for_head():
            self._head_timer.start()

    def pause_writing(self) -> None:
        """The client does not read as fast as it is answered."""
        super().pause_writing()
        self._stall_timer.start()

    def resume_writing(self) -> None:
        """It has read."""
        self._stall_timer.stop()
        super().resume_writing()

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """What cannot be read as a request at all is answered with problem details, as all else."""
        if status >= 500:
            return super().handle_error(request, status, exc, message)
        code = "bad-request"
        response = problem(status, code, (message or "the request cannot be read").splitlines()[0])
        response.force_close()
        return response

    def drop(self) -> None:
        """Cuts it off."""
        if self.transport is not None:
            self.transport.abort()

    def keep(self) -> None:
        """It makes room for nobody from now on."""
        self._limits.keep(self)

    def _waits_for_head(self) -> bool:
        waiter = self._waiter
        return self._request_count == 0 or (waiter is not None and not waiter.done())

    def _on_idle(self) -> None:
        cut("idle")
        self.force_close()

    def _on_late_head(self) -> None:
        cut("slow_head")
        if self.transport is not None:
            self.transport.write(_LATE)
        self.force_close()

    def _on_stall(self) -> None:
        cut("does_not_read")
        self.drop()


def keep_connection(request: web.BaseRequest) -> None:
    """``request`` is of somebody who has signed in, now or before with this browser: its connection makes room for
    nobody."""
    if isinstance(request.protocol, Connection):
        request.protocol.keep()


class _BoundedServer(web.Server):
    def __init__(self, inner: web.Server, limits: ConnectionLimits) -> None:
        super().__init__(
            inner.request_handler,
            request_factory=inner.request_factory,
            handler_cancellation=inner.handler_cancellation,
            loop=inner._loop,
            **inner._kwargs,
        )
        self._limits = limits

    def __call__(self) -> web.RequestHandler:
        return Connection(self, self._limits, loop=self._loop, **self._kwargs)


class BoundedRunner(web.AppRunner):
    """Runs an application whose connections are bounded. Bodies come as they were sent: nothing is decompressed."""

    __slots__ = ("_limits",)

    def __init__(self, app: web.Application, limits: ConnectionLimits, **options: Any) -> None:
        super().__init__(app, auto_decompress=False, **options)
        self._limits = limits

    async def _make_server(self) -> web.Server:
        return _BoundedServer(await super()._make_server(), self._limits)
