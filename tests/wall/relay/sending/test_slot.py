"""A slot whose picture stands still, and a browser that asks for keyframes."""

from collections.abc import Callable, Sequence
from typing import cast

from services.contracts.frames import AccessUnit, Flags
from services.contracts.sessions import Aim, Notice, Size, SlotNotice
from services.mesh.clock import ManualClock
from services.wall.relay.sending.catch_up import STILL_SECONDS, CatchUp, CatchUps
from services.wall.relay.sending.frame import Frame
from services.wall.relay.sending.quality import QualityLevel
from services.wall.relay.sending.slot import DAMAGED_SECONDS, REPEAT_SECONDS, Slot
from services.wall.relay.sending.track import RtpVideoTrack
from tests.recorder.units import pictures


class Track:
    """Counts what is sent. A replay is out at once."""

    def __init__(self) -> None:
        self.catch_up = CatchUp(0, CatchUps())
        self.sent_at = 0.0
        self.replays = self.frames = self.packets = self.repeats = 0

    def drop_waiting(self) -> None:
        pass

    def look_at(self, when: float) -> None:
        pass

    def steady_way(self) -> None:
        return None

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


class Live(Standing):
    """A source that goes on."""

    def notice(self) -> SlotNotice:
        return SlotNotice(slot=0, camera="cam-1", state="live")


def damaged(unit: AccessUnit) -> Frame:
    return Frame(unit._replace(flags=unit.flags | Flags.DAMAGED))


def tells_damage(slot: Slot) -> bool:
    return slot.notice.damaged


def test_a_tile_tells_damaged_pictures_until_there_were_none_for_a_while() -> None:
    clock, told = ManualClock(), list[Notice]()
    track, units = Track(), pictures(count=25)
    slot = Slot(0, cast("RtpVideoTrack", track), told.append, clock)
    slot.connected = True
    slot.set_source(Aim(slot=0, camera="cam-1"), Live(slot, units))
    track.caught_up()
    slot.show_frame(Frame(units[5]))
    assert not tells_damage(slot)
    slot.show_frame(damaged(units[6]))
    assert tells_damage(slot)
    told.clear()
    for _ in range(3):  # damage once a second: told throughout
        clock.advance(1.0)
        slot.show_frame(Frame(units[7]))
        slot.show_frame(damaged(units[8]))
    assert not [notice for notice in told if isinstance(notice, SlotNotice)]
    clock.advance(DAMAGED_SECONDS)
    slot.show_frame(Frame(units[9]))
    assert not tells_damage(slot)
    slot.show_frame(damaged(units[10]))
    slot.set_source(Aim(slot=0, camera="cam-2"), Live(slot, units))
    assert not tells_damage(slot)


def test_a_damaged_picture_that_stands_is_told_as_damaged() -> None:
    clock, track = ManualClock(), Track()
    slot = Slot(0, cast("RtpVideoTrack", track), list[Notice]().append, clock)
    slot.connected = True
    units = pictures(count=25)
    marked = [unit._replace(flags=unit.flags | Flags.DAMAGED) if at == 4 else unit for at, unit in enumerate(units)]
    slot.set_source(Aim(slot=0, camera="cam-1", source="recorded"), Standing(slot, marked))
    track.caught_up()
    clock.advance(60)
    assert slot.notice.state == "paused"
    assert tells_damage(slot)
    slot.set_notice(SlotNotice(slot=0, camera="cam-1", source="recorded", state="gap"))
    assert not tells_damage(slot)
