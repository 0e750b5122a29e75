"""Sound from RTP: G.711 and Opus as they are, AAC out of both of its payload formats."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.media.depacketize.aac_units import MAX_UNIT_BYTES, AacDepacketizer
from services.media.depacketize.formats import declared_extradata, is_readable, make_depacketizer
from services.media.depacketize.latm_units import MAX_ELEMENT_BYTES, LatmDepacketizer, declared_mux
from services.media.depacketize.sound import PlainDepacketizer
from services.media.sdp import RtpFormat, parse_parameters
from tests.media import encoded
from tests.media.depacketize.collected import Payload, Units

HBR = parse_parameters("mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config=1408")
FRAMES = [bytes((number,)) * (20 + number) for number in range(12)]


def generic(frames: list[bytes]) -> bytes:
    headers = b"".join((len(frame) << 3).to_bytes(2, "big") for frame in frames)
    return (16 * len(frames)).to_bytes(2, "big") + headers + b"".join(frames)


def test_plain_payloads_are_frames() -> None:
    units = Units()
    found = units.push(
        PlainDepacketizer(units, units.clock),
        [Payload(b"one", 0, True), Payload(b"", 160, False), Payload(None, 0, False), Payload(b"two", 320, False)],
    )
    assert [(unit.data, unit.timestamp, unit.after_hole) for unit in found] == [(b"one", 0, False), (b"two", 320, True)]


def test_aac_frames_stand_behind_their_headers_several_in_a_payload() -> None:
    units = Units()
    one = AacDepacketizer(units, units.clock, HBR, 16_000)
    found = units.push(one, [Payload(generic(FRAMES[at : at + 3]), at * 1024, True) for at in range(0, 12, 3)])
    assert [unit.data for unit in found] == FRAMES
    assert [unit.timestamp for unit in found] == [at * 1024 for at in range(12)]


def test_a_frame_in_fragments_is_put_together_and_one_with_a_hole_left_out() -> None:
    frame = bytes(range(256)) * 8
    head = (16).to_bytes(2, "big") + (len(frame) << 3).to_bytes(2, "big")
    pieces = [Payload(head + frame[at : at + 500], 5, at + 500 >= len(frame)) for at in range(0, len(frame), 500)]
    units = Units()
    one = AacDepacketizer(units, units.clock, HBR, 16_000)
    assert [unit.data for unit in units.push(one, pieces)] == [frame]
    again = [payload._replace(timestamp=1029) for payload in pieces]
    units.push(one, [*again[:2], Payload(None, 0, False), *again[3:], Payload(generic(FRAMES[:1]), 2053, True)])
    assert [(unit.data, unit.after_hole) for unit in units.units[1:]] == [(FRAMES[0], True)]


def test_without_headers_a_payload_is_a_frame() -> None:
    units = Units()
    one = AacDepacketizer(units, units.clock, parse_parameters("mode=generic;config=1408"), 16_000)
    assert [unit.data for unit in units.push(one, [Payload(b"frame", 0, True)])] == [b"frame"]


def test_auxiliary_data_is_skipped() -> None:
    units = Units()
    parameters = HBR | {"auxiliarydatasizelength": "8"}
    payload = (16).to_bytes(2, "big") + (5 << 3).to_bytes(2, "big") + b"\x10\xaa\xbb" + b"frame"
    one = AacDepacketizer(units, units.clock, parameters, 16_000)
    assert [unit.data for unit in units.push(one, [Payload(payload, 0, True)])] == [b"frame"]


class Bits:
    """Writes bits."""

    def __init__(self) -> None:
        self.text = ""

    def put(self, value: int, bits: int) -> "Bits":
        self.text += f"{value:0{bits}b}"
        return self

    def put_bytes(self, data: bytes) -> "Bits":
        for byte in data:
            self.put(byte, 8)
        return self

    def data(self) -> bytes:
        padded = self.text + "0" * (-len(self.text) % 8)
        return int(padded or "0", 2).to_bytes(len(padded) // 8, "big")


def mux(bits: Bits, *, frames: int = 1, config: int = 0x1408) -> Bits:
    """A StreamMuxConfig with an AudioSpecificConfig of 16 bits (AAC-LC, 16 kHz, mono)."""
    bits.put(0, 1).put(1, 1).put(frames - 1, 6).put(0, 4).put(0, 3)
    return bits.put(config, 16).put(0, 3).put(0xFF, 8).put(0, 1).put(0, 1)


def element(bits: Bits, frames: list[bytes]) -> bytes:
    for frame in frames:
        size = len(frame)
        while size >= 255:
            bits.put(255, 8)
            size -= 255
        bits.put(size, 8).put_bytes(frame)
    return bits.data()


@pytest.mark.parametrize("size", [10, 254, 255, 256, 700])
def test_latm_with_its_configuration_in_the_description(size: int) -> None:
    config = mux(Bits(), frames=2).data().hex()
    parameters = parse_parameters(f"cpresent=0;config={config}")
    frames = [b"a" * size, b"b" * size]
    data = element(Bits(), frames)
    payloads = [Payload(data[at : at + 300], 9, at + 300 >= len(data)) for at in range(0, len(data), 300)]
    units = Units()
    found = units.push(LatmDepacketizer(units, units.clock, parameters, 16_000), payloads)
    assert [(unit.data, unit.timestamp) for unit in found] == [(frames[0], 9), (frames[1], 9 + 1024)]
    known = RtpFormat(97, "mp4a-latm", 16_000, 1, parameters)
    assert is_readable("audio", known)
    assert declared_extradata(known) == b"\x14\x08"


@pytest.mark.parametrize(
    ("config", "audio_config"),
    [
        ("40002810adca00", "140856e500"),  # of GStreamer: no spectral band replication, and cut
        ("400028103fc0", "1408"),
        ("400028105fc0", None),  # frames of a fixed length
        ("80002810", None),  # another version
        ("4000", None),
        ("xyz", None),
    ],
)
def test_stream_mux_configs(config: str, audio_config: str | None) -> None:
    mux_config = declared_mux(parse_parameters(f"cpresent=0;config={config}"))
    assert (mux_config.config.hex() if mux_config else None) == audio_config


def test_latm_with_its_configuration_in_band_is_not_aligned_to_bytes() -> None:
    first = element(mux(Bits().put(0, 1)), [b"one"])
    later = element(Bits().put(1, 1), [b"two"])
    units = Units()
    one = LatmDepacketizer(units, units.clock, {}, 16_000)
    found = units.push(one, [Payload(later, 0, True), Payload(first, 1024, True), Payload(later, 2048, True)])
    assert [(unit.data, unit.after_hole) for unit in found] == [(b"one", True), (b"two", False)]


def test_latm_with_a_hole_is_left_out() -> None:
    units = Units()
    one = LatmDepacketizer(units, units.clock, {}, 16_000)
    units.push(one, [Payload(element(mux(Bits().put(0, 1)), [b"one"]), 0, True)])
    data = element(Bits().put(1, 1), [b"x" * 100])
    units.push(one, [Payload(data[:50], 1, False), Payload(None, 0, False), Payload(data[60:], 1, True)])
    units.push(one, [Payload(element(Bits().put(1, 1), [b"two"]), 2, True)])
    assert [(unit.data, unit.after_hole) for unit in units.units] == [(b"one", False), (b"two", True)]


def test_a_latm_element_that_never_ends_is_dropped() -> None:
    units = Units()
    one = LatmDepacketizer(units, units.clock, {}, 16_000)
    for _ in range(4 * MAX_ELEMENT_BYTES // 100):
        units.push(one, [Payload(b"x", 1, False)])
    assert one._held <= MAX_ELEMENT_BYTES
    assert not units.units


def test_an_aac_frame_that_claims_too_much_is_dropped() -> None:
    units = Units()
    parameters = HBR | {"sizelength": "29"}
    one = AacDepacketizer(units, units.clock, parameters, 16_000)
    payload = (32).to_bytes(2, "big") + ((MAX_UNIT_BYTES + 1) << 3).to_bytes(4, "big") + b"x"
    units.push(one, [Payload(payload, 1, False)] * 100)
    assert not units.units
    assert one.malformed == 100


@pytest.mark.parametrize(
    ("encoding", "parameters", "readable"),
    [
        ("pcmu", "", True),
        ("pcma", "", True),
        ("opus", "", True),
        ("mpeg4-generic", "config=1408", True),
        ("mpeg4-generic", "", False),
        ("mpeg4-generic", "config=xyz", False),
        ("mp4a-latm", "", True),
        ("mp4a-latm", "cpresent=0", False),
        ("g722", "", False),
    ],
)
def test_what_can_be_read(encoding: str, parameters: str, readable: bool) -> None:
    assert is_readable("audio", RtpFormat(97, encoding, 8000, 1, parse_parameters(parameters))) is readable


@given(st.lists(st.tuples(st.binary(max_size=40), st.booleans()), max_size=30), st.sampled_from(["", "cpresent=0"]))
def test_any_sound_is_taken_or_dropped(payloads: list[tuple[bytes, bool]], latm: str) -> None:
    for encoding, parameters in (("mpeg4-generic", HBR), ("mp4a-latm", parse_parameters(latm)), ("opus", {})):
        units = Units()
        one = make_depacketizer(RtpFormat(97, encoding, 16_000, 1, parameters), units, units.clock)
        for number, (data, marker) in enumerate(payloads):
            units.push(one, [Payload(data, number // 3, marker)])
            units.push(one, [Payload(b"\0\x10" + data, number // 3, marker)])


def test_real_frames_come_through_unchanged() -> None:
    made = encoded.audio("aac")
    units = Units()
    one = AacDepacketizer(units, units.clock, HBR | {"config": made.extradata.hex()}, 16_000)
    found = units.push(
        one, [Payload(generic([packet.data]), packet.pts, True) for packet in made.packets if packet.pts >= 0]
    )
    assert [unit.data for unit in found] == [packet.data for packet in made.packets if packet.pts >= 0]
