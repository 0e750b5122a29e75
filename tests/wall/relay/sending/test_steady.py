"""A tile that C sends to by itself does what one on Python does, and leaves C as soon as anything happens."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import Mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.contracts.frames import Codec, Flags, encode
from services.contracts.models import Camera, Profile, Reason
from services.contracts.sessions import Aim, Notice, Size, SlotNotice
from services.media.output_order import OutputOrder
from services.mesh.clock import ManualClock
from services.wall.relay.engine.send_batch import probe_offload
from services.wall.relay.sending.quality import QualityLevel
from services.wall.relay.sending.slot import Slot
from services.wall.relay.sending.steady import FRAMES_TO_KEYFRAME
from services.wall.relay.sources.feed import STALE_SECONDS, ProfileFeed
from services.wall.relay.sources.live import LiveSource
from tests.wall.relay.kernel.built import kernel, needs_compiler
from tests.wall.relay.kernel.twins import Twin, access_unit, twins, unit_of

pytestmark = needs_compiler

CAMERA = Camera(id="cam-1", site="city", name="cam-1", profiles={"main": Profile(url="rtsp://camera.test/1")})
AIM = Aim(slot=0, camera="cam-1")
BIG = Size(slot=0, width_px=1280, height_px=720)
HIDDEN = Size(slot=0, width_px=0, height_px=0)
FRAME = 3600


class Tile:
    """A slot that shows a camera live, on one of the twins."""

    def __init__(self, twin: Twin, *, marks: bool = True) -> None:
        self.twin = twin
        self.clock = ManualClock()
        self.clock.advance(1.0)
        twin.peer.at = self.clock.monotonic()
        self.feed = ProfileFeed(cast("Any", None), "city", "main", "cam-1", self.clock, lambda: (Reason.NONE, ""))
        self.notices: list[Notice] = []
        self.slot = Slot(0, twin.track, self.notices.append, self.clock, marks=marks)
        self.slot.set_size(BIG)
        self.number = 0
        self.aim()
        self.slot.set_connected()

    def aim(self) -> None:
        feeds = SimpleNamespace(original=lambda _camera, _profile: self.feed)
        self.slot.set_source(AIM, LiveSource(self.slot, AIM, CAMERA, None, cast("Any", feeds), self.clock))

    def frame(
        self,
        size: int = 1500,
        *,
        key: bool = False,
        damaged: bool = False,
        step: int = FRAME,
        codec: Codec = Codec.H264,
        lost: int = 0,
    ) -> None:
        """The next frame comes from the bus behind so many that are lost, and 40 ms pass."""
        self.number += 1 + lost
        self.dts = getattr(self, "dts", 0) + step
        unit = access_unit([unit_of(size, 0x65 if key else 0x41, self.number & 0xFF)], self.dts, key=key)
        flags = unit.flags | (Flags.DAMAGED if damaged else Flags.NONE)
        self.feed._on_media(encode(unit._replace(sequence=self.number, flags=flags, codec=codec)))
        self.twin.flush()
        self.wait(0.04)

    def wait(self, seconds: float) -> None:
        for _ in range(round(seconds * 100)):
            self.clock.advance(0.01)
            now = self.clock.monotonic()
            for catch_up in self.twin.catch_ups.let_on(now):
                self.twin.pacer.release(catch_up.lane)
            self.twin.pacer.serve(now)
            self.twin.flush()
        self.twin.received()

    @property
    def steady(self) -> int:
        return len(self.feed.steady)

    @property
    def taken(self) -> int:
        """Frames that C has taken from the bus."""
        return int(self.twin.sent_layouts.serials[0])


def settled(twin: Twin, *, marks: bool = True) -> Tile:
    """A tile that has caught up and is shown a few live frames."""
    tile = Tile(twin, marks=marks)
    tile.frame(key=True)
    tile.wait(1.0)
    for _ in range(5):
        tile.frame()
    return tile


EVENTS: dict[str, Callable[[Tile], None]] = {
    "frame": lambda tile: tile.frame(),
    "keyframe": lambda tile: tile.frame(9000, key=True),
    "large frame": lambda tile: tile.frame(60_000),
    "large keyframe": lambda tile: tile.frame(60_000, key=True),
    "damaged frame": lambda tile: tile.frame(damaged=True),
    "frame behind a hole": lambda tile: tile.frame(lost=1),
    "looked at": lambda tile: cast("None", tile.feed.gop.frames),
    "clock back": lambda tile: tile.frame(step=-90_000),
    "keyframe request": lambda tile: tile.slot.on_keyframe_request(),
    "pause": lambda tile: tile.wait(3.0),
    "hidden": lambda tile: tile.slot.set_size(HIDDEN),
    "shown": lambda tile: tile.slot.set_size(BIG),
    "keyframes only": lambda tile: tile.slot.set_level(QualityLevel.KEYFRAMES),
    "full": lambda tile: tile.slot.set_level(QualityLevel.FULL),
    "aimed anew": lambda tile: tile.aim(),
    "empty": lambda tile: tile.slot.set_source(Aim(slot=0), None),
    "seen": lambda tile: tile.slot.catch_up.seen(tile.twin.track.stamp_sent(tile.feed.gop.frames[-1])),
    "nack": lambda tile: cast("None", tile.twin.track.retransmit([tile.twin.track.stream.sequence - 2 & 0xFFFF])),
}


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(st.just("frame"), st.sampled_from(sorted(EVENTS))), max_size=60))
def test_a_tile_on_c_and_one_on_python_send_and_say_the_same(events: list[str]) -> None:
    async def compare() -> None:
        with twins(kernel(), offload=not probe_offload()) as pair:
            tiles = [settled(twin) for twin in pair]
            assert [tile.steady for tile in tiles] == [1, 0]
            assert tiles[0].taken > 0
            for event in events:
                for tile in tiles:
                    EVENTS[event](tile)
                assert tiles[0].steady <= 1
            for tile in tiles:
                tile.frame(key=True)
            assert tiles[0].twin.received() == tiles[1].twin.received()
            assert tiles[0].twin.state() == tiles[1].twin.state()
            assert tiles[0].notices == tiles[1].notices
            kept = [[frame.unit for frame in tile.feed.gop.frames] for tile in tiles]
            assert kept[0] == kept[1]
            assert tiles[0].feed.gop.lost == tiles[1].feed.gop.lost

    asyncio.run(compare())


LEAVING: dict[str, Callable[[Tile], None]] = {
    "the tile is closed": lambda tile: tile.slot.close(),
    "it shows something else": lambda tile: tile.slot.set_source(Aim(slot=0), None),
    "its size changes": lambda tile: tile.slot.set_size(BIG),
    "it is hidden": lambda tile: tile.slot.set_size(HIDDEN),
    "the link's level changes": lambda tile: tile.slot.set_level(QualityLevel.KEYFRAMES),
    "a keyframe is asked for": lambda tile: tile.slot.on_keyframe_request(),
    "the page is told something else": lambda tile: tile.slot.set_notice(SlotNotice(slot=0, camera=None, state="gap")),
    "a frame is left out": lambda tile: tile.slot.skip_frame(),
    "a GOP is replayed": lambda tile: cast("None", tile.slot.replay_gop(tile.feed.gop.frames, first_seconds=0.0)),
    "more of it is replayed": lambda tile: tile.slot.replay_more(tile.feed.gop.frames),
    "a damaged picture comes": lambda tile: tile.frame(damaged=True),
}


@pytest.mark.parametrize("why", LEAVING)
async def test_c_has_no_pointer_to_a_tile_any_more_when(why: str) -> None:
    with twins(kernel(), offload=not probe_offload()) as (twin, _):
        tile = settled(twin)
        tile.frame()
        assert tile.steady == 1
        sent_at = twin.track.sent_at
        LEAVING[why](tile)
        assert tile.steady == 0
        assert tile.slot.steady is None
        assert tile.feed.steady.send_frame(tile.feed.gop.frames[-1], tile.clock.monotonic()) == ()
        assert not tile.slot.catch_up.is_still(sent_at + 1.0), "what C has sent counts as sent"


async def test_c_takes_all_usual_frames_from_the_bus_while_only_steady_tiles_show_the_feed() -> None:
    with twins(kernel(), offload=not probe_offload()) as (twin, _):
        tile = settled(twin)
        taken, frames = tile.taken, twin.track.frames
        for number in range(200):
            tile.frame(key=number % 50 == 49)
        assert tile.taken == taken + 196, "all but keyframes"
        assert twin.track.frames == frames + 200
        assert len(tile.feed.gop.frames) == 1
        for _ in range(3):
            tile.frame()
        sequences = [frame.unit.sequence for frame in tile.feed.gop.frames]
        assert sequences == list(range(tile.number - 3, tile.number + 1))


async def test_c_takes_nothing_from_the_bus_that_somebody_else_is_to_be_given() -> None:
    heard: list[int] = []
    other = Mock(feed_frame=lambda _feed, frame: heard.append(frame.unit.sequence))
    with twins(kernel(), offload=not probe_offload()) as (twin, _):
        tile = settled(twin)
        tile.frame()
        taken, frames = tile.taken, twin.track.frames
        tile.feed.attach(other)
        for _ in range(3):
            tile.frame()
        assert heard == [tile.number - 2, tile.number - 1, tile.number]
        assert (tile.taken, twin.track.frames) == (taken, frames + 3)
        tile.feed.detach(other)
        for _ in range(3):
            tile.frame()
        assert (tile.taken, twin.track.frames) == (taken + 2, frames + 6)
        assert len(heard) == 3


async def test_what_c_took_before_a_keyframe_is_forgotten_soon_behind_it() -> None:
    with twins(kernel(), offload=not probe_offload()) as (twin, _):
        tile = settled(twin)
        numbers = [int(twin.track.stream.sequence)]
        for _ in range(10):
            tile.frame()
            numbers.append(int(twin.track.stream.sequence))
        tile.frame(9000, key=True)
        for n in range(FRAMES_TO_KEYFRAME):  # another one each time: a frame that was asked for is kept as others are
            assert n >= 5 or twin.track.history.find_packet(numbers[n] & 0xFFFF)
            tile.frame()
        assert not any(twin.track.history.find_packet(number & 0xFFFF) for number in numbers[5:10])
        since = range(numbers[10], int(twin.track.stream.sequence))
        assert all(twin.track.history.find_packet(number & 0xFFFF) for number in since)


@pytest.mark.parametrize("gop", [2, 8, 15])
async def test_what_c_took_is_forgotten_soon_where_keyframes_come_often(gop: int) -> None:
    with twins(kernel(), offload=not probe_offload()) as (twin, _):
        tile = settled(twin)
        first: list[int] = []  # of each GOP, a packet of the first frame that C takes
        for n in range(20 * gop):
            tile.frame(key=n % gop == 0)
            if n % gop == 1:
                first.append(int(twin.track.stream.sequence) - 1)
        found = [twin.track.history.find_packet(number & 0xFFFF) is not None for number in first]
        assert found == [later * (gop - 1) < FRAMES_TO_KEYFRAME for later in reversed(range(len(first)))]


async def test_a_feed_whose_frames_c_takes_is_no_silent_one() -> None:
    with twins(kernel(), offload=not probe_offload()) as (twin, _):
        tile = settled(twin)
        for _ in range(200):
            tile.frame()
        assert tile.clock.monotonic() - tile.feed._last_frame_at < STALE_SECONDS
        received, tile.feed._bytes = tile.feed._frames, 0
        tile.frame()
        assert tile.feed._frames == received + 1
        assert tile.feed._bytes > 1500


async def test_pictures_whose_order_slices_tell_are_python_s_to_look_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OutputOrder, "is_settled", False)
    with twins(kernel(), offload=not probe_offload()) as (twin, _):
        tile = settled(twin)
        frames = twin.track.frames
        tile.frame()
        assert (tile.steady, tile.taken, twin.track.frames) == (1, 0, frames + 1)


async def test_a_tile_comes_back_by_its_next_frame() -> None:
    with twins(kernel(), offload=not probe_offload()) as (twin, _):
        tile = settled(twin)
        tile.slot.set_size(BIG)
        assert tile.steady == 0
        tile.frame()
        assert tile.steady == 1
        frames = twin.track.frames
        tile.frame()
        assert twin.track.frames == frames + 1


async def test_a_frame_of_another_codec_has_its_own_payload_type() -> None:
    with twins(kernel(), offload=not probe_offload()) as (twin, _):
        tile = settled(twin)
        tile.frame()
        for codec, payload_type in ((Codec.HEVC, 104), (Codec.HEVC, 104), (Codec.H264, 102)):
            tile.frame(key=True, codec=codec)
            assert twin.received()[-1][1] & 0x7F == payload_type


async def test_a_request_for_a_keyframe_knows_of_the_frame_before_that_python_sent() -> None:
    with twins(kernel(), offload=not probe_offload()) as (twin, _):
        tile = Tile(twin)
        tile.frame(key=True)
        tile.wait(1.0)
        tile.frame()  # the first one goes the ordinary way, and C has sent nothing yet
        assert tile.steady == 1
        tile.slot.leave_steady()
        assert not tile.slot.catch_up.is_still(tile.clock.monotonic())


async def test_marks_come_once_a_second_while_c_sends() -> None:
    with twins(kernel(), offload=not probe_offload()) as (twin, _):
        tile = settled(twin)
        tile.notices.clear()
        for _ in range(100):
            tile.frame()
        assert 3 <= sum(notice.type == "mark" for notice in tile.notices) <= 5
        assert tile.steady == 1


async def test_marks_begin_with_a_page_that_comes_right_behind_a_replay() -> None:
    with twins(kernel(), offload=not probe_offload()) as (twin, _):
        tile = settled(twin, marks=False)
        tile.slot.replay_gop(tile.feed.gop.frames, first_seconds=0.0)
        for _ in range(10):
            tile.frame()
        assert tile.steady == 1
        assert not any(notice.type == "mark" for notice in tile.notices)
        tile.slot.begin_marks()
        for _ in range(100):
            tile.frame()
        assert 3 <= sum(notice.type == "mark" for notice in tile.notices) <= 5
        assert tile.steady == 1


async def test_a_viewer_whose_packet_is_refused_ends_and_its_feed_goes_on() -> None:
    with twins(kernel(), offload=not probe_offload()) as (twin, _):
        tile = settled(twin)
        assert twin.kernel_batch is not None
        twin.kernel_batch._out.protect = refuse = _refusing()
        tile.frame()
        del refuse
        assert twin.refused == 1
        tile.frame()
        assert twin.refused == 1, "it is not tried again"


def _refusing() -> Any:
    from services.wall.relay.kernel.structs import ffi

    return ffi.callback("int (*)(void *, void *, int *)", lambda *_: 1)
