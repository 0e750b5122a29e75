"""Screens and tours: a screen registers itself, shows what it is sent, and has it again after a restart."""

import json
from typing import Any

import aiohttp
import pytest
from pydantic import ValidationError

from services.contracts.errors import ForbiddenError, NotFoundError
from services.contracts.layouts import LayoutEntry, LayoutInput
from services.contracts.permissions import Actor, Role
from services.contracts.screens import (
    Arrangement,
    Screen,
    ScreenKey,
    ScreenList,
    ScreenOrder,
    ScreenQuery,
    TourEntry,
    TourInput,
    TourStep,
)
from services.mesh.bus import Bus
from services.mesh.settings import MeshSettings
from tests.registry.running import ask, eventually, registry
from tests.wall.front.running import running_front

pytestmark = pytest.mark.integration
DISPLAY = Actor("layar", Role.VIEWER)
OPERATOR = Actor("siti", Role.OPERATOR)
WALL = Arrangement.model_validate({"grid": "4", "tiles": [{"camera": "a"}, {"camera": "b"}]})


async def test_a_screen_registers_itself_and_comes_back_with_what_it_was_sent(
    bus: Bus, mesh_settings: MeshSettings
) -> None:
    key = ScreenKey(id="layar-1")
    async with registry(mesh_settings):
        here = await ask(bus, "screens-here", key, Screen, actor=DISPLAY)
        assert here.seen_us > 0
        with pytest.raises(ForbiddenError):
            await ask(bus, "screens-show", ScreenOrder(id="layar-1", wall=WALL), Screen, actor=DISPLAY)
        sent = await ask(bus, "screens-show", ScreenOrder(id="layar-1", wall=WALL), Screen, actor=OPERATOR)
        assert (sent.wall, sent.sent_by, sent.seen_us) == (WALL, "siti", here.seen_us)
    async with registry(mesh_settings, worker="registry-2"):

        async def screens() -> tuple[Screen, ...]:
            return (await ask(bus, "screens-list", ScreenQuery(), ScreenList, actor=OPERATOR)).screens

        (found,) = await eventually(screens, lambda all_: len(all_) == 1)
        assert found.wall == WALL
        with pytest.raises(ForbiddenError):
            await ask(bus, "screens-remove", key, ScreenList, actor=OPERATOR)
        await ask(bus, "screens-remove", key, ScreenList)
        assert await screens() == ()


async def test_a_tour_of_saved_walls_and_cameras_is_put_into_the_screen_whole(
    bus: Bus, mesh_settings: MeshSettings
) -> None:
    async with registry(mesh_settings):
        given = LayoutInput.model_validate({"name": "Dieng", "grid": "4", "tiles": [{"camera": "a"}]})
        saved = await ask(bus, "layouts-save", given, LayoutEntry, actor=OPERATOR)
        steps = (
            TourStep(layout=saved.layout.id, dwell_seconds=5),
            TourStep(cameras=("a", "b", "c"), dwell_seconds=7),
            TourStep(layout="layout-gone"),
        )
        tour = await ask(bus, "tours-save", TourInput(name="Round", steps=steps), TourEntry, actor=OPERATOR)
        order = ScreenOrder(id="layar-2", tour=tour.tour.id)
        shown = await ask(bus, "screens-show", order, Screen, actor=OPERATOR)
        assert shown.tour == "Round"
        assert [(stop.wall.grid, len(stop.wall.tiles), stop.dwell_seconds) for stop in shown.stops] == [
            ("4", 1, 5),
            ("4", 3, 7),
        ]
        gone = await ask(bus, "tours-save", TourInput(name="Gone", steps=steps[2:]), TourEntry, actor=OPERATOR)
        for nothing in ("tour-gone", gone.tour.id):
            with pytest.raises(NotFoundError):
                await ask(bus, "screens-show", ScreenOrder(id="layar-2", tour=nothing), Screen, actor=OPERATOR)


async def test_a_screen_s_page_is_told_at_once(bus: Bus, mesh_settings: MeshSettings) -> None:
    async with registry(mesh_settings), running_front(mesh_settings) as front:
        async with front.http.get("/api/v1/screens/layar-1/stream") as stream:
            assert (await notice(stream))["screen"]["wall"] is None
            path = "/api/v1/screens/layar-1"
            async with front.http.put(path, json={"wall": WALL.model_dump(mode="json")}) as answer:
                assert answer.status == 200
            told = await notice(stream)
        assert [tile["camera"] for tile in told["screen"]["wall"]["tiles"]] == ["a", "b"]
        async with front.http.get("/api/v1/screens") as answer:
            (screen,) = (await answer.json())["screens"]
        assert screen["here"] is False, "no page has said that it is there"


async def notice(stream: aiohttp.ClientResponse) -> dict[str, Any]:
    """The next message of a stream."""
    async for line in stream.content:
        if line.startswith(b"data: "):
            found: dict[str, Any] = json.loads(line[6:])
            return found
    raise AssertionError("the stream has ended")


@pytest.mark.parametrize("wrong", [{}, {"layout": "a", "cameras": ["b"]}, {"cameras": ["a"], "dwell_seconds": 0}])
def test_a_step_that_shows_nothing_or_two_things_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TourStep.model_validate(wrong)
