"""The event stream and its outbox: nothing is lost while the bus is away."""

import asyncio

import pytest

from services.contracts import subjects
from services.contracts.events import CameraOnline, parse
from services.mesh.bus import Bus
from services.mesh.event_stream import EventOutbox, ensure_stream
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
