"""Saved walls: who sees them, who changes them, and the one that a person's page begins with."""

import pytest
from pydantic import ValidationError

from services.contracts.errors import ConflictError, ForbiddenError, InvalidInputError, NotFoundError
from services.contracts.layouts import (
    LayoutDone,
    LayoutEntry,
    LayoutInput,
    LayoutList,
    LayoutPatch,
    LayoutQuery,
    LayoutUpdate,
)
from services.contracts.permissions import Actor, Role
from services.contracts.saved import SavedKey
from services.mesh.bus import Bus
from services.mesh.settings import MeshSettings
from tests.registry.running import ask, eventually, registry

pytestmark = pytest.mark.integration
VIEWER = Actor("wati@city", Role.VIEWER)
OPERATOR = Actor("siti", Role.OPERATOR)
OTHER = Actor("tono", Role.OPERATOR)
SUPERVISOR = Actor("budi", Role.SUPERVISOR)


def wall(**more: object) -> LayoutInput:
    given = {"name": "Dieng", "grid": "9", "tiles": [{"camera": "a", "columns": 2, "rows": 2}, {"camera": None}]}
    return LayoutInput.model_validate(given | more)


async def save(bus: Bus, actor: Actor, **more: object) -> LayoutEntry:
    return await ask(bus, "layouts-save", wall(**more), LayoutEntry, actor=actor)


async def seen(bus: Bus, actor: Actor) -> list[str]:
    listed = await ask(bus, "layouts-list", LayoutQuery(), LayoutList, actor=actor)
    return [entry.layout.name for entry in listed.layouts]


async def test_a_saved_wall_is_seen_by_its_audience_alone_and_comes_back_as_it_was(
    bus: Bus, mesh_settings: MeshSettings
) -> None:
    async with registry(mesh_settings):
        own = await save(bus, VIEWER, name="Mine")
        await save(bus, OPERATOR, name="for all", audience="shared")
        await save(bus, OPERATOR, name="Chiefs", audience="role", role="supervisor")
        assert await seen(bus, VIEWER) == ["for all", "Mine"]
        assert await seen(bus, OPERATOR) == ["Chiefs", "for all"], "who saved it sees it, too"
        assert await seen(bus, SUPERVISOR) == ["Chiefs", "for all"]
        assert await seen(bus, OTHER) == ["for all"]
        found = await ask(bus, "layouts-get", SavedKey(id=own.layout.id), LayoutEntry, actor=VIEWER)
        assert found == own
        assert found.layout.tiles[0].columns == 2
        with pytest.raises(NotFoundError):
            await ask(bus, "layouts-get", SavedKey(id=own.layout.id), LayoutEntry, actor=SUPERVISOR)


async def test_a_wall_that_is_saved_again_after_a_lost_answer_is_saved_once(
    bus: Bus, mesh_settings: MeshSettings
) -> None:
    async with registry(mesh_settings), registry(mesh_settings, worker="registry-2"):
        first = await save(bus, OPERATOR, request_id="0123456789abcdef")
        for _ in range(4):  # either registry answers
            assert await save(bus, OPERATOR, request_id="0123456789abcdef") == first
        await save(bus, OTHER, request_id="0123456789abcdef")
        await save(bus, OPERATOR, request_id="0123456789abcdeg")
        assert await eventually(lambda: seen(bus, OPERATOR), lambda names: len(names) > 1) == ["Dieng", "Dieng"]


async def test_only_operators_share_and_only_the_owner_or_a_supervisor_changes_what_is_shared(
    bus: Bus, mesh_settings: MeshSettings
) -> None:
    async with registry(mesh_settings):
        with pytest.raises(ForbiddenError):
            await save(bus, VIEWER, audience="shared")
        shared = await save(bus, OPERATOR, audience="shared")
        key = SavedKey(id=shared.layout.id)
        rename = LayoutUpdate(id=key.id, patch=LayoutPatch(name="Dieng, night"), revision=shared.revision)
        with pytest.raises(ForbiddenError):
            await ask(bus, "layouts-update", rename, LayoutEntry, actor=OTHER)
        with pytest.raises(ForbiddenError):
            await ask(bus, "layouts-remove", key, LayoutDone, actor=OTHER)
        renamed = await ask(bus, "layouts-update", rename, LayoutEntry, actor=SUPERVISOR)
        assert (renamed.layout.name, renamed.layout.owner) == ("Dieng, night", "siti")
        with pytest.raises(ConflictError):
            await ask(bus, "layouts-update", rename, LayoutEntry, actor=OPERATOR)
        with pytest.raises(InvalidInputError):
            await save(bus, OPERATOR, audience="role")
        await ask(bus, "layouts-remove", key, LayoutDone, actor=OPERATOR)
        assert await seen(bus, OPERATOR) == []


async def test_the_wall_that_a_person_opened_last_is_remembered_until_it_is_gone(
    bus: Bus, mesh_settings: MeshSettings
) -> None:
    async def last(actor: Actor) -> str | None:
        return (await ask(bus, "layouts-list", LayoutQuery(), LayoutList, actor=actor)).last

    async with registry(mesh_settings):
        first = await save(bus, OPERATOR, audience="shared")
        second = await save(bus, OPERATOR)
        assert await last(OPERATOR) == second.layout.id
        assert await last(VIEWER) is None
        await ask(bus, "layouts-open", SavedKey(id=first.layout.id), LayoutDone, actor=VIEWER)
        with pytest.raises(NotFoundError):
            await ask(bus, "layouts-open", SavedKey(id=second.layout.id), LayoutDone, actor=VIEWER)
        assert await last(VIEWER) == first.layout.id
    async with registry(mesh_settings, worker="registry-2"):
        await eventually(lambda: last(VIEWER), lambda found: found == first.layout.id)
        await ask(bus, "layouts-remove", SavedKey(id=first.layout.id), LayoutDone, actor=OPERATOR)
        assert await last(VIEWER) is None


@pytest.mark.parametrize("wrong", [{"grid": "5"}, {"name": ""}, {"key": 0}, {"tiles": [{"columns": 9}]}])
def test_a_wall_that_no_page_could_show_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        wall(**wrong)
