"""Listens with TLS: a handshake has a place of its address before it begins, and ends in time.

The servers of asyncio and aiohttp tell of a connection when its handshake is over. One address with sockets that never
say hello could therefore take all file descriptors.
"""

import asyncio
import functools
import socket
import ssl
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Final, cast

from aiohttp import web

from services.mesh.log import get_logger
from services.wall.front.http.connections import ConnectionLimits, cut

log = get_logger()

HANDSHAKE_SECONDS: Final = 10.0
_BACKLOG: Final = 128
_REST_SECONDS: Final = 0.2
"""After the system had no descriptor for a connection."""

_Greet = Callable[[socket.socket], Awaitable[object]]


class TlsSite(web.BaseSite):
    """What ``web.TCPSite`` is for plain HTTP."""

    __slots__ = ("_handshake_seconds", "_handshakes", "_host", "_port", "_tls")

    def __init__(
        self,
        runner: web.BaseRunner,
        host: str,
        port: int,
        *,
        tls: ssl.SSLContext,
        handshakes: ConnectionLimits,
        handshake_seconds: float = HANDSHAKE_SECONDS,
    ) -> None:
        """``handshakes``: how many may go on at once. The runner counts the connections whose handshake is over."""
        super().__init__(runner, ssl_context=tls)
        self._host = host
        self._port = port
        self._tls = tls
        self._handshakes = handshakes
        self._handshake_seconds = handshake_seconds

    @property
    def name(self) -> str:
        """Its URL."""
        return f"https://{self._host}:{self._port}"

    async def start(self) -> None:
        """Listens; raises ``OSError``."""
        await super().start()
        loop = asyncio.get_running_loop()
        server = self._runner.server
        assert server is not None

        async def greet(wire: socket.socket) -> None:
            await loop.connect_accepted_socket(
                server, wire, ssl=self._tls, ssl_handshake_timeout=self._handshake_seconds
            )

        door = _Door(await _listening(self._host, self._port), greet, self._handshakes)
        self._server = cast("asyncio.AbstractServer", door)  # aiohttp reads `sockets`, and calls `close`


class _Handshake:
    """One that goes on."""

    task: asyncio.Task[None] | None = None

    def drop(self) -> None:
        """Cuts it off."""
        if self.task is not None:
            self.task.cancel()


class _Door:
    """Accepts connections until it is closed."""

    def __init__(self, sockets: Sequence[socket.socket], greet: _Greet, handshakes: ConnectionLimits) -> None:
        self.sockets = sockets
        self._greet = greet
        self._handshakes = handshakes
        self._tasks: set[asyncio.Task[None]] = set()
        for each in sockets:
            self._start(self._accept(each), each.close)

    def close(self) -> None:
        """Ends the listening and the handshakes; connections stay."""
        for task in self._tasks:
            task.cancel()

    def _start(self, work: Coroutine[Any, Any, None], after: Callable[[], None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: after())
        return task

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                wire, peer = await loop.sock_accept(listening)
            except OSError as error:
                log.warning("front.not_accepted", error=error)
                await asyncio.sleep(_REST_SECONDS)
                continue
            address = str(peer[0])
            handshake = _Handshake()
            if self._handshakes.take(address, handshake):
                give_back = functools.partial(self._handshakes.give_back, handshake)
                handshake.task = self._start(self._shake_hands(wire, address), give_back)
            else:
                wire.close()
                self._handshakes.tell_refusal(address, loop.time())
            await asyncio.sleep(0)  # where one waits already, `sock_accept` does not let others run

    async def _shake_hands(self, wire: socket.socket, address: str) -> None:
        try:
            await self._greet(wire)
        except OSError as error:
            cut("handshake")
            log.debug("front.handshake_failed", address=address, error=error)


async def _listening(host: str, port: int) -> list[socket.socket]:
    """A socket for each address of ``host``. Raises ``OSError``."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    try:
        for family, _, _, _, address in dict.fromkeys(found):
            made = socket.create_server(address, family=family, backlog=_BACKLOG)
            sockets.append(made)
            made.setblocking(False)
    except OSError:
        for each in sockets:
            each.close()
        raise
    return sockets
