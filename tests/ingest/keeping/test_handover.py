"""How kept footage is cut into payloads, and with which keyframe a hand-over begins."""

from services.contracts.keeping import split_messages
from services.ingest.keeping.chunks import CHUNK_BYTES
from services.ingest.keeping.handover import _last_keyframe, _payloads_of
from tests.ingest.keeping.made import picture, pictures, sound


def test_payloads_hold_all_messages_in_order_and_are_no_larger_than_a_chunk() -> None:
    messages = pictures(0, 100, size_bytes=50_000)
    payloads = list(_payloads_of(messages, 8 * 1024 * 1024))
    assert [message for payload in payloads for message in split_messages(payload)] == messages
    assert 1 < len(payloads) < 10
    assert all(len(payload) <= CHUNK_BYTES + 100_000 for payload in payloads)


def test_no_payload_is_too_large_for_nats_server_and_what_is_was_not_sent_live_either() -> None:
    messages = [*pictures(0, 10, size_bytes=20_000), picture(10, size_bytes=70_000), *pictures(11, 3)]
    payloads = list(_payloads_of(messages, 65_536))
    assert all(len(payload) <= 65_536 for payload in payloads)
    assert [each for payload in payloads for each in split_messages(payload)] == [*messages[:10], *messages[11:]]


def test_who_has_no_open_file_begins_with_the_keyframe_at_or_before_the_next_picture() -> None:
    messages = [message for number in range(20) for message in (picture(number), sound(number))]
    assert _last_keyframe(messages, 1007) == 1005
    assert _last_keyframe(messages, 1009) == 1010  # the next one is a keyframe
    assert _last_keyframe(messages[2:8], 1002) is None  # that GOP began earlier
