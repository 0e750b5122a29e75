"""Events: golden bytes and headers."""

from contextlib import suppress

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.contracts.events import EVENTS, STREAMS, Audit, CameraOffline, Event, headers, parse, stream_subjects
from services.contracts.models import Reason

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
def test_every_event_is_kept_by_one_stream_and_names_what_it_is_about(event: type[Event]) -> None:
    assert event.subject_field in event.model_fields
    assert [stream for stream in STREAMS if event.subject_filter() in stream_subjects(stream)] == [event.stream]
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
    # passes if nothing raises
    with suppress(ValueError):
        parse(body, {"ce-type": "pantau.v1.camera.offline"})


def test_a_reason_outside_the_closed_set_is_refused() -> None:
    with pytest.raises(ValueError, match="reason"):
        CameraOffline(site="city", camera="c", at_us=0, reason="tired")
