"""The event stream and its outbox: nothing is lost while the bus is away."""

import asyncio
from typing import Any

import pytest
from nats.aio.msg import Msg
from nats.js.api import DiscardPolicy, StreamConfig, StreamSource
from nats.js.client import JetStreamContext

from services.contracts import subjects
from services.contracts.errors import UnavailableError
from services.contracts.events import Audit, CameraHealth, CameraOnline, Event, SegmentClosed, parse
from services.mesh.bus import Bus, BusMessage, BusSubscription, Handler
from services.mesh.clock import SystemClock, TurnedClock
from services.mesh.event_stream import (
    EventOutbox,
    StreamLimits,
    ensure_stream,
    events_between,
    events_since,
    follow_events,
    last_event_number,
)
from services.mesh.following import SILENT_SECONDS
from services.mesh.nats_server import NatsServer
from services.mesh.settings import MeshSettings


def _online(number: int) -> CameraOnline:
    return CameraOnline(site="city", camera=f"cam-{number}", at_us=number)


async def _received(bus: Bus, count: int) -> list[str]:
    subscription = await bus.js.subscribe("pantau.v1.*.camera.>", ordered_consumer=True)
    messages = [await subscription.next_msg(timeout=30) for _ in range(count)]
    await subscription.unsubscribe()
    return [message.subject.rpartition(".")[2] for message in messages]


async def test_events_arrive_once_and_in_order_although_the_server_restarts_meanwhile(
    bus: Bus, nats_server: NatsServer
) -> None:
    await ensure_stream(bus)
    outbox = EventOutbox(bus, source="/test")
    running = asyncio.create_task(outbox.run())
    for number in range(20):
        outbox.post(_online(number))
    await nats_server.kill()
    for number in range(20, 40):
        outbox.post(_online(number))
    await nats_server.start()
    await outbox.flush(90)
    running.cancel()
    assert outbox.snapshot() == []
    assert await _received(bus, 40) == [f"cam-{number}" for number in range(40)]
    assert (await bus.js.stream_info(subjects.EVENTS_STREAM)).state.messages == 40


async def test_the_end_of_a_process_does_not_wait_for_a_bus_that_is_away(bus: Bus, nats_server: NatsServer) -> None:
    outbox = EventOutbox(bus, source="/test")
    running = asyncio.create_task(outbox.run())
    await nats_server.kill()
    async with asyncio.timeout(60):
        while bus.connected:
            await asyncio.sleep(0.01)
    outbox.post(_online(1))
    await outbox.flush()
    assert len(outbox.snapshot()) == 1
    running.cancel()
    await nats_server.start()


async def test_a_full_outbox_drops_the_oldest(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.mesh.event_stream.OUTBOX_EVENTS", 3)
    outbox = EventOutbox(bus, source="/test")
    for number in range(5):
        outbox.post(_online(number))
    assert [event.subject_id for event in outbox.snapshot()] == ["cam-2", "cam-3", "cam-4"]


async def test_the_stream_takes_new_limits_and_keeps_what_it_has(bus: Bus) -> None:
    await ensure_stream(bus, StreamLimits(events_bytes=10_000_000))
    await bus.js.publish("pantau.v1.city.camera.online.cam-1", b"")
    await ensure_stream(bus, StreamLimits(events_bytes=20_000_000))
    info = await bus.js.stream_info(subjects.EVENTS_STREAM)
    assert info.config.max_bytes == 20_000_000
    assert info.state.messages == 1


async def test_what_comes_often_does_not_crowd_out_what_is_rare(bus: Bus) -> None:
    await ensure_stream(bus, StreamLimits(events_per_subject=3))
    await bus.js.publish("pantau.v1.city.camera.offline.cam-1", b"")
    for _ in range(5):
        await bus.js.publish("pantau.v1.city.camera.degraded.cam-1", b"")
    info = await bus.js.stream_info(subjects.EVENTS_STREAM, subjects_filter=">")
    assert info.state.subjects == {
        "pantau.v1.city.camera.offline.cam-1": 1,
        "pantau.v1.city.camera.degraded.cam-1": 3,
    }


async def test_a_subscriber_that_was_away_catches_up(bus: Bus, mesh_settings: MeshSettings) -> None:
    await ensure_stream(bus)
    outbox = EventOutbox(bus, source="/test")
    running = asyncio.create_task(outbox.run())
    durable = await bus.js.pull_subscribe("pantau.v1.*.camera.>", durable="partner", stream=subjects.EVENTS_STREAM)
    outbox.post(_online(1))
    (first,) = await durable.fetch(1, timeout=30)
    await first.ack()
    assert isinstance(parse(first.data, first.headers), CameraOnline)
    for number in (2, 3):
        outbox.post(_online(number))
    await outbox.flush(90)
    later = await Bus.connect(mesh_settings, "later")
    again = await later.js.pull_subscribe("", durable="partner", stream=subjects.EVENTS_STREAM)
    subjects_seen = [message.subject for message in await again.fetch(2, timeout=30)]
    running.cancel()
    await later.close()
    assert subjects_seen == ["pantau.v1.city.camera.online.cam-2", "pantau.v1.city.camera.online.cam-3"]


async def post_events(bus: Bus, count: int) -> None:
    for number in range(count):
        await bus.js.publish(f"pantau.v1.city.camera.online.cam-{number}", b"%d" % number)


async def test_old_events_are_read_by_their_numbers(bus: Bus) -> None:
    await ensure_stream(bus)
    assert await last_event_number(bus, subjects.EVENTS_STREAM) == 0
    await post_events(bus, 300)
    assert await last_event_number(bus, subjects.EVENTS_STREAM) == 300
    read = [event async for event in events_between(bus, subjects.EVENTS_STREAM, 20, 290)]
    assert [event.sequence for event in read] == list(range(21, 291))
    assert [event.message.data for event in read] == [b"%d" % number for number in range(20, 290)]
    assert [event async for event in events_between(bus, subjects.EVENTS_STREAM, 290, 290)] == []


@pytest.mark.parametrize("lost", [False, True])
@pytest.mark.parametrize("by_number", [False, True])
async def test_a_slow_bus_makes_no_reading_end_early(
    bus: Bus, monkeypatch: pytest.MonkeyPatch, by_number: bool, lost: bool
) -> None:
    await ensure_stream(bus)
    for number in range(3):
        event = _online(number)
        await bus.js.publish(event.nats_subject, event.pack())
    fetch = JetStreamContext.PullSubscription.fetch
    times = iter(range(100))

    async def late(self: JetStreamContext.PullSubscription, batch: int = 1, timeout: float | None = 5) -> list[Msg]:
        if next(times) == 1:
            if lost:
                await fetch(self, batch, timeout)
            raise TimeoutError
        return await fetch(self, 1, timeout)

    monkeypatch.setattr(JetStreamContext.PullSubscription, "fetch", late)
    stream = subjects.EVENTS_STREAM
    reading = events_between(bus, stream, 0, 3) if by_number else events_since(bus, stream, "pantau.v1.>", 0)
    if lost:
        with pytest.raises(UnavailableError):
            [each async for each in reading]
    else:
        assert [each.sequence async for each in reading] == [1, 2, 3]


async def test_events_that_have_expired_are_left_out(bus: Bus) -> None:
    await ensure_stream(bus)
    await post_events(bus, 10)
    await bus.js.purge_stream(subjects.EVENTS_STREAM, seq=6)
    assert [event.sequence async for event in events_between(bus, subjects.EVENTS_STREAM, 2, 8)] == [6, 7, 8]


async def test_without_a_stream_there_is_no_last_event_and_nothing_to_read(bus: Bus) -> None:
    assert await last_event_number(bus, subjects.EVENTS_STREAM) == 0
    with pytest.raises(UnavailableError, match="event stream"):
        [event async for event in events_between(bus, subjects.EVENTS_STREAM, 0, 1)]


async def follow(bus: Bus, after: int, taken: list[int]) -> None:
    clock = SystemClock()
    await follow_events(bus, clock, subjects.EVENTS_STREAM, after, lambda event: taken.append(event.sequence))


async def test_followed_events_come_in_order_and_the_reconnect_ends_it(bus: Bus, nats_server: NatsServer) -> None:
    await ensure_stream(bus)
    await post_events(bus, 5)
    taken: list[int] = []
    following = asyncio.create_task(
        follow_events(bus, SystemClock(), subjects.EVENTS_STREAM, 2, lambda event: taken.append(event.sequence))
    )
    async with asyncio.timeout(90):
        while taken != [3, 4, 5]:
            await asyncio.sleep(0.01)
        await post_events(bus, 2)
        while taken != [3, 4, 5, 6, 7]:
            await asyncio.sleep(0.01)
        assert not following.done()
        await nats_server.kill()
        await nats_server.start()
        await following


async def test_following_over_a_closed_connection_is_refused_and_leaves_no_task(mesh_settings: MeshSettings) -> None:
    closed = await Bus.connect(mesh_settings, "closed")
    await closed.close()
    before = asyncio.all_tasks()
    with pytest.raises(UnavailableError):
        await follow(closed, 0, [])
    assert asyncio.all_tasks() <= before


async def test_a_silence_ends_the_following(bus: Bus) -> None:
    await ensure_stream(bus)
    clock = TurnedClock()
    following = asyncio.create_task(follow_events(bus, clock, subjects.EVENTS_STREAM, 0, lambda _event: None))
    async with asyncio.timeout(90):
        while not following.done():  # one turn may fall just before a heartbeat
            clock.advance(SILENT_SECONDS)
            await asyncio.sleep(0.1)
    await following


async def test_a_hole_among_what_is_followed_ends_it_and_nothing_after_the_hole_is_taken(bus: Bus) -> None:
    await ensure_stream(bus)
    taken: list[int] = []
    cut = False

    async def lossy(subject: str, handler: Handler, **options: Any) -> BusSubscription:
        async def lose(message: BusMessage) -> None:
            nonlocal cut
            if not cut and message.reply and message.metadata.sequence.stream == 3:
                cut = True
            else:
                await handler(message)

        return await subscribe(subject, lose, **options)

    subscribe = bus.subscribe
    bus.subscribe = lossy  # type: ignore[method-assign]  # a connection that loses one message
    await post_events(bus, 5)
    await asyncio.wait_for(
        follow_events(bus, SystemClock(), subjects.EVENTS_STREAM, 0, lambda event: taken.append(event.sequence)), 30
    )
    assert taken == [1, 2]


AUDITED = Audit(site="city", at_us=1, target="cam-1", action="viewed", actor="siti", role="operator")
SEAL = SegmentClosed(
    site="city", at_us=2, camera="cam-1", recorder="r-1", profile="main", path="x.mp4", from_us=1, to_us=2,
    size_bytes=3, frames=4, keyframes=1, codec="h264",
)  # fmt: skip


async def kept(bus: Bus, stream: str) -> dict[str, int]:
    """Subject → how many messages of it the stream has."""
    return (await bus.js.stream_info(stream, subjects_filter=">")).state.subjects or {}


async def publish_all(bus: Bus, *events: Event) -> EventOutbox:
    outbox = EventOutbox(bus, source="/test")
    for event in events:
        outbox.post(event)
    running = asyncio.create_task(outbox.run())
    await outbox.flush(30)
    running.cancel()
    return outbox


async def test_audit_health_and_all_others_are_kept_apart(bus: Bus) -> None:
    await ensure_stream(bus)
    health = [CameraHealth(site="city", at_us=n, camera="cam-1", status="online", profiles={}) for n in range(3)]
    outbox = await publish_all(bus, _online(1), AUDITED, SEAL, *health)
    assert outbox.snapshot() == []
    assert await kept(bus, subjects.EVENTS_STREAM) == {"pantau.v1.city.camera.online.cam-1": 1}
    assert await kept(bus, subjects.AUDIT_STREAM) == {AUDITED.nats_subject: 1, SEAL.nats_subject: 1}
    async with asyncio.timeout(90):  # nobody waits until figures are acknowledged
        while await kept(bus, subjects.HEALTH_STREAM) != {"pantau.v1.city.camera.health.cam-1": 1}:
            await asyncio.sleep(0.01)


async def test_a_full_audit_stream_refuses_keeps_what_it_has_and_holds_up_no_camera_event(bus: Bus) -> None:
    await ensure_stream(bus, StreamLimits(audit_bytes=1000))
    audits = [AUDITED.model_copy(update={"at_us": number, "detail": {"text": "x" * 300}}) for number in range(3)]
    outbox = EventOutbox(bus, source="/test")
    running = asyncio.create_task(outbox.run())
    for event in (*audits, _online(1)):
        outbox.post(event)
    async with asyncio.timeout(90):
        while len(outbox.snapshot()) != 2:
            await asyncio.sleep(0.01)
    assert await kept(bus, subjects.AUDIT_STREAM) == {AUDITED.nats_subject: 1}
    await ensure_stream(bus, StreamLimits(audit_bytes=100_000))
    await outbox.flush(30)
    running.cancel()
    assert await kept(bus, subjects.AUDIT_STREAM) == {AUDITED.nats_subject: 3}


async def old_stream(bus: Bus, *events: Event) -> None:
    """As versions before 2026-11-30 made it, with all events in it."""
    filters = [f"pantau.v1.*.{kind}.>" for kind in ("camera", "recording", "incident", "audit")]
    await bus.js.add_stream(name=subjects.EVENTS_STREAM, subjects=filters)
    await publish_all(bus, *events)


async def test_what_one_stream_kept_before_there_were_three_is_in_the_audit_stream(bus: Bus) -> None:
    await old_stream(bus, _online(1), AUDITED, SEAL)
    old = await kept(bus, subjects.EVENTS_STREAM)
    for _ in range(2):  # a second start copies nothing again
        await ensure_stream(bus)
        assert await kept(bus, subjects.AUDIT_STREAM) == {AUDITED.nats_subject: 1, SEAL.nats_subject: 1}
    assert await kept(bus, subjects.EVENTS_STREAM) == old
    info = await bus.js.stream_info(subjects.AUDIT_STREAM)
    assert not info.config.sources
    message = await bus.js.get_last_msg(subjects.AUDIT_STREAM, AUDITED.nats_subject)  # both are copied at once
    assert parse(message.data or b"", message.headers) == AUDITED
    await publish_all(bus, AUDITED)
    assert (await kept(bus, subjects.AUDIT_STREAM))[AUDITED.nats_subject] == 2


async def test_a_start_that_was_interrupted_while_it_copied_is_finished_by_the_next(bus: Bus) -> None:
    await old_stream(bus, AUDITED)
    source = StreamSource(name=subjects.EVENTS_STREAM, filter_subject=Audit.subject_filter())
    await bus.js.add_stream(StreamConfig(name=subjects.AUDIT_STREAM, sources=[source], discard=DiscardPolicy.NEW))
    await ensure_stream(bus)
    assert await kept(bus, subjects.AUDIT_STREAM) == {AUDITED.nats_subject: 1}
    assert not (await bus.js.stream_info(subjects.AUDIT_STREAM)).config.sources
