"""Server-sent events from the real stream: as one may see them, in order, without a hole over reconnects."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import aiohttp
import pytest
from nats.js.api import StreamConfig

from services.contracts.events import (
    STREAMS,
    Audit,
    CameraOffline,
    CameraOnline,
    Event,
    IncidentOpened,
    RecordingGap,
    headers,
)
from services.contracts.models import Reason
from services.contracts.permissions import Actor, Role
from services.contracts.subjects import EVENTS_STREAM
from services.mesh.bus import Bus
from services.mesh.clock import TurnedClock
from services.mesh.event_stream import EventOutbox, ensure_stream
from services.mesh.nats_server import NatsServer
from services.mesh.settings import MeshSettings
from services.wall.front import event_feed
from services.wall.front.api import events
from services.wall.front.event_feed import EventFollower, FeedEvent
from services.wall.front.http.errors import FieldsError
from tests.wall.front.running import RunningFront, clock_that_goes, running_front

PATH = "/api/v1/events"


class Received(NamedTuple):
    """One event as a browser gets it."""

    id: str
    type: str
    data: dict[str, object]


def offline(number: int) -> CameraOffline:
    """The ``number``-th event of a test."""
    return CameraOffline(site="city", at_us=number, camera="cam-1", reason=Reason.TIMEOUT, detail="é—\n")


@asynccontextmanager
async def posting(bus: Bus) -> AsyncIterator[EventOutbox]:
    """An outbox that publishes."""
    await ensure_stream(bus)
    outbox = EventOutbox(bus, source="/test")
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(outbox.run())
        yield outbox
        running.cancel()


async def read(stream: aiohttp.ClientResponse, count: int, seconds: float = 90.0) -> list[Received]:
    """The next ``count`` events; comments and retry lines are passed over."""
    received: list[Received] = []
    async with asyncio.timeout(seconds):
        while len(received) < count:
            fields: dict[str, str] = {}
            while line := (await stream.content.readline()).decode().rstrip("\n"):
                name, _, value = line.partition(": ")
                fields[name] = value
            if "data" in fields:
                received.append(Received(fields.get("id", ""), fields["event"], json.loads(fields["data"])))
    return received


async def test_events_arrive_with_their_type_their_number_and_their_body(mesh_settings: MeshSettings, bus: Bus) -> None:
    async with posting(bus) as outbox, running_front(mesh_settings) as front, front.http.get(PATH) as stream:
        assert (stream.status, stream.content_type) == (200, "text/event-stream")
        assert stream.headers["Cache-Control"] == "no-store"
        await following(front)
        outbox.post(offline(1))
        outbox.post(
            IncidentOpened(site="city", at_us=2, incident="i-1", title="T", cameras=("c",), from_us=1, to_us=None)
        )
        first, second = await read(stream, 2)
        assert (first.type, first.data["camera"], first.data["reason"]) == ("camera.offline", "cam-1", "timeout")
        assert first.data["detail"] == "é—\n"
        assert (second.type, first.id, second.id) == ("incident.opened", "1-0", "2-0")


async def test_a_client_that_was_away_catches_up_at_any_front(mesh_settings: MeshSettings, bus: Bus) -> None:
    async with posting(bus) as outbox:
        async with running_front(mesh_settings) as front:
            async with front.http.get(PATH) as stream:
                await following(front)
                outbox.post(offline(1))
                (seen,) = await read(stream, 1)
            for number in range(2, 12):
                outbox.post(offline(number))
            await outbox.flush()
        async with running_front(mesh_settings) as other:
            await following(other)
            async with other.http.get(PATH, headers={"Last-Event-ID": seen.id}) as stream:
                outbox.post(offline(12))
                assert [event.data["at_us"] for event in await read(stream, 11)] == list(range(2, 13))
            async with other.http.get(f"{PATH}?last_event_id=10-0") as stream:
                assert [event.data["at_us"] for event in await read(stream, 2)] == [11, 12]


async def test_a_client_that_missed_more_than_it_is_sent_is_told_how_many(
    mesh_settings: MeshSettings, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "MAX_CATCH_UP", 3)
    async with posting(bus) as outbox, running_front(mesh_settings) as front:
        for number in range(1, 11):
            outbox.post(offline(number))
        await outbox.flush()
        async with front.http.get(PATH, headers={"Last-Event-ID": "1-0"}) as stream:
            skipped, *rest = await read(stream, 4)
            assert (skipped.type, skipped.data) == ("events.skipped", {"skipped": 6})
            assert [event.data["at_us"] for event in rest] == [8, 9, 10]


async def test_types_choose_and_audit_is_for_supervisors(mesh_settings: MeshSettings, bus: Bus) -> None:
    everything: list[Event] = [
        offline(1),
        CameraOnline(site="city", at_us=2, camera="cam-1"),
        RecordingGap(
            site="city", at_us=3, camera="cam-1", recorder="r", profile="main", from_us=1, to_us=2, cause="unknown"
        ),
        Audit(site="city", at_us=4, target="cam-1", action="exported", actor="budi", role="operator"),
    ]
    async with posting(bus) as outbox, running_front(mesh_settings) as front:
        await following(front)
        async with front.http.get(f"{PATH}?types=camera.online,audit") as stream:
            for event in everything:
                outbox.post(event)
            assert {event.type for event in await read(stream, 2)} == {"camera.online", "audit.action"}
        async with front.http.get(f"{PATH}?types=nonsense.x") as answer:
            assert answer.status == 422


def test_who_sees_what() -> None:
    def seen(role: Role, types: str = "") -> set[str]:
        accepts = events.event_filter(types, Actor("x", role))
        kinds = ("camera.offline", "recording.gap", "incident.opened", "audit.action", "novelty.x")
        return {t for t in kinds if accepts(FeedEvent("PANTAU_EVENTS", 1, t.partition(".")[0], t, b""))}

    assert seen(Role.AGENCY) == set(), "a partner is told of cameras that it was granted alone"
    for role in (Role.VIEWER, Role.OPERATOR):
        assert seen(role) == {"camera.offline", "recording.gap", "incident.opened"}
        assert seen(role, "audit") == set()
    for role in (Role.SUPERVISOR, Role.ADMIN):
        assert "audit.action" in seen(role)
        assert seen(role, "audit,camera") == {"audit.action", "camera.offline"}
    with pytest.raises(FieldsError):
        events.event_filter("cameras", Actor("x", Role.ADMIN))


async def test_no_event_is_lost_or_doubled_when_the_bus_restarts(
    mesh_settings: MeshSettings, bus: Bus, nats_server: NatsServer
) -> None:
    async with posting(bus) as outbox, running_front(mesh_settings) as front, front.http.get(PATH) as stream:
        await following(front)
        outbox.post(offline(1))
        await read(stream, 1)
        await nats_server.stop()
        outbox.post(offline(2))
        await nats_server.start()
        outbox.post(offline(3))
        numbers = [event.data["at_us"] for event in await read(stream, 2, 30)]
        assert numbers == [2, 3]


async def test_silence_is_broken_by_a_comment(mesh_settings: MeshSettings, bus: Bus) -> None:
    # passes if nothing raises
    clock = TurnedClock()
    await ensure_stream(bus)
    async with (
        running_front(mesh_settings, clock=clock) as front,
        front.http.get(PATH) as stream,
        clock_that_goes(clock, events.BEAT_SECONDS),
    ):
        while not (await stream.content.readline()).startswith(b": "):
            pass


def test_a_client_that_does_not_read_is_ended_and_its_events_are_freed() -> None:
    async def scenario() -> None:
        follower = EventFollower(lambda _: True)
        event = FeedEvent("PANTAU_EVENTS", 1, "camera", "camera.health", b"x")
        assert all(follower.offer_event(event) for _ in range(event_feed.MAX_WAITING))
        assert not follower.offer_event(event)
        assert await follower.next_events() is None

    asyncio.run(scenario())


async def test_the_front_serves_before_there_is_any_stream(mesh_settings: MeshSettings, bus: Bus) -> None:
    async with running_front(mesh_settings) as front, front.http.get(PATH) as stream:
        assert stream.status == 200
        async with posting(bus) as outbox:
            outbox.post(offline(1))
            (event,) = await read(stream, 1)
            assert event.data["at_us"] == 1


async def test_old_audit_that_is_copied_at_an_update_is_not_told_as_news(mesh_settings: MeshSettings, bus: Bus) -> None:
    old, new = (
        Audit(site="city", at_us=number, target="cam-1", action="exported", actor="budi", role="operator")
        for number in (1, 2)
    )
    await bus.js.add_stream(StreamConfig(name=EVENTS_STREAM, subjects=["pantau.v1.*.audit.>"]))
    await bus.js.publish(old.nats_subject, old.pack(), headers=headers(old, source="/test", event_id="1"))
    async with running_front(mesh_settings) as front, front.http.get(PATH) as stream, posting(bus) as outbox:
        outbox.post(new)
        (event,) = await read(stream, 1)
        assert (event.id.partition("-")[2], event.data["at_us"]) == ("2", 2)


async def following(front: RunningFront) -> None:
    """Returns when the front's consumers are there: events count from then on."""
    async with asyncio.timeout(90):
        for stream in STREAMS:
            while not (await front.bus.js.stream_info(stream)).state.consumer_count:
                await asyncio.sleep(0.02)


async def test_who_comes_back_gets_camera_events_and_audit_alike_and_none_twice(
    mesh_settings: MeshSettings, bus: Bus
) -> None:
    def audited(number: int) -> Audit:
        return Audit(site="city", at_us=number, target="cam-1", action="exported", actor="budi", role="operator")

    async with posting(bus) as outbox, running_front(mesh_settings) as front:
        await following(front)
        async with front.http.get(PATH) as stream:
            outbox.post(audited(1))
            (seen,) = await read(stream, 1)
        for event in (audited(2), offline(3)):
            outbox.post(event)
        await outbox.flush()
        async with front.http.get(PATH, headers={"Last-Event-ID": seen.id}) as stream:
            missed = await read(stream, 2)
            assert [event.data["at_us"] for event in missed] == [3, 2]
            outbox.post(audited(4))
            (after,) = await read(stream, 1)
            assert (after.id, after.data["at_us"]) == ("1-3", 4)
        async with front.http.get(PATH, headers={"Last-Event-ID": "0"}) as stream:  # an id of one stream for all
            (missed_event,) = await read(stream, 1)
            assert missed_event.data["at_us"] == 3


@pytest.mark.parametrize("text", ["", "x", "1-", "-1", "1-2-3", "9" * 30])
def test_no_id_of_another_kind_is_taken_for_a_place(text: str) -> None:
    assert event_feed.EventPlace.parse(text) is None
