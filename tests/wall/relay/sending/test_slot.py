"""A slot whose picture stands still, and a browser that asks for keyframes."""

import asyncio
import time
from collections.abc import Sequence
from typing import cast

import pytest

from services.contracts.frames import AccessUnit
from services.contracts.sessions import Aim, Notice, Size, SlotNotice
from services.wall.relay.sending.frame import Frame
from services.wall.relay.sending.quality import QualityLevel
from services.wall.relay.sending.slot import REPEAT_SECONDS, STILL_SECONDS, Slot
from services.wall.relay.sending.track import RtpVideoTrack
from tests.recorder.units import pictures


class Track:
    """Counts what is sent."""

    catching_up = False

    def __init__(self) -> None:
        self.replays = self.frames = self.packets = self.repeats = 0

    def drop_waiting(self) -> None:
        pass

    def send_replay(
        self, frames: Sequence[Frame], now: float, *, goes_on: bool = False, first_seconds: float = 0.0
    ) -> tuple[int, int]:
        self.replays += 1
        self.packets += len(frames)
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
        self.slot.replay_gop([Frame(unit) for unit in self.units[:5]])
        return True

    def adapt(self, size: Size | None, level: QualityLevel) -> None:
        pass

    def notice(self) -> SlotNotice:
        return SlotNotice(slot=0, camera="cam-1", source="recorded", state="paused")

    def close(self) -> None:
        pass


def standing_slot() -> tuple[Slot, Track]:
    """A slot that has shown a picture, and what it sends on."""
    track = Track()
    slot = Slot(0, cast("RtpVideoTrack", track), list[Notice]().append)
    slot.connected = True
    slot.set_source(Aim(slot=0, camera="cam-1", source="recorded"), Standing(slot, pictures(count=25)))
    slot.on_caught_up()
    return slot, track


async def test_the_last_packet_is_sent_again_unasked_while_nothing_follows() -> None:
    slot, track = standing_slot()
    await asyncio.sleep(REPEAT_SECONDS[0] / 2)
    slot.show_frame(Frame(pictures(count=25)[5]))  # a step: what was sent before is not the last any more
    await asyncio.sleep(REPEAT_SECONDS[0] * 0.75)
    assert track.repeats == 0
    await asyncio.sleep(REPEAT_SECONDS[-1])
    assert track.repeats == len(REPEAT_SECONDS)


async def test_a_picture_that_stands_is_repeated_once_for_a_browser_that_asks_out_of_silence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    slot, track = standing_slot()
    assert track.replays == 1

    now += 1.0  # it could not decode: as often as it asks
    slot.on_keyframe_request()
    now += 1.0
    slot.on_keyframe_request()
    assert track.replays == 3
    for _ in range(5):  # it has all, and asks since nothing comes
        now += STILL_SECONDS + 1
        slot.on_keyframe_request()
    assert track.replays == 4

    slot.show_frame(Frame(pictures(count=25)[5]))  # a step: from here on it may have lost something again
    now += STILL_SECONDS + 1
    slot.on_keyframe_request()
    slot.on_keyframe_request()
    assert track.replays == 5
