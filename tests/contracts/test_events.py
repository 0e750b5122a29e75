"""Events: golden bytes and headers, and an outbox that loses nothing while the bus is away."""

import asyncio
from contextlib import suppress

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.contracts import subjects
from services.contracts.events import (
    EVENTS,
    Audit,
    CameraOffline,
    CameraOnline,
    Event,
    Outbox,
    ensure_stream,
    headers,
    parse,
)
from services.contracts.models import Reason
from services.mesh.bus import Bus
from services.mesh.nats_server import NatsServer
from services.mesh.settings import MeshSettings

OFFLINE = CameraOffline(site="malang", camera="simpang-1", at_us=1_700_000_000_123_456, reason=Reason.STALLED)
GOLDEN = bytes.fromhex(
    "85 a473697465 a66d616c616e67 a561745f7573 cf00060a2418202240 a663616d657261 a973696d70616e672d31"
    "a6726561736f6e a77374616c6c6564 a664657461696c a0"
)


def test_the_body_on_the_wire_does_not_change() -> None:
    assert OFFLINE.pack() == GOLDEN
    assert parse(GOLDEN, {"ce-type": "pantau.v1.camera.offline"}) == OFFLINE


def test_the_headers_are_cloudevents_in_binary_mode() -> None:
    assert headers(OFFLINE, source="/registry/registry-a", event_id="e-1") == {
        "ce-specversion": "1.0",
        "ce-id": "e-1",
        "ce-type": "pantau.v1.camera.offline",
        "ce-source": "/registry/registry-a",
        "ce-subject": "simpang-1",
        "ce-time": "2023-11-14T22:13:20.123Z",
        "Content-Type": "application/vnd.msgpack",
        "Nats-Msg-Id": "e-1",
    }


def test_what_a_header_cannot_carry_is_percent_encoded() -> None:
    source = headers(OFFLINE, source="/wall/kamera satu\r\nX: é", event_id="e")["ce-source"]
    assert source == "/wall/kamera%20satu%0D%0AX:%20%C3%A9"


def test_an_event_goes_out_under_its_own_subject() -> None:
    assert OFFLINE.nats_subject == "pantau.v1.malang.camera.offline.simpang-1"
    audit = Audit(site="malang", at_us=1, target="simpang-1", action="exported", actor="siti", role="supervisor")
    assert audit.nats_subject == "pantau.v1.malang.audit.exported.simpang-1"


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: f"{event.kind}.{event.name}")
def test_every_event_is_kept_by_the_stream_and_names_what_it_is_about(event: type[Event]) -> None:
    assert event.subject_field in event.model_fields
    assert event.kind in {pattern.split(".")[3] for pattern in subjects.EVENT_FILTERS}
    assert event.__doc__


def test_no_two_events_share_a_type() -> None:
    assert len({(event.kind, event.name) for event in EVENTS}) == len(EVENTS)


def test_a_reader_ignores_fields_that_a_later_writer_adds_and_types_it_does_not_know() -> None:
    later = msgpack.packb({**msgpack.unpackb(GOLDEN), "severity": 3})
    assert parse(later, {"ce-type": "pantau.v1.camera.offline"}) == OFFLINE
    assert parse(GOLDEN, {"ce-type": "pantau.v1.camera.stolen"}) is None
    assert parse(GOLDEN, None) is None


@given(st.binary(max_size=200))
def test_a_body_that_is_no_event_raises_value_error_alone(body: bytes) -> None:
    with suppress(ValueError):
        parse(body, {"ce-type": "pantau.v1.camera.offline"})


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
    outbox = Outbox(bus, source="/test")
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
    monkeypatch.setattr("services.contracts.events.OUTBOX_EVENTS", 3)
    outbox = Outbox(bus, source="/test")
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
    outbox = Outbox(bus, source="/test")
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


def test_a_reason_outside_the_closed_set_is_refused() -> None:
    with pytest.raises(ValueError, match="reason"):
        CameraOffline(site="city", camera="c", at_us=0, reason="tired")
