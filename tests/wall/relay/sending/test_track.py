from collections.abc import Callable, Sequence

from services.contracts.frames import Codec
from services.wall.relay.engine.negotiate import VideoChoice
from services.wall.relay.engine.sdp import PLAYOUT_DELAY, Format
from services.wall.relay.engine.template import PacketLayout, RtpRun
from services.wall.relay.kernel.structs import Stream, new_peer
from services.wall.relay.sending.catch_up import CatchUps
from services.wall.relay.sending.frame import Frame, LayOut, lay_out_by_python
from services.wall.relay.sending.history import SentLayouts
from services.wall.relay.sending.pacer import Pacer
from services.wall.relay.sending.track import RtpVideoTrack
from tests.recorder.units import pictures

H264 = Format(102, "H264", 90_000, 1, {"packetization-mode": "1"}, frozenset({"nack"}), "packetization-mode=1")


class Wire:
    """Notes which RTP timestamps leave."""

    tag_bytes = 16
    kernel_batch = None

    def __init__(self) -> None:
        self.peer = new_peer()
        self.pacer = Pacer(100e6, 0.0, self.peer)
        self.lay_out: LayOut = lay_out_by_python
        self.sent_layouts = SentLayouts()
        self.catch_ups = CatchUps()
        self.sent: list[int] = []

    def send_runs(
        self, runs: Sequence[RtpRun], payload_type: int, sequence: int, timestamp: int, ssrc: int, extension: bytes
    ) -> None:
        if timestamp not in self.sent[-1:]:
            self.sent.append(timestamp)

    def put_run(
        self, layout: PacketLayout, number: int, stream: Stream, now: float, stamp: int, sent24: int, *, keyframe: bool
    ) -> None:
        raise AssertionError("Python sends here")

    def on_refused(self) -> None:
        raise AssertionError("nothing is refused here")

    def send_packet(self, packet: bytes) -> None:
        raise AssertionError("nothing is sent again here")

    def wake_pacer(self) -> None:
        pass

    def serve_until(self, seconds: float) -> None:
        for tick in range(round(seconds * 1000) + 1):
            for catch_up in self.catch_ups.let_on(tick / 1000):
                self.pacer.release(catch_up.lane)
            self.pacer.serve(tick / 1000)


def gop() -> tuple[list[Frame], Frame]:
    """One whole GOP, and the next one's keyframe."""
    frames = [Frame(unit) for unit in pictures(Codec.H264, count=26)]
    assert [frame.keyframe for frame in frames] == [True, *[False] * 24, True]
    return frames[:25], frames[25]


def track(wire: Wire) -> tuple[RtpVideoTrack, Callable[[], None], list[str]]:
    """A track, what to call when the viewer has caught up, and what was told so."""
    told: list[str] = []
    choice = VideoChoice({"h264": H264}, {})
    return RtpVideoTrack(wire, 0, choice, {PLAYOUT_DELAY: 5}, 1, None), lambda: told.append("caught up"), told


def test_a_replay_s_first_frame_is_given_time_and_the_others_follow_with_the_live_ones() -> None:
    wire = Wire()
    slot, caught_up, told = track(wire)
    frames, _ = gop()
    first, newest = slot.send_replay(frames[:20], 0.0, caught_up, first_seconds=0.02)
    wire.serve_until(0.015)
    assert wire.sent == [first]
    for frame in frames[20:]:
        slot.send_live(frame, 0.016)
    assert wire.sent == [first]
    wire.serve_until(0.5)
    assert len(wire.sent) == 25
    assert wire.sent[19] == newest
    assert told == ["caught up"]


def test_a_keyframe_goes_past_what_is_left_of_a_catch_up() -> None:
    wire = Wire()
    slot, caught_up, told = track(wire)
    frames, keyframe = gop()
    first, newest = slot.send_replay(frames, 0.0, caught_up, first_seconds=0.02)
    wire.serve_until(0.01)
    stamp = slot.send_live(keyframe, 0.01)
    wire.serve_until(0.5)
    assert wire.sent == [first, stamp]
    assert stamp is not None
    assert stamp > newest
    assert told == ["caught up"]
    assert not slot.catch_up.waiting


def test_a_replay_that_goes_on_from_a_keyframe_does_not_take_it_away_while_it_waits() -> None:
    wire = Wire()
    slot, caught_up, told = track(wire)
    frames, _ = gop()
    first, _ = slot.send_replay(frames[:1], 0.0, caught_up, first_seconds=0.02)
    _, newest = slot.send_more_of_replay(frames[1:], 0.0, caught_up)
    wire.serve_until(0.015)
    assert wire.sent == [first]
    wire.serve_until(0.5)
    assert len(wire.sent) == 25
    assert wire.sent[-1] == newest
    assert told == ["caught up"]


def test_a_frame_that_was_seen_before_the_replay_does_not_let_it_on() -> None:
    wire = Wire()
    slot, caught_up, _ = track(wire)
    frames, _ = gop()
    before = slot.send_live(frames[0], 0.0)
    first, _ = slot.send_replay(frames, 0.0, caught_up, first_seconds=10.0)
    wire.serve_until(0.001)
    assert before is not None
    slot.catch_up.seen(before)
    wire.serve_until(0.01)
    assert wire.sent == [before, first]
    slot.catch_up.seen(first)
    wire.serve_until(0.02)
    assert len(wire.sent) == 26
