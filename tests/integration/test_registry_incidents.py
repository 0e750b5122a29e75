"""Incidents: written before they are answered, told at every step, released once when the grace is over."""

import pytest

from services.contracts import events, subjects
from services.contracts.errors import ConflictError, ForbiddenError, InvalidInputError, NotFoundError, UnavailableError
from services.contracts.incidents import (
    ExportNote,
    IncidentEntry,
    IncidentInput,
    IncidentKey,
    IncidentList,
    IncidentPatch,
    IncidentQuery,
    IncidentUpdate,
    RemarkNote,
)
from services.contracts.models import Incident, IncidentStatus
from services.contracts.permissions import Actor, Right, Role
from services.mesh.buckets import Bucket
from services.mesh.bus import Bus
from services.mesh.clock import TurnedClock
from services.mesh.settings import MeshSettings
from services.registry.ledger import Ledger
from services.registry.settings import RegistrySettings
from tests.registry.running import add, ask, collected, eventually, registry

pytestmark = pytest.mark.integration
OPERATOR = Actor("siti", Role.OPERATOR)
SUPERVISOR = Actor("budi", Role.SUPERVISOR)
GRACE_SECONDS = 3600
GRACE = RegistrySettings(incident_grace_days=GRACE_SECONDS / 86400)
FROM_US = 1_700_000_000_000_000


def collision(**more: object) -> IncidentInput:
    return IncidentInput.model_validate({"title": "Collision", "cameras": ["a"], "from_us": FROM_US} | more)


async def test_an_incident_lives_from_opening_to_release_and_each_step_is_told(
    bus: Bus, mesh_settings: MeshSettings
) -> None:
    kept = await Bucket.open(bus, subjects.INCIDENTS_BUCKET, Incident)
    clock = TurnedClock()
    async with (
        registry(mesh_settings, GRACE, clock=clock),
        registry(mesh_settings, GRACE, clock=clock, worker="registry-2"),
    ):
        await add(bus, "a", "b")
        opened = await ask(bus, "incidents-open", collision(), IncidentEntry, actor=OPERATOR)
        key = opened.incident.id
        found = await kept.get(key)
        assert found is not None
        assert found[0] == opened.incident, "the opening was answered before recorders could see it"
        assert (opened.incident.created_by, opened.incident.to_us) == ("siti", None)

        patch = IncidentPatch(cameras=("a", "b"), notes="two cars")
        update = IncidentUpdate(id=key, patch=patch, revision=opened.revision)
        changed = await ask(bus, "incidents-update", update, IncidentEntry, actor=OPERATOR)
        assert changed.incident.cameras == ("a", "b")
        with pytest.raises(ConflictError):
            await ask(bus, "incidents-update", update, IncidentEntry, actor=OPERATOR)

        with pytest.raises(ForbiddenError):
            await ask(bus, "incidents-close", IncidentKey(id=key), IncidentEntry, actor=OPERATOR)
        closed = await ask(bus, "incidents-close", IncidentKey(id=key), IncidentEntry, actor=SUPERVISOR)
        assert closed.incident.status is IncidentStatus.CLOSED
        assert closed.incident.to_us is not None, "what still went on has no end"
        assert closed.incident.closed_us is not None
        assert closed.incident.release_us == closed.incident.closed_us + GRACE_SECONDS * 1_000_000
        again = await ask(bus, "incidents-close", IncidentKey(id=key), IncidentEntry, actor=SUPERVISOR)
        assert again.revision == closed.revision

        async def released() -> bool:
            entry = await ask(bus, "incidents-get", IncidentKey(id=key), IncidentEntry)
            return entry.incident.released

        assert not await released()
        clock.advance(GRACE_SECONDS)
        await eventually(released, lambda done: done)

        async def all_told() -> list[events.Event]:
            return [event for event in await collected(bus) if event.subject_id == key]

        told = await eventually(all_told, lambda found: len(found) >= 8)
    told.sort(key=lambda event: event.at_us)  # two registries sent them
    assert [event.type for event in told if event.kind == "incident"] == [
        "incident.opened",
        "incident.updated",
        "incident.closed",
        "incident.updated",
    ]
    audited = [(event.action, event.actor, event.role) for event in told if isinstance(event, events.Audit)]
    assert audited == [
        ("incident-opened", "siti", "operator"),
        ("incident-updated", "siti", "operator"),
        ("incident-closed", "budi", "supervisor"),
        ("incident-released", "system", "admin"),
    ]


async def test_remarks_exports_and_changes_stand_in_its_history_by_name(bus: Bus, mesh_settings: MeshSettings) -> None:
    async with registry(mesh_settings):
        await add(bus, "a")
        key = (await ask(bus, "incidents-open", collision(), IncidentEntry, actor=OPERATOR)).incident.id
        note = RemarkNote(id=key, text="The tow truck came")
        await ask(bus, "incidents-remark", note, IncidentEntry, actor=OPERATOR)
        await ask(bus, "incidents-exported", ExportNote(id=key), IncidentEntry, actor=SUPERVISOR)
        granted = Actor("polisi", Role.AGENCY, rights=frozenset({Right.INCIDENTS, Right.EVIDENCE}))
        await ask(bus, "incidents-exported", ExportNote(id=key), IncidentEntry, actor=granted)
        await ask(bus, "incidents-close", IncidentKey(id=key), IncidentEntry, actor=SUPERVISOR)
        with pytest.raises(ForbiddenError):
            await ask(bus, "incidents-remark", note, IncidentEntry, actor=Actor("tono", Role.VIEWER))
        incident = (await ask(bus, "incidents-get", IncidentKey(id=key), IncidentEntry)).incident
        assert [(remark.by, remark.text) for remark in incident.remarks] == [("siti", "The tow truck came")]
        assert [(step.by, step.action) for step in incident.history] == [
            ("siti", "opened"),
            ("siti", "remarked"),
            ("budi", "exported"),
            ("polisi", "exported"),
            ("budi", "closed"),
        ]


async def test_what_is_asked_again_after_a_lost_answer_is_done_once(bus: Bus, mesh_settings: MeshSettings) -> None:
    clock = TurnedClock()
    async with (
        registry(mesh_settings, GRACE, clock=clock),
        registry(mesh_settings, GRACE, clock=clock, worker="registry-2"),
    ):
        await add(bus, "a")
        asked = collision(request_id="0123456789abcdef")
        opened = await ask(bus, "incidents-open", asked, IncidentEntry, actor=OPERATOR)
        note = RemarkNote(id=opened.incident.id, text="The tow truck came", request_id="fedcba9876543210")
        remarked = await ask(bus, "incidents-remark", note, IncidentEntry, actor=OPERATOR)
        clock.advance(86_400)  # an id names its day
        for _ in range(4):  # either registry answers
            again = await ask(bus, "incidents-open", asked, IncidentEntry, actor=OPERATOR)
            assert again.incident.id == opened.incident.id
            assert await ask(bus, "incidents-remark", note, IncidentEntry, actor=OPERATOR) == remarked
        other = await ask(bus, "incidents-open", asked, IncidentEntry, actor=SUPERVISOR)
        assert other.incident.id != opened.incident.id, "another person's request has its own name"

        async def listed() -> IncidentList:
            return await ask(bus, "incidents-list", IncidentQuery(), IncidentList)

        found = await eventually(listed, lambda answer: len(answer.incidents) > 1)
        assert len(found.incidents) == 2
        assert found.hold_days == GRACE.incident_grace_days


@pytest.mark.parametrize("method", ["create", "update"])
async def test_what_was_written_without_an_answer_is_told_when_it_is_asked_for_again(
    bus: Bus, mesh_settings: MeshSettings, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    write = getattr(Ledger, method)
    lost = set[int]()

    async def without_an_answer(ledger: Ledger[Incident], key: str, value: Incident, *revision: int) -> int:
        written: int = await write(ledger, key, value, *revision)
        if isinstance(value, Incident) and len(value.history) not in lost:
            lost.add(len(value.history))
            raise UnavailableError("the answer was lost")
        return written

    async with registry(mesh_settings):
        await add(bus, "a")
        monkeypatch.setattr(Ledger, method, without_an_answer)

        async def asked(name: str, body: IncidentInput | RemarkNote | ExportNote, tries: int) -> IncidentEntry:
            for _ in range(tries):
                with pytest.raises(UnavailableError):
                    await ask(bus, name, body, IncidentEntry, actor=OPERATOR)
            first = await ask(bus, name, body, IncidentEntry, actor=OPERATOR)
            assert await ask(bus, name, body, IncidentEntry, actor=OPERATOR) == first
            return first

        opening = collision(request_id="0123456789abcdef")
        key = (await asked("incidents-open", opening, method == "create")).incident.id
        note = RemarkNote(id=key, text="The tow truck came", request_id="fedcba9876543210")
        await asked("incidents-remark", note, method == "update")
        export = ExportNote(id=key, request_id="export-20261130-abcdef")
        last = await asked("incidents-exported", export, method == "update")
        assert [step.action for step in last.incident.history] == ["opened", "remarked", "exported"]

        async def told() -> list[str]:
            found = [event for event in await collected(bus) if event.subject_id == key]
            return sorted(event.action if isinstance(event, events.Audit) else event.type for event in found)

        everything = [
            "incident-opened",
            "incident-remarked",
            "incident.exported",
            "incident.opened",
            "incident.updated",
        ]
        assert await eventually(told, lambda found: len(found) >= len(everything)) == everything


async def test_its_own_hold_counts_and_only_a_supervisor_shortens_it(bus: Bus, mesh_settings: MeshSettings) -> None:
    day_us = 86_400_000_000
    async with registry(mesh_settings):
        await add(bus, "a")
        key = (await ask(bus, "incidents-open", collision(hold_days=30), IncidentEntry, actor=OPERATOR)).incident.id
        longer = IncidentUpdate(id=key, patch=IncidentPatch(hold_days=90))
        shorter = IncidentUpdate(id=key, patch=IncidentPatch(hold_days=10))
        await ask(bus, "incidents-update", longer, IncidentEntry, actor=OPERATOR)
        with pytest.raises(ForbiddenError):
            await ask(bus, "incidents-update", shorter, IncidentEntry, actor=OPERATOR)
        closed = (await ask(bus, "incidents-close", IncidentKey(id=key), IncidentEntry, actor=SUPERVISOR)).incident
        assert closed.closed_us is not None
        assert closed.release_us == closed.closed_us + 90 * day_us
        moved = (await ask(bus, "incidents-update", shorter, IncidentEntry, actor=SUPERVISOR)).incident
        assert moved.release_us == closed.closed_us + 10 * day_us
        over = IncidentUpdate(id=key, patch=IncidentPatch(hold_days=0))
        await ask(bus, "incidents-update", over, IncidentEntry, actor=SUPERVISOR)

        async def released() -> bool:
            return (await ask(bus, "incidents-get", IncidentKey(id=key), IncidentEntry)).incident.released

        await eventually(released, lambda done: done)
        with pytest.raises(InvalidInputError, match="hold is over"):
            await ask(bus, "incidents-update", longer, IncidentEntry, actor=SUPERVISOR)


async def test_reopening_holds_again(bus: Bus, mesh_settings: MeshSettings) -> None:
    async with registry(mesh_settings):
        await add(bus, "a")
        key = IncidentKey(id=(await ask(bus, "incidents-open", collision(), IncidentEntry)).incident.id)
        await ask(bus, "incidents-close", key, IncidentEntry)
        opened = (await ask(bus, "incidents-reopen", key, IncidentEntry)).incident
        assert (opened.status, opened.release_us, opened.closed_us) == (IncidentStatus.OPEN, None, None)
        listed = await ask(bus, "incidents-list", IncidentQuery(status=IncidentStatus.OPEN, camera="a"), IncidentList)
        assert [entry.incident.id for entry in listed.incidents] == [key.id]


async def test_nonsense_is_refused_and_says_why(bus: Bus, mesh_settings: MeshSettings) -> None:
    async with registry(mesh_settings):
        await add(bus, "a")
        with pytest.raises(InvalidInputError, match="the catalogue has no x"):
            await ask(bus, "incidents-open", collision(cameras=["a", "x"]), IncidentEntry)
        with pytest.raises(InvalidInputError, match="to_us"):
            await ask(bus, "incidents-open", collision(to_us=FROM_US), IncidentEntry)
        with pytest.raises(NotFoundError):
            await ask(bus, "incidents-close", IncidentKey(id="incident-1"), IncidentEntry)
