"""``/api/v1/screens``: screens, what each shows, and the stream by which a screen's page learns of it."""

import asyncio
from typing import Final

from aiohttp import hdrs, web
from pydantic import BaseModel

import services
from services.contracts import subjects
from services.contracts.models import Model
from services.contracts.screens import (
    SEEN_SECONDS,
    Screen,
    ScreenKey,
    ScreenList,
    ScreenOrder,
    ScreenOrderInput,
    ScreenQuery,
)
from services.mesh.clock import timeout
from services.mesh.rpc import call as ask
from services.wall.front.context import FrontRequest
from services.wall.front.http.route import json_response

BEAT_SECONDS: Final = 5.0
RETRY_MS: Final = 1000


class ScreenView(Screen):
    """A screen, and whether its page is open."""

    here: bool


class ScreensView(BaseModel):
    """All screens, by name."""

    screens: list[ScreenView]


class ScreenNotice(BaseModel):
    """One message of a screen's stream."""

    screen: Screen
    version: str
    """Of the server: a page of another one loads itself anew."""
    now_us: int
    """The server's time: a tour is at the same stop on every screen."""


async def list_screens(request: FrontRequest) -> web.Response:
    """All screens."""
    answer = await ask(request.front.bus, _endpoint(request, "list"), ScreenQuery(), ScreenList, actor=request.actor)
    now_us = request.front.clock.now_us()
    views = [
        ScreenView(**dict(screen), here=now_us - screen.seen_us < 2.5 * SEEN_SECONDS * 1e6) for screen in answer.screens
    ]
    return json_response(ScreensView(screens=views))


async def show_on_screen(request: FrontRequest) -> web.Response:
    """Sends a wall or a tour."""
    given = await request.json(ScreenOrderInput)
    return await _one(request, "show", ScreenOrder(id=_key(request).id, wall=given.wall, tour=given.tour))


async def screen_is_here(request: FrontRequest) -> web.Response:
    """The screen's page says that it is there."""
    return await _one(request, "here", _key(request))


async def remove_screen(request: FrontRequest) -> web.Response:
    """Forgets a screen."""
    await ask(request.front.bus, _endpoint(request, "remove"), _key(request), ScreenList, actor=request.actor)
    return web.Response(status=204)


async def follow_screen(request: FrontRequest) -> web.StreamResponse:
    """Streams a screen's state, now and at each change, until the page leaves."""
    front, key = request.front, _key(request).id
    response = web.StreamResponse(headers={hdrs.CONTENT_TYPE: "text/event-stream", "X-Accel-Buffering": "no"})
    changed = front.screens.follow(key)
    try:
        with front.identity.sign_ins.ending(request.actor, changed.set):
            await _follow(request, response, key, changed)
    except ConnectionError:
        pass  # the page has gone
    finally:
        front.screens.leave(key, changed)
    return response


async def _follow(request: FrontRequest, response: web.StreamResponse, key: str, changed: asyncio.Event) -> None:
    """Sends the screen's state, now and whenever ``changed`` is set, while the sign-in holds."""
    front = request.front
    await response.prepare(request.raw)
    await response.write(f"retry: {RETRY_MS}\n\n".encode())
    while not front.stopping.is_set() and front.identity.holds(request.actor):
        changed.clear()
        notice = ScreenNotice(
            screen=front.screens.get(key) or Screen(id=key),
            version=services.__version__,
            now_us=front.clock.now_us(),
        )
        await response.write(f"data: {notice.model_dump_json()}\n\n".encode())
        while not changed.is_set() and front.identity.holds(request.actor):
            try:
                async with timeout(front.clock, BEAT_SECONDS):
                    await changed.wait()
            except TimeoutError:
                await response.write(b": beat\n\n")


def _key(request: FrontRequest) -> ScreenKey:
    return ScreenKey(id=request.path_id("screen"))


def _endpoint(request: FrontRequest, verb: str) -> str:
    return subjects.rpc(request.front.home, "registry", f"screens-{verb}")


async def _one(request: FrontRequest, verb: str, question: Model) -> web.Response:
    return json_response(await ask(request.front.bus, _endpoint(request, verb), question, Screen, actor=request.actor))
