"""A track: RTP and RTCP together."""

import struct

from hypothesis import given
from hypothesis import strategies as st

from services.media.depacketize.unit_sink import ArrivalClock
from services.media.rtcp import ReceiverReport, SenderReport, ntp_from_unix_us, pack_sender_reports, parse_rtcp
from services.media.rtp_track import RtcpReceiver, RtpTrack, SharedReceiver
from services.media.sdp import parse_sdp

SSRC = 99
SDP = b"v=0\nm=video 0 RTP/AVP 96 97 98\na=rtpmap:96 H264/90000\na=rtpmap:97 H265/90000\na=rtpmap:98 rtx/90000\n"
SOUND = b"v=0\nm=audio 0 RTP/AVP 0\n"


class Track:
    def __init__(self, sdp: bytes = SDP) -> None:
        media = parse_sdp(sdp).media[0]
        self.clock = ArrivalClock()
        self.units: list[tuple[int, int | None, bool, int]] = []
        self.codecs: list[str] = []
        formats = [known for known in media.formats if known.encoding in ("h264", "h265", "pcmu")]
        self.track = RtpTrack(media, formats, self.clock, self._unit, self._codec)

    def _unit(self, data: object, pts: int, _arrival: int, rtcp_us: int | None, damaged: bool, lost: int) -> None:
        self.units.append((pts, rtcp_us, damaged, lost))

    def _codec(self) -> None:
        self.codecs.append(self.track.format.encoding)

    def take(self, number: int, payload: bytes, *, time: int | None = None, payload_type: int = 96) -> None:
        head = struct.pack(">BBHII", 0x80, 0x80 | payload_type, number, number * 3600 if time is None else time, SSRC)
        buffer = bytearray(head + payload)
        if not self.track.receiver.receive(buffer, 0, len(buffer)):
            self.track.receiver.receive_unknown(buffer, 0, len(buffer))

    def report(self, unix_us: int, timestamp: int) -> bytes:
        report = SenderReport(SSRC, ntp_from_unix_us(unix_us), timestamp, 0, 0)
        return pack_sender_reports([report], "camera")


SLICE = b"\x41\x9a1234"


def test_sender_reports_tell_when_a_unit_was_taken() -> None:
    one = Track(SOUND)
    one.take(1, b"sound", time=8000, payload_type=0)
    one.track.take_rtcp(one.report(1_700_000_000_000_000, 8000))
    one.take(2, b"sound", time=8160, payload_type=0)
    (first, before, _, _), (second, after, _, _) = one.units
    assert before is None
    assert after is not None
    assert abs(after - 1_700_000_000_020_000) <= 1
    assert second - first == 160 * 90_000 // 8000


def test_reports_without_a_time_or_of_another_sender_tell_nothing() -> None:
    one = Track(SOUND)
    one.take(1, b"sound", payload_type=0)
    one.track.take_rtcp(pack_sender_reports([SenderReport(SSRC, 0, 0, 0, 0), SenderReport(5, 1 << 63, 0, 0, 0)], "c"))
    one.take(2, b"sound", payload_type=0)
    assert one.units[-1][1] is None


def test_lost_packets_are_counted_at_the_unit_behind_them() -> None:
    one = Track(SOUND)
    for number in (1, 2, 5, 6):
        one.take(number, b"sound", payload_type=0)
    one.track.receiver.give_up()
    assert [lost for *_, lost in one.units] == [0, 0, 2, 0]


def test_a_change_of_codec_by_payload_type_is_told_before_its_first_unit() -> None:
    one = Track()
    one.take(1, SLICE)
    one.take(2, b"\x02\x01\xd0123", payload_type=97)
    one.track.flush(1)
    assert one.codecs == ["h265"]
    assert [pts for pts, *_ in one.units] == [3600, 7200]


def test_a_change_of_codec_that_nothing_announces_is_told_too() -> None:
    one = Track()
    one.take(1, SLICE)
    one.take(2, b"\x40\x01\x0c\x01\xff\xff\x01\x60\x00\x00")
    one.take(3, b"\x26\x01\xaf1234")
    one.track.flush(1)
    assert one.codecs == ["h265"]
    assert len(one.units) == 2


def test_a_goodbye_remembers_how_far_the_sender_had_come() -> None:
    one = Track(SOUND)
    one.take(1, b"sound", payload_type=0)
    one.track.take_rtcp(b"\x81\xcb\0\1" + (5).to_bytes(4, "big"))
    assert one.track.bye_packets is None
    one.track.take_rtcp(b"\x81\xcb\0\1" + SSRC.to_bytes(4, "big"))
    assert one.track.bye_packets == 1


def test_only_a_sender_that_says_goodbye_and_falls_silent_has_ended() -> None:
    one = Track(SOUND)
    for number in range(40):  # with a goodbye behind every packet
        one.take(number, b"sound", payload_type=0)
        one.track.take_rtcp(b"\x81\xcb\0\1" + SSRC.to_bytes(4, "big"))
        assert not one.track.has_ended(number / 10)
    assert not one.track.has_ended(4.8)
    assert one.track.has_ended(4.9)
    one.take(40, b"sound", payload_type=0)
    assert not one.track.has_ended(5.0)


def test_what_stands_in_front_of_a_cut_in_rtcp_counts() -> None:
    one = Track(SOUND)
    one.take(1, b"sound", time=0, payload_type=0)
    one.track.take_rtcp(one.report(1_000_000_000_000_000, 0) + b"\x81\xca\xff\xff")
    one.take(2, b"sound", time=0, payload_type=0)
    assert one.units[-1][1] == 1_000_000_000_000_000
    assert one.track.malformed_rtcp == 1


@given(st.binary(max_size=80))
def test_any_rtcp_is_taken_or_dropped(data: bytes) -> None:
    one = Track(SOUND)
    one.take(1, b"sound", payload_type=0)
    receiver = RtcpReceiver(one.track)
    for packet in (data, b"\x80\xc8" + data, b"\x80\xc8\0\6" + SSRC.to_bytes(4, "big") + data):
        buffer = bytearray(packet)
        if not receiver.receive(buffer, 0, len(buffer)):
            receiver.receive_unknown(buffer, 0, len(buffer))


def test_receiver_reports_say_what_was_lost() -> None:
    one = Track(SOUND)
    assert one.track.receiver_report(1, 0) == b""
    for number in (1, 2, 5, 6):
        one.take(number, b"sound", payload_type=0)
    one.track.receiver.give_up()
    one.clock.arrival_us = 1_000_000
    one.track.take_rtcp(one.report(1_700_000_000_000_000, 8000))
    (report,) = parse_rtcp(one.track.receiver_report(1, 1_500_000))
    assert isinstance(report, ReceiverReport)
    (block,) = report.blocks
    assert (block.ssrc, block.packets_lost, block.highest_sequence) == (SSRC, 2, 6)
    assert block.delay_since_last_sr == 32_768
    (later,) = parse_rtcp(one.track.receiver_report(1, 1_500_000))
    assert isinstance(later, ReceiverReport)
    assert (block.fraction_lost, later.blocks[0].fraction_lost) == (2 * 256 // 6 / 256, 0)


def test_tracks_that_share_a_channel_are_told_apart() -> None:
    picture, sound = Track(), Track(SOUND)
    shared = SharedReceiver([picture.track.receiver, RtcpReceiver(picture.track), sound.track.receiver])
    for number in range(3):
        for kind, payload in ((0, b"sound"), (96, SLICE)):
            ssrc = SSRC + kind
            buffer = bytearray(struct.pack(">BBHII", 0x80, 0x80 | kind, number, number * 3600, ssrc) + payload)
            if not shared.receive(buffer, 0, len(buffer)):
                shared.receive_unknown(buffer, 0, len(buffer))
    picture.track.flush(1)
    assert (len(picture.units), len(sound.units)) == (3, 3)
