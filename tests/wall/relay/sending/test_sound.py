"""How sound is put into RTP: its timestamps, which do not follow the camera's, and its packets."""

from itertools import pairwise

import pytest

from services.contracts.frames import AccessUnit, CaptureClockSource, Codec, Flags
from services.media.g711 import G711Config
from services.media.rtp import RtpHeader, parse_rtp
from services.wall.relay.engine.sdp import Format
from services.wall.relay.sending.sound import PIECE_BYTES, RtpSoundTrack

FORMATS = tuple(
    Format(number, codec, rate, channels, {}, frozenset(), "")
    for number, codec, rate, channels in ((111, "OPUS", 48_000, 2), (0, "PCMU", 8000, 1), (8, "PCMA", 8000, 1))
)


class Wire:
    """Keeps what is sent."""

    def __init__(self) -> None:
        self.headers: list[RtpHeader] = []
        self.payloads: list[bytes] = []

    def send_packet(self, packet: bytes) -> None:
        header = parse_rtp(packet)
        self.headers.append(header)
        self.payloads.append(packet[12:])

    @property
    def steps(self) -> list[int]:
        """Between timestamps."""
        return [(b.timestamp - a.timestamp) & 0xFFFFFFFF for a, b in pairwise(self.headers)]


def unit(codec: Codec, pts_90k: int, size: int = 160, flags: Flags = Flags.KEYFRAME) -> AccessUnit:
    return AccessUnit(flags, codec, 1, 0, pts_90k, pts_90k, 0, 0, CaptureClockSource.ARRIVAL, bytes(size))


@pytest.mark.parametrize(
    ("codec", "payload_type", "step"), [(Codec.PCM_MULAW, 0, 160), (Codec.PCM_ALAW, 8, 160), (Codec.OPUS, 111, 960)]
)
def test_timestamps_go_by_media_time_at_the_codec_s_own_clock_rate(codec: Codec, payload_type: int, step: int) -> None:
    wire = Wire()
    track = RtpSoundTrack(wire, FORMATS, 77)
    for number in range(50):
        track.send_unit(unit(codec, 12_345 + number * 1800), 100 + number * 0.02 + (number % 3) * 0.01)
    assert set(wire.steps) == {step}
    assert {(h.payload_type, h.ssrc) for h in wire.headers} == {(payload_type, 77)}
    assert [h.marker for h in wire.headers] == [True] + [False] * 49
    assert [(b.sequence - a.sequence) for a, b in pairwise(wire.headers)] == [1] * 49


def test_long_g711_frames_are_cut_and_opus_frames_are_not() -> None:
    wire = Wire()
    track = RtpSoundTrack(wire, FORMATS, 77)
    track.send_unit(unit(Codec.PCM_ALAW, 0, 2 * PIECE_BYTES + 100), 1.0)
    assert [len(payload) for payload in wire.payloads] == [PIECE_BYTES, PIECE_BYTES, 100]
    assert wire.steps == [PIECE_BYTES, PIECE_BYTES]
    track.send_unit(unit(Codec.OPUS, 9000, 900), 1.1)
    assert len(wire.payloads[-1]) == 900


def test_time_stamps_that_jump_or_stand_still_do_not_carry_the_receiver_away() -> None:
    wire = Wire()
    track = RtpSoundTrack(wire, FORMATS, 77)
    for number, pts in enumerate((0, 1800, 9_000_000, 9_001_800, 9_001_800, 0, 1800)):
        track.send_unit(unit(Codec.PCM_MULAW, pts), 50 + number * 0.02)
    assert all(0 < step <= 320 for step in wire.steps)


def test_another_camera_goes_on_where_the_clock_has_come_to() -> None:
    wire = Wire()
    track = RtpSoundTrack(wire, FORMATS, 77)
    track.send_unit(unit(Codec.PCM_MULAW, 5000), 10.0)
    track.pause()
    track.send_unit(unit(Codec.OPUS, 777), 12.0)
    assert wire.steps == [2 * 48_000]
    assert wire.headers[-1].marker
    report = track.sender_report(1 << 32, 12.5)
    assert report is not None
    assert (report.rtp_timestamp - wire.headers[-1].timestamp) & 0xFFFFFFFF == 24_000


def test_an_empty_frame_sends_nothing() -> None:
    wire = Wire()
    track = RtpSoundTrack(wire, FORMATS, 77)
    track.send_unit(unit(Codec.OPUS, 0, 0), 1.0)
    track.send_unit(unit(Codec.PCM_MULAW, 0, 0), 1.0)
    assert wire.headers == []
    assert track.sender_report(0, 2.0) is None


def test_formats_that_were_not_offered_are_not_accepted() -> None:
    track = RtpSoundTrack(Wire(), FORMATS[:1], 1)
    assert track.accepts(Codec.OPUS)
    assert not track.accepts(Codec.PCM_MULAW)
    assert not track.accepts(Codec.AAC)


def test_g711_that_browsers_cannot_play_is_not_taken() -> None:
    track = RtpSoundTrack(Wire(), FORMATS, 77)
    assert track.takes(unit(Codec.PCM_ALAW, 0))
    assert not track.takes(unit(Codec.PCM_ALAW, 0)._replace(extradata=G711Config(16_000, 1).pack()))
    assert track.takes(unit(Codec.OPUS, 0)._replace(extradata=b"x"))
    assert not track.takes(unit(Codec.AAC, 0))
