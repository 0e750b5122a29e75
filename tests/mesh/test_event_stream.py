"""The event stream and its outbox: nothing is lost while the bus is away."""

import asyncio
from typing import Any

import pytest

from services.contracts import subjects
from services.contracts.errors import UnavailableError
from services.contracts.events import CameraOnline, parse
from services.mesh.bus import Bus, BusMessage, BusSubscription, Handler
from services.mesh.clock import SystemClock, TurnedClock
from services.mesh.event_stream import (
    SILENT_SECONDS,
    EventOutbox,
    ensure_stream,
    events_between,
    follow_events,
    last_event_number,
)
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
    await outbox.flush(20)
    running.cancel()
    assert outbox.snapshot() == []
    assert await _received(bus, 40) == [f"cam-{number}" for number in range(40)]
    assert (await bus.js.stream_info(subjects.EVENTS_STREAM)).state.messages == 40


async def test_a_full_outbox_drops_the_oldest(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.mesh.event_stream.OUTBOX_EVENTS", 3)
    outbox = EventOutbox(bus, source="/test")
    for number in range(5):
        outbox.post(_online(number))
    assert [event["camera"] for event in outbox.snapshot()] == ["cam-2", "cam-3", "cam-4"]


async def test_the_stream_takes_new_limits_and_keeps_what_it_has(bus: Bus) -> None:
    await ensure_stream(bus, max_bytes=10_000_000)
    await bus.js.publish("pantau.v1.city.camera.online.cam-1", b"")
    await ensure_stream(bus, max_bytes=20_000_000)
    info = await bus.js.stream_info(subjects.EVENTS_STREAM)
    assert info.config.max_bytes == 20_000_000
    assert info.state.messages == 1


async def test_what_comes_every_minute_does_not_crowd_out_what_is_rare(bus: Bus) -> None:
    await ensure_stream(bus, max_per_subject=3)
    await bus.js.publish("pantau.v1.city.camera.offline.cam-1", b"")
    for _ in range(5):
        await bus.js.publish("pantau.v1.city.camera.health.cam-1", b"")
    info = await bus.js.stream_info(subjects.EVENTS_STREAM, subjects_filter=">")
    assert info.state.subjects == {
        "pantau.v1.city.camera.offline.cam-1": 1,
        "pantau.v1.city.camera.health.cam-1": 3,
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
    await outbox.flush(5)
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
    assert await last_event_number(bus) == 0
    await post_events(bus, 300)
    assert await last_event_number(bus) == 300
    read = [event async for event in events_between(bus, 20, 290)]
    assert [event.sequence for event in read] == list(range(21, 291))
    assert [event.message.data for event in read] == [b"%d" % number for number in range(20, 290)]
    assert [event async for event in events_between(bus, 290, 290)] == []


async def test_events_that_have_expired_are_left_out(bus: Bus) -> None:
    await ensure_stream(bus)
    await post_events(bus, 10)
    await bus.js.purge_stream(subjects.EVENTS_STREAM, seq=6)
    assert [event.sequence async for event in events_between(bus, 2, 8)] == [6, 7, 8]


async def test_without_a_stream_there_is_no_last_event_and_nothing_to_read(bus: Bus) -> None:
    assert await last_event_number(bus) == 0
    with pytest.raises(UnavailableError, match="event stream"):
        [event async for event in events_between(bus, 0, 1)]


async def test_followed_events_come_in_order_and_the_reconnect_ends_it(bus: Bus, nats_server: NatsServer) -> None:
    await ensure_stream(bus)
    await post_events(bus, 5)
    taken: list[int] = []
    following = asyncio.create_task(follow_events(bus, SystemClock(), 2, lambda event: taken.append(event.sequence)))
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


async def test_a_silence_ends_the_following(bus: Bus) -> None:
    await ensure_stream(bus)
    clock = TurnedClock()
    following = asyncio.create_task(follow_events(bus, clock, 0, lambda _event: None))
    await asyncio.sleep(0.1)
    clock.advance(SILENT_SECONDS)
    await asyncio.wait_for(following, 30)


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
    await asyncio.wait_for(follow_events(bus, SystemClock(), 0, lambda event: taken.append(event.sequence)), 30)
    assert taken == [1, 2]
