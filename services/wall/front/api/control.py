"""``…/{session}/control``: the WebSocket between a page and its session's relay. docs/ref/page-protocol.md.

The page's messages go to the relay as micro requests, in their order, several under way at once. The relay's notices
come on the session's subject and go out as they are.
"""

import asyncio
import json
from collections import deque
from contextlib import suppress
from typing import Any, Final

import msgpack
from aiohttp import WSMsgType, hdrs, web
from pydantic import ValidationError

from services.contracts.errors import NotFoundError, PantauError
from services.contracts.sessions import CONTROL, ErrorNotice, SessionControl, notices
from services.mesh import rpc
from services.mesh.bus import BusMessage
from services.mesh.log import get_logger
from services.mesh.metrics import counter, gauge
from services.wall.front.context import FrontRequest
from services.wall.front.http.errors import UpgradeRequiredError
from services.wall.front.relays import relay_of

log = get_logger()

NO_SESSION: Final = 4404
GOING_AWAY: Final = 1001
TOO_SLOW: Final = 4408
SIGNED_OUT: Final = 4401
PING_SECONDS: Final = 10.0
CHECK_SECONDS: Final = 0.25
"""How often it is checked that the session's relay is alive, and that the page is still signed in."""
MAX_MESSAGE_BYTES: Final = 64 * 1024
MAX_WAITING: Final = 2048
"""Notices that wait for a slow page: half a minute of marks for 64 slots. Above it the page is disconnected."""
MAX_UNDER_WAY: Final = 64
CLOSE_SECONDS: Final = 1.0

_open = gauge("front_controls", "Open control sockets")
_dropped = counter("front_controls_too_slow", "Control sockets cut off because the page did not read")


async def control(request: FrontRequest) -> web.StreamResponse:
    """Runs the WebSocket until the page, the session, its relay or this front goes."""
    session = request.path_id("session")
    socket = web.WebSocketResponse(heartbeat=PING_SECONDS, max_msg_size=MAX_MESSAGE_BYTES, timeout=CLOSE_SECONDS)
    if not socket.can_prepare(request.raw).ok:
        raise UpgradeRequiredError("this path speaks WebSocket (RFC 6455)", headers={hdrs.UPGRADE: "websocket"})
    await socket.prepare(request.raw)
    with _open.track_inprogress():
        code, why = await _Control(request, socket, session).run()
        await socket.close(code=code, message=why.encode()[:120])
    return socket


class _End(Exception):  # noqa: N818 (no error: it ends the task group with a close code)
    def __init__(self, code: int, why: str) -> None:
        super().__init__(why)
        self.code = code
        self.why = why


class _Control:
    """One open socket."""

    def __init__(self, request: FrontRequest, socket: web.WebSocketResponse, session: str) -> None:
        self._front = request.front
        self._actor = request.actor
        self._socket = socket
        self._session = session
        self._waiting: deque[str] = deque()
        self._filled = asyncio.Event()
        self._under_way = asyncio.Semaphore(MAX_UNDER_WAY)

    async def run(self) -> tuple[int, str]:
        """Returns the close code and its reason."""
        try:
            self._relay = relay_of(self._session)
            subscription = await self._front.bus.subscribe(notices(self._front.home, self._session), self._on_notice)
        except NotFoundError as error:
            return NO_SESSION, error.message
        outcome = GOING_AWAY, ""
        self._front.relays.pages += 1
        try:
            attached_in = self._front.bus.reconnects
            attached = await self._reach(SessionControl(session=self._session, attached=True))
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._send(), name="control send")
                tasks.create_task(self._watch(attached_in if attached else -1), name="control watch")
                await self._receive(tasks)
        except* _End as group:
            end = group.exceptions[0]
            while isinstance(end, BaseExceptionGroup):
                end = end.exceptions[0]
            if isinstance(end, _End):
                outcome = end.code, end.why
        except* ConnectionError:
            pass  # the page has gone without a close frame
        finally:
            self._front.relays.pages -= 1
            await subscription.unsubscribe()
        return outcome

    async def _receive(self, tasks: asyncio.TaskGroup) -> None:
        async for message in self._socket:
            if message.type != WSMsgType.TEXT:
                continue
            try:
                control = CONTROL.validate_json(message.data)
            except ValidationError as error:
                self._refuse("invalid-input", rpc.explain(error))
                continue
            await self._under_way.acquire()
            task = tasks.create_task(self._tell(SessionControl(session=self._session, control=control)))
            task.add_done_callback(lambda _: self._under_way.release())
        raise _End(GOING_AWAY, "the page has gone")

    async def _tell(self, message: SessionControl) -> None:
        try:
            await self._front.relays.control_session(message, self._actor)
        except NotFoundError as error:
            raise _End(NO_SESSION, error.message) from error
        except PantauError as error:
            self._refuse(error.code, error.message)

    async def _reach(self, message: SessionControl) -> bool:
        """Sends a message of the front itself to the relay; False where it does not answer."""
        try:
            await self._front.relays.control_session(message, self._actor)
        except NotFoundError as error:
            raise _End(NO_SESSION, error.message) from error
        except PantauError as error:
            log.debug("front.relay_silent", session=self._session, error=error)
            return False
        return True

    async def _send(self) -> None:
        while True:
            await self._filled.wait()
            self._filled.clear()
            while self._waiting:
                if len(self._waiting) > MAX_WAITING:
                    _dropped.inc()
                    raise _End(TOO_SLOW, "the page does not read; connect again")
                await self._socket.send_str(self._waiting.popleft())

    async def _watch(self, attached_in: int) -> None:
        """``attached_in``: the bus's connection, by number, over which the relay learnt of this socket."""
        front = self._front
        while not front.stopping.is_set():
            if front.relays.gone(self._relay):  # or this process was held up: then the relay answers
                await self._reach(SessionControl(session=self._session))
            generation = front.bus.reconnects
            if generation != attached_in and await self._reach(SessionControl(session=self._session, attached=True)):
                attached_in = generation  # notices may have been missed: the relay sends them again
            if not front.identity.holds(self._actor):
                raise _End(SIGNED_OUT, "the sign-in has ended")
            with suppress(TimeoutError):
                async with asyncio.timeout(CHECK_SECONDS):
                    await front.stopping.wait()
        raise _End(GOING_AWAY, "the wall stops; connect again")

    async def _on_notice(self, message: BusMessage) -> None:
        try:
            notice: Any = msgpack.unpackb(message.data)
        except ValueError as error:
            log.warning("front.bad_notice", session=self._session, error=error)
            return
        self._put(json.dumps(notice, separators=(",", ":")))

    def _refuse(self, code: str, text: str) -> None:
        self._put(ErrorNotice(code=code, message=text).model_dump_json())

    def _put(self, text: str) -> None:
        if len(self._waiting) <= MAX_WAITING:
            self._waiting.append(text)
        self._filled.set()
