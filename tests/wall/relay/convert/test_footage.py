"""What of recordings is passed on as it is, left out, or given to a converter."""

from collections.abc import AsyncIterator

import pytest

from services.contracts.frames import AccessUnit, Codec
from services.footage.playback import PlaybackItem
from services.wall.relay.convert.footage import FootageConverter, PlaybackTranscoder
from tests.media import encoded
from tests.recorder.units import pictures


class Converter(FootageConverter):
    """Converts a picture into itself under another epoch, and notes what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.given: list[tuple[int, bool]] = []

    async def convert(self, unit: AccessUnit, *, show: bool) -> list[AccessUnit]:
        self.given.append((unit.sequence, show))
        return [unit._replace(epoch=99)] if show else []

    async def flush(self) -> list[AccessUnit]:
        return []


def recorded(b_frames: int, **x264: object) -> list[AccessUnit]:
    """Two GOPs of ten pictures."""
    params = {"keyint": 10, "min-keyint": 10, "scenecut": 0, "bframes": b_frames, "b-adapt": 0, **x264}
    text = ":".join(f"{name.replace('_', '-')}={value}" for name, value in params.items())
    options = (("preset", "veryfast"), ("x264-params", text))
    stream = encoded.video("libx264", frames=20, gop=10, b_frames=b_frames, options=options)
    return pictures(Codec.H264, count=20, source=stream)


class Played:
    """One slot's transcoder, and what came of it."""

    def __init__(self, *, accepts: frozenset[Codec] = frozenset((Codec.H264,)), masked: bool = False) -> None:
        self.converters: list[Converter] = []
        self.transcoder = PlaybackTranscoder(lambda codec: codec in accepts, self.open, masked=masked)

    def open(self) -> Converter:
        self.converters.append(Converter())
        return self.converters[-1]

    async def play(self, units: list[AccessUnit], *, every_frame: bool = True) -> list[AccessUnit]:
        async def items() -> AsyncIterator[PlaybackItem]:
            for unit in units:
                yield unit

        playable = self.transcoder.playable(items(), 0, every_frame=every_frame)
        return [item async for item in playable if isinstance(item, AccessUnit)]


async def test_pictures_in_order_pass_as_they_are() -> None:
    played, units = Played(), recorded(0)
    assert await played.play(units) == units
    assert played.converters == []


async def test_b_pictures_that_nothing_refers_to_are_left_out() -> None:
    played, units = Played(), recorded(1)
    shown = await played.play(units)
    assert len(shown) < len(units)
    assert [unit.pts_90k for unit in shown] == sorted(unit.pts_90k for unit in shown)
    assert played.converters == []


async def test_the_rest_is_converted_from_the_keyframe_on_and_a_jump_converts_at_once() -> None:
    played, units = Played(), recorded(3, b_pyramid=2)
    shown = await played.play(units)
    passed = [unit.sequence for unit in shown if unit.epoch != 99]
    (converter,) = played.converters
    assert passed == [1, 2]  # a keyframe, and the picture that is shown after three more
    assert converter.given == [(1, False), (2, False), *((number, True) for number in range(3, 21))]
    assert played.transcoder.converting
    converter.given.clear()
    assert {unit.epoch for unit in await played.play(units)} == {99}
    assert [number for number, _ in converter.given] == list(range(1, 21))


@pytest.mark.parametrize(("open_gop", "converted"), [(0, set()), (1, {99})])
async def test_of_keyframes_alone_those_are_converted_that_are_no_idr_pictures(
    open_gop: int, converted: set[int]
) -> None:
    played = Played()
    keyframes = [unit for unit in recorded(3, open_gop=open_gop, b_pyramid=2) if unit.keyframe]
    shown = await played.play(keyframes, every_frame=False)
    assert [unit.sequence for unit in shown] == [unit.sequence for unit in keyframes]
    assert {unit.epoch for unit in shown} - {1} == converted


async def test_a_viewer_that_cannot_be_sent_h264_is_passed_what_there_is() -> None:
    played, units = Played(accepts=frozenset()), recorded(3, b_pyramid=2)
    assert await played.play(units) == units


@pytest.mark.parametrize("accepts", [frozenset((Codec.H264,)), frozenset[Codec]()])
@pytest.mark.parametrize("every_frame", [True, False])
@pytest.mark.parametrize("b_frames", [0, 1])
async def test_with_masks_nothing_is_passed_on_as_it_was_recorded(
    accepts: frozenset[Codec], every_frame: bool, b_frames: int
) -> None:
    played, units = Played(accepts=accepts, masked=True), recorded(b_frames)
    given = units if every_frame else [unit for unit in units if unit.keyframe]
    shown = await played.play(given, every_frame=every_frame)
    assert [(unit.sequence, unit.epoch) for unit in shown] == [(unit.sequence, 99) for unit in given]
