"""A slot whose picture stands still, and a browser that asks for keyframes."""

from collections.abc import Callable, Sequence
from typing import cast

from services.contracts.frames import AccessUnit
from services.contracts.sessions import Aim, Notice, Size, SlotNotice
from services.mesh.clock import ManualClock
from services.wall.relay.sending.catch_up import STILL_SECONDS, CatchUp, CatchUps
from services.wall.relay.sending.frame import Frame
from services.wall.relay.sending.quality import QualityLevel
from services.wall.relay.sending.slot import REPEAT_SECONDS, Slot
from services.wall.relay.sending.track import RtpVideoTrack
from tests.recorder.units import pictures


class Track:
    """Counts what is sent. A replay is out at once."""

    def __init__(self) -> None:
        self.catch_up = CatchUp(0, CatchUps())
        self.replays = self.frames = self.packets = self.repeats = 0

    def drop_waiting(self) -> None:
        pass

    def send_replay(
        self,
        frames: Sequence[Frame],
        now: float,
        on_caught_up: Callable[[], None],
        *,
        first_seconds: float,
        whole: bool = True,
    ) -> tuple[int, int]:
        self.replays += 1
        self.packets += len(frames)
        self.catch_up.begin(1, now, first_seconds, whole=whole)
        self.catch_up.frame_out(now, more=False)
        self.caught_up = on_caught_up
        return 1, len(frames)

    def send_live(self, frame: Frame, now: float, *, anew: bool = False) -> int:
        self.frames += 1
        self.packets += 1
        return 100 + self.frames

    def repeat_last(self) -> None:
        self.repeats += 1


class Standing:
    """A source that shows one picture of a recording and waits."""

    bitrate_bps = 0.0

    def __init__(self, slot: Slot, units: Sequence[AccessUnit]) -> None:
        self.slot, self.units = slot, units

    def start(self) -> None:
        self.resync()

    def resync(self) -> bool:
        self.slot.replay_gop([Frame(unit) for unit in self.units[:5]], first_seconds=0.03)
        return True

    def adapt(self, size: Size | None, level: QualityLevel) -> None:
        pass

    def notice(self) -> SlotNotice:
        return SlotNotice(slot=0, camera="cam-1", source="recorded", state="paused")

    def close(self) -> None:
        pass


def standing_slot(clock: ManualClock) -> tuple[Slot, Track]:
    """A slot that has shown a picture, and what it sends on."""
    track = Track()
    slot = Slot(0, cast("RtpVideoTrack", track), list[Notice]().append, clock)
    slot.connected = True
    slot.set_source(Aim(slot=0, camera="cam-1", source="recorded"), Standing(slot, pictures(count=25)))
    track.caught_up()
    return slot, track


def test_the_last_packet_is_sent_again_unasked_while_nothing_follows() -> None:
    clock = ManualClock()
    slot, track = standing_slot(clock)
    clock.advance(REPEAT_SECONDS[0] / 2)
    slot.show_frame(Frame(pictures(count=25)[5]))  # a step: what was sent before is not the last any more
    clock.advance(REPEAT_SECONDS[0] * 0.75)
    assert track.repeats == 0
    clock.advance(REPEAT_SECONDS[-1])
    assert track.repeats == len(REPEAT_SECONDS)


def test_a_picture_that_stands_is_repeated_once_for_a_browser_that_asks_out_of_silence() -> None:
    clock = ManualClock()
    slot, track = standing_slot(clock)
    assert track.replays == 1
    for _ in range(2):  # it could not decode: as often as it asks
        clock.advance(1.0)
        slot.on_keyframe_request()
    assert track.replays == 3
    for _ in range(5):  # it has all, and asks since nothing comes
        clock.advance(STILL_SECONDS + 1)
        slot.on_keyframe_request()
    assert track.replays == 4

    slot.show_frame(Frame(pictures(count=25)[5]))  # a step: from here on it may have lost something again
    clock.advance(STILL_SECONDS + 1)
    slot.on_keyframe_request()
    slot.on_keyframe_request()
    assert track.replays == 5
