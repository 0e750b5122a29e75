"""H.264 and H.265 from RTP: real streams cut into payloads as good cameras and bad ones cut them."""

from collections.abc import Callable
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.media.depacketize.h264_units import H264Depacketizer
from services.media.depacketize.h265_units import H265Depacketizer
from services.media.depacketize.nal_units import MAX_UNIT_BYTES, NalDepacketizer
from services.media.nal import join_length_prefixed, split_annex_b
from services.media.packetize import packetize_h264, packetize_h265
from tests.media import encoded
from tests.media.depacketize.collected import Payload, Unit, Units, h264_fragments, h265_fragments, marked_last

LIMIT = 300
CODECS = ("h264", "h265")


@cache
def stream(codec: str, slices: int = 1) -> list[list[bytes]]:
    """The NAL units of 40 access units; keyframes carry their parameter sets."""
    if codec == "h264":
        options = (("x264-params", f"repeat-headers=1:slices={slices}"),)
        made = encoded.video("libx264", frames=40, gop=10, size=(320, 192), options=options)
    else:
        options = (("x265-params", f"repeat-headers=1:log-level=none:slices={slices}"),)
        made = encoded.video("libx265", frames=40, gop=10, size=(320, 192), options=options)
    return [split_annex_b(packet.data) for packet in made.packets]


def depacketizer(codec: str, units: Units) -> NalDepacketizer:
    return (H264Depacketizer if codec == "h264" else H265Depacketizer)(units, units.clock)


def fragments(codec: str, nal: bytes, size: int = LIMIT, header: bytes = b"") -> list[bytes]:
    if len(nal) <= size:
        return [header + nal]
    return (h264_fragments if codec == "h264" else h265_fragments)(nal, size, header=header)


def payloads_of(codec: str, nals: list[bytes]) -> list[bytes]:
    return [payload for nal in nals for payload in fragments(codec, nal)]


def is_slice(codec: str, nal: bytes) -> bool:
    return 1 <= nal[0] & 31 <= 5 if codec == "h264" else nal[0] & 0x40 == 0


def sent(codec: str, mark: Callable[[int, int, list[bytes]], bool], *, slices: int = 1) -> list[Payload]:
    """All access units, 3600 ticks apart; ``mark`` says which payloads of one carry the marker."""
    found = []
    for number, nals in enumerate(stream(codec, slices)):
        payloads = payloads_of(codec, nals)
        found += [Payload(data, number * 3600, mark(at, len(payloads), payloads)) for at, data in enumerate(payloads)]
    return found


def last(at: int, count: int, _payloads: list[bytes]) -> bool:
    return at == count - 1


def never(_at: int, _count: int, _payloads: list[bytes]) -> bool:
    return False


def always(_at: int, _count: int, _payloads: list[bytes]) -> bool:
    return True


def assert_whole(codec: str, units: list[Unit], *, slices: int = 1) -> None:
    assert [unit.data for unit in units] == stream(codec, slices)
    assert [unit.timestamp for unit in units] == [number * 3600 for number in range(40)]
    assert not any(unit.damaged or unit.after_hole for unit in units)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("slices", [1, 4])
@pytest.mark.parametrize("mark", [last, never, always], ids=["marked", "never marked", "always marked"])
def test_access_units_are_whole_wherever_the_markers_stand(
    codec: str, slices: int, mark: Callable[[int, int, list[bytes]], bool]
) -> None:
    units = Units()
    assert_whole(codec, units.push(depacketizer(codec, units), sent(codec, mark, slices=slices)), slices=slices)


@pytest.mark.parametrize("codec", CODECS)
def test_markers_on_parameter_sets_end_nothing(codec: str) -> None:
    def mark(at: int, count: int, payloads: list[bytes]) -> bool:
        whole = payloads[at][0] & 31 != 28 if codec == "h264" else payloads[at][0] >> 1 & 63 != 49
        return at == count - 1 or (whole and not is_slice(codec, payloads[at]))

    units = Units()
    assert_whole(codec, units.push(depacketizer(codec, units), sent(codec, mark)))


@pytest.mark.parametrize("codec", CODECS)
def test_a_marker_that_can_be_trusted_ends_an_access_unit_at_once(codec: str) -> None:
    units = Units()
    one = depacketizer(codec, units)
    waits = []
    for number, nals in enumerate(stream(codec)):
        units.push(one, marked_last(payloads_of(codec, nals), number * 3600), flush=False)
        waits.append(number + 1 - len(units.units))
    assert waits == [1, 1, 1, *[0] * 37], "the first three show that the marker can be trusted"
    assert units.units[-1].arrival_us == units.clock.arrival_us


@pytest.mark.parametrize("codec", CODECS)
def test_the_arrival_is_that_of_the_last_byte_not_of_what_ended_the_unit(codec: str) -> None:
    units = Units()
    found = units.push(depacketizer(codec, units), sent(codec, never))
    counts = [len(payloads_of(codec, nals)) for nals in stream(codec)]
    assert [unit.arrival_us for unit in found] == [sum(counts[: number + 1]) for number in range(40)]


@pytest.mark.parametrize("codec", CODECS)
def test_a_clock_that_stands_still_ends_units_at_first_slices(codec: str) -> None:
    units = Units()
    payloads = [payload._replace(timestamp=5) for payload in sent(codec, never, slices=4)]
    found = units.push(depacketizer(codec, units), payloads)
    slices = [[nal for nal in nals if is_slice(codec, nal)] for nals in stream(codec, 4)]
    assert [[nal for nal in unit.data if isinstance(nal, bytes) and is_slice(codec, nal)] for unit in found] == slices


@pytest.mark.parametrize("codec", CODECS)
def test_silence_ends_a_unit_sooner_where_its_last_packet_is_marked(codec: str) -> None:
    for mark, patience in ((True, 0.1), (False, 0.6)):
        units = Units()
        one = depacketizer(codec, units)
        payloads = payloads_of(codec, stream(codec)[0])
        units.push(one, [Payload(data, 0, mark and data is payloads[-1]) for data in payloads], flush=False)
        one.flush(0.05)
        assert not units.units
        one.flush(patience)
        assert len(units.units) == 1


@pytest.mark.parametrize("codec", CODECS)
def test_aggregated_units_are_taken_apart(codec: str) -> None:
    packetize = packetize_h264 if codec == "h264" else packetize_h265
    units = Units()
    one = depacketizer(codec, units)
    for number, nals in enumerate(stream(codec)):
        units.push(one, marked_last(packetize(join_length_prefixed(nals), 900), number * 3600), flush=False)
    one.flush(1)
    assert_whole(codec, units.units)


@pytest.mark.parametrize("codec", CODECS)
def test_an_aggregation_packet_whose_lengths_do_not_lead_to_its_end_is_damage(codec: str) -> None:
    head = b"\x78" if codec == "h264" else b"\x60\x01"
    whole = {tuple(nal for nal in nals if is_slice(codec, nal)) for nals in stream(codec)}
    for short in range(1, 40):
        units = Units()
        one = depacketizer(codec, units)
        for number, nals in enumerate(stream(codec)[:12]):
            # Each third picture's last length is too short, and of each third there are zeros behind.
            lengths = [len(nal) - short * (number % 3 == 1 and nal is nals[-1]) for nal in nals]
            behind = bytes(short % 8) if number % 3 == 2 else b""
            body = b"".join(size.to_bytes(2, "big") + nal for size, nal in zip(lengths, nals, strict=True))
            units.push(one, [Payload(head + body + behind, number * 3600, True)], flush=False)
        one.flush(1)
        good = [tuple(nal for nal in unit.data if is_slice(codec, nal)) for unit in units.units if not unit.damaged]  # type: ignore[arg-type]  # lists of them
        assert whole.issuperset(good), short
        assert len(good) >= 4


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("code", [b"\0\0\1", b"\0\0\0\1"])
def test_start_codes_in_front_of_units_and_in_first_fragments_are_left_out(codec: str, code: bytes) -> None:
    units = Units()
    one = depacketizer(codec, units)
    for number, nals in enumerate(stream(codec)):
        payloads = [payload for nal in nals for payload in fragments(codec, nal, header=code)]
        units.push(one, marked_last(payloads, number * 3600), flush=False)
    one.flush(1)
    assert_whole(codec, units.units)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("code", [b"\0\0\1", b"\0\0\0\1"])
def test_a_whole_access_unit_in_one_unit_is_split_at_start_codes(codec: str, code: bytes) -> None:
    units = Units()
    one = depacketizer(codec, units)
    for number, nals in enumerate(stream(codec, 4)):
        payloads = fragments(codec, code.join(nals), 500)
        units.push(one, marked_last(payloads, number * 3600), flush=False)
    one.flush(1)
    assert_whole(codec, units.units, slices=4)


@pytest.mark.parametrize("codec", CODECS)
def test_trailing_zeros_are_no_part_of_a_unit(codec: str) -> None:
    units = Units()
    one = depacketizer(codec, units)
    for number, nals in enumerate(stream(codec)):
        payloads = [payload + b"\0\0\0" for nal in nals for payload in fragments(codec, nal, 100_000)]
        units.push(one, marked_last(payloads, number * 3600), flush=False)
    one.flush(1)
    assert_whole(codec, units.units)


@pytest.mark.parametrize("codec", CODECS)
def test_fragments_that_change_their_type_are_empty_or_lack_their_end_are_put_together(codec: str) -> None:
    at = 1 if codec == "h264" else 2
    mask = 0x1F if codec == "h264" else 0x3F
    found = []
    for number, payload in enumerate(sent(codec, last)):
        data = bytearray(payload.data or b"")
        is_fragment = data[0] & 31 == 28 if codec == "h264" else data[0] >> 1 & 63 == 49
        if is_fragment:
            head = bytes(data[: at + 1])
            if data[at] & 0x80:
                found.append(payload._replace(data=head, marker=False))  # a first fragment without data
                data[at] &= 0x7F
            else:
                data[at] = data[at] & ~mask | (1 if number % 2 else data[at] & mask)
                found.append(payload._replace(data=bytes((*head[:at], head[at] & mask)), marker=False))
            data[at] &= ~0x40
        found.append(payload._replace(data=bytes(data)))
    units = Units()
    assert_whole(codec, units.push(depacketizer(codec, units), found))


@pytest.mark.parametrize("codec", CODECS)
def test_empty_payloads_change_nothing(codec: str) -> None:
    found = []
    for payload in sent(codec, last):
        found += [payload._replace(data=b"", marker=False), payload]
    units = Units()
    assert_whole(codec, units.push(depacketizer(codec, units), found))


# holes


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("mark", [last, never], ids=["marked", "never marked"])
def test_a_unit_with_a_hole_is_damaged_whichever_packet_is_missing(
    codec: str, mark: Callable[[int, int, list[bytes]], bool]
) -> None:
    payloads = sent(codec, mark, slices=4)
    whole = stream(codec, 4)
    for missing in range(60, len(payloads) - 40, 7):
        units = Units()
        cut = [*payloads[:missing], Payload(None, 0, False), *payloads[missing + 1 :]]
        found = units.push(depacketizer(codec, units), cut)
        by_time = {unit.timestamp: unit for unit in found}
        for number, nals in enumerate(whole):
            unit = by_time.get(number * 3600)
            assert unit is None or unit.damaged or unit.data == nals or _lacks_no_slice(codec, unit, nals), missing
        assert any(unit.after_hole for unit in found)
        assert sum(unit.damaged for unit in found) <= 2


def _lacks_no_slice(codec: str, unit: Unit, nals: list[bytes]) -> bool:
    """What is missing is a parameter set, a delimiter or SEI in front of the first slice."""
    slices = [nal for nal in nals if is_slice(codec, nal)]
    return [nal for nal in unit.data if isinstance(nal, bytes) and is_slice(codec, nal)] == slices


@pytest.mark.parametrize("codec", CODECS)
def test_what_was_complete_in_front_of_a_hole_is_well(codec: str) -> None:
    payloads = sent(codec, last)
    counts = [len(payloads_of(codec, nals)) for nals in stream(codec)]
    begin, end = sum(counts[:20]), sum(counts[:22])
    units = Units()
    found = units.push(depacketizer(codec, units), [*payloads[:begin], Payload(None, 0, False), *payloads[end:]])
    assert not any(unit.damaged for unit in found)
    assert [unit.timestamp for unit in found if unit.after_hole] == [22 * 3600]


@pytest.mark.parametrize("codec", CODECS)
def test_joining_in_the_middle_of_a_picture_is_damage(codec: str) -> None:
    units = Units()
    payloads = sent(codec, last)
    first = len(payloads_of(codec, stream(codec)[0]))
    found = units.push(depacketizer(codec, units), payloads[first - 1 :])
    assert found[0].damaged or (found[0].timestamp > 0 and found[0].after_hole)
    assert not any(unit.damaged for unit in found[1:])


# a stream that goes on in the other codec


@pytest.mark.parametrize("codec", CODECS)
def test_the_other_codecs_parameter_sets_are_noticed(codec: str) -> None:
    other = CODECS[codec == CODECS[0]]
    heard: list[tuple[str, bytes]] = []
    units = Units()
    kind = H264Depacketizer if codec == "h264" else H265Depacketizer
    one = kind(units, units.clock, (), lambda name, data, start, end, *_: heard.append((name, bytes(data[start:end]))))
    units.push(one, sent(codec, last))
    assert not heard
    assert_whole(codec, units.units)
    beginning = next(nal for nal in stream(other)[0] if not is_slice(other, nal) and _names_itself(other, nal))
    units.push(one, [Payload(beginning, 40 * 3600, False)])
    assert heard == [(other, beginning)]


def _names_itself(codec: str, nal: bytes) -> bool:
    return nal[0] & 31 == 7 if codec == "h264" else nal[0] >> 1 & 63 == 32


# hostile input


@pytest.mark.parametrize("codec", CODECS)
@given(data=st.data())
@settings(deadline=None)
def test_any_payloads_are_taken_or_dropped(codec: str, data: st.DataObject) -> None:
    head = st.sampled_from([b"", b"\x7c\x85", b"\x7c\x45", b"\x78", b"\x62\x01\x93", b"\x60\x01", b"\x00\x00\x01"])
    payload = st.builds(
        Payload,
        st.one_of(st.none(), st.builds(lambda a, b: a + b, head, st.binary(max_size=60))),
        st.integers(0, 3),
        st.booleans(),
    )
    units = Units()
    one = depacketizer(codec, units)
    for unit in units.push(one, data.draw(st.lists(payload, max_size=60))):
        assert unit.data
        assert all(unit.data)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("size", [1, 60_000])
def test_a_unit_that_never_ends_is_thrown_away(codec: str, size: int) -> None:
    units = Units()
    one = depacketizer(codec, units)
    first, *_ = fragments(codec, stream(codec)[0][-1] + bytes(600))
    middle = first[:1] + b"\x05" if codec == "h264" else first[:2] + b"\x13"
    one.push(bytearray(first), 0, len(first), False, 1)
    fragment = bytearray(middle + b"\xab" * size)
    count = (MAX_UNIT_BYTES + 1) // (size + 64) + 2
    for _ in range(count):
        one.push(fragment, 0, len(fragment), False, 1)
    assert one.malformed == 1
    assert one.held_bytes < MAX_UNIT_BYTES
    assert not units.units
