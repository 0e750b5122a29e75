"""Timelines and clips over a real bus, out of one recorder and of two that fill each other's gaps."""

import asyncio
import time
from contextlib import AsyncExitStack
from itertools import pairwise
from pathlib import Path

import av
import pytest

from services.contracts import recordings
from services.contracts.errors import InvalidInputError, NotFoundError
from services.contracts.frames import AccessUnit, Codec
from services.contracts.recordings import FootageTimeline, TimelineQuestion
from services.footage import clips
from services.footage.clips import Clip
from services.footage.timeline import ask_timeline
from services.mesh.bus import Bus
from services.mesh.settings import MeshSettings
from services.recorder.app import Recorder
from tests.flushed import flushed
from tests.integration.recorders import Ingest, assign, camera, on_disk, record, recording, running, until, written
from tests.recorder.units import FRAME_US, pictures, sounds

pytestmark = pytest.mark.integration
SECOND = 1_000_000


async def recorded(bus: Bus, recorder: Recorder, units: list[AccessUnit], *, audio: bool = False) -> None:
    await assign(bus, [camera("cam-1", audio=audio)], recorder.name)
    await record(bus, "cam-1", units, recorder)


def question(from_us: int, to_us: int) -> TimelineQuestion:
    return TimelineQuestion(camera="cam-1", from_us=from_us, to_us=to_us)


async def timeline(bus: Bus, from_us: int, to_us: int, recorders: int = 1) -> FootageTimeline:
    return (await ask_timeline(bus, "city", question(from_us, to_us), recorders=recorders))[0]


async def clip_to(path: Path, bus: Bus, from_us: int, to_us: int, recorders: int = 1) -> Clip:
    async with AsyncExitStack() as stack:
        clip = await clips.open_clip(bus, "city", question(from_us, to_us), recorders=recorders, stack=stack)
        with path.open("wb") as file:
            async for data in clip.chunks():
                file.write(data)
    assert len(path.read_bytes()) == clip.size_bytes  # noqa: ASYNC240 (a test)
    return clip


def shown(path: Path) -> list[av.VideoFrame]:
    """The pictures that a player shows: those from zero on."""
    with av.open(str(path)) as container:
        assert isinstance(container, av.container.InputContainer)
        return [frame for frame in container.decode(video=0) if frame.time is not None and frame.time > -0.001]


def number(frame: av.VideoFrame) -> int:
    """Which of the stream's pictures it is, by the brightness of its corner."""
    return round((float(frame.to_ndarray(format="gray")[:12, :12].mean()) - 16) / 3)


def now_us() -> int:
    return time.time_ns() // 1000


@pytest.mark.parametrize(("codec", "b_frames"), [(Codec.H264, 0), (Codec.H264, 2), (Codec.HEVC, 0)])
async def test_a_clip_begins_and_ends_where_it_was_asked_to(
    codec: Codec, b_frames: int, mesh_settings: MeshSettings, bus: Bus, tmp_path: Path
) -> None:
    start_us = now_us() - 70 * SECOND
    units = pictures(codec, count=25 * 66, b_frames=b_frames, start_us=start_us)
    async with running(mesh_settings, tmp_path / "data", "rec-1") as recorder:
        await recorded(bus, recorder, units)
        await on_disk(bus, "cam-1", start_us, start_us + 65 * SECOND)
        # Across the cut between two segments, the second of which is still being written.
        from_us = start_us + 58 * SECOND + 7 * FRAME_US
        clip = await clip_to(tmp_path / "clip.mp4", bus, from_us, from_us + 4 * SECOND)
    assert clip.layout.start_us == from_us
    assert clip.layout.duration_us == pytest.approx(4 * SECOND, abs=20)
    frames = shown(tmp_path / "clip.mp4")
    with av.open(str(tmp_path / "clip.mp4")) as container:
        assert container.duration == pytest.approx(4 * SECOND, abs=FRAME_US)
        expected = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(from_us // SECOND))
        assert container.metadata["creation_time"].startswith(expected)
    assert len(frames) == 100
    first = (58 * 25 + 7) % 100
    got = [number(frame) % 73 for frame in frames]
    want = [(first + index) % 100 % 73 for index in range(100)]
    assert sum(abs(a - b) <= 1 for a, b in zip(got, want, strict=True)) >= 95


async def test_sound_goes_along(mesh_settings: MeshSettings, bus: Bus, tmp_path: Path) -> None:
    start_us = now_us() - 10 * SECOND
    heard = sounds(Codec.AAC, count=160, start_us=start_us - SECOND)
    both = sorted([*pictures(count=200, start_us=start_us), *heard], key=lambda unit: unit.capture_us)
    async with running(mesh_settings, tmp_path / "data", "rec-1") as recorder:
        await assign(bus, [camera("cam-1", audio=True)], "rec-1")
        await recording(recorder, "cam-1")
        await Ingest(bus, "cam-1").send(both, pause_seconds=0.0005)
        await until(lambda: recorder.recordings.feeds["cam-1"].recording.frames == 200)
        await written(recorder)
        from_us = start_us + 2 * SECOND + 500_000
        await clip_to(tmp_path / "clip.mp4", bus, from_us, from_us + 3 * SECOND)
    with av.open(str(tmp_path / "clip.mp4")) as container:
        assert isinstance(container, av.container.InputContainer)
        audio = [frame for frame in container.decode(audio=0) if frame.time is not None and frame.time > -0.07]
    assert sum(frame.samples for frame in audio) / 16_000 == pytest.approx(3.0, abs=0.2)


async def test_the_timeline_says_what_there_is_and_why_not(
    mesh_settings: MeshSettings, bus: Bus, tmp_path: Path
) -> None:
    start_us = now_us() - 100 * SECOND
    later = pictures(count=100, start_us=start_us + 50 * SECOND, first_sequence=9000)
    async with running(mesh_settings, tmp_path / "data", "rec-1") as recorder:
        await recorded(bus, recorder, [*pictures(count=100, start_us=start_us), *later])
        await on_disk(bus, "cam-1", start_us, start_us + 53 * SECOND)
        async with asyncio.timeout(90):  # a gap is written at the next pass of the syncer
            while not (found := await timeline(bus, start_us - 10 * SECOND, start_us + 60 * SECOND)).gaps:
                await asyncio.sleep(0.1)
        with pytest.raises(NotFoundError):
            await clip_to(tmp_path / "clip.mp4", bus, start_us + 20 * SECOND, start_us + 30 * SECOND)
        with pytest.raises(InvalidInputError):
            await clip_to(tmp_path / "clip.mp4", bus, start_us + 20 * SECOND, start_us)
        # A clip over the gap keeps real time.
        clip = await clip_to(tmp_path / "clip.mp4", bus, start_us + 3 * SECOND, start_us + 52 * SECOND)
    assert [(r.from_us, r.tier, r.recorder) for r in found.ranges] == [
        (start_us, "full", "rec-1"),
        (start_us + 50 * SECOND, "full", "rec-1"),
    ]
    causes = [gap.cause for gap in found.gaps]
    assert causes == ["closed"]
    assert clip.layout.duration_us == pytest.approx(49 * SECOND, abs=20)
    times = [float(frame.time or 0) for frame in shown(tmp_path / "clip.mp4")]
    assert len(times) == 25 + 50
    assert times[25] - times[24] == pytest.approx(46.04, abs=0.01)


async def test_one_recorder_fills_the_other_s_gap(mesh_settings: MeshSettings, bus: Bus, tmp_path: Path) -> None:
    start_us = now_us() - 20 * SECOND
    units = pictures(count=500, start_us=start_us)
    async with (
        running(mesh_settings, tmp_path / "one", "rec-1") as one,
        running(mesh_settings, tmp_path / "two", "rec-2") as two,
    ):
        await assign(bus, [camera("cam-1", copies=2)], "rec-1", "rec-2")
        for recorder in (one, two):
            await recording(recorder, "cam-1")
        ingest = Ingest(bus, "cam-1")
        await ingest.send(units[:200])
        await until(lambda: all(r.recordings.feeds["cam-1"].recording.frames == 200 for r in (one, two)))
        for subscription in one.recordings.feeds["cam-1"]._subscriptions:
            await subscription.unsubscribe()
        await ingest.send(units[200:330])
        await until(lambda: two.recordings.feeds["cam-1"].recording.frames == 330)
        await one.recordings.feeds["cam-1"].start()
        await flushed(one.service.bus.client)
        await ingest.send(units[330:])
        await until(lambda: two.recordings.feeds["cam-1"].recording.frames == 500)
        await until(lambda: one.recordings.feeds["cam-1"].recording.frames == 370)
        for recorder in (one, two):
            recorder.recordings.feeds["cam-1"].recording.stop()

        async def written() -> bool:
            """Whether the index has all footage of both, and so the first one's gap."""
            _, answers = await ask_timeline(bus, "city", question(start_us, start_us + 20 * SECOND), recorders=2)
            counts = {answer.recorder: len(answer.ranges) for answer in answers}
            ends = [answer.ranges[-1].to_us for answer in answers if answer.ranges]
            return counts == {"rec-1": 2, "rec-2": 1} and min(ends) >= units[-1].capture_us

        async with asyncio.timeout(90):
            while not await written():
                await asyncio.sleep(0.1)
        found = await timeline(bus, start_us, start_us + 20 * SECOND, recorders=2)
        alone = found.ranges[0]
        assert (alone.from_us, found.gaps, found.recorders) == (start_us, (), 2)
        # Force the seams: the first recorder's footage is preferred outside of its gap.
        answers = (await ask_timeline(bus, "city", question(start_us, start_us + 20 * SECOND), recorders=2))[1]
        first = next(answer for answer in answers if answer.recorder == "rec-1")
        second = next(answer for answer in answers if answer.recorder == "rec-2")
        gap_from, gap_to = first.ranges[0].to_us, first.ranges[1].from_us
        short = second.ranges[0].model_copy(update={"from_us": gap_from - 500_000, "to_us": gap_to + 300_000})
        merged = recordings.merge_timelines(
            question(start_us, start_us + 20 * SECOND), [first, second.model_copy(update={"ranges": (short,)})]
        )
        assert [r.recorder for r in merged.ranges] == ["rec-1", "rec-2", "rec-1"]

        async def prepared(*_: object, **__: object) -> tuple[FootageTimeline, list[recordings.TimelineAnswer]]:
            return merged, []

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(clips, "ask_timeline", prepared)
            clip = await clip_to(tmp_path / "clip.mp4", bus, start_us + SECOND, start_us + 19 * SECOND, 2)
    frames = shown(tmp_path / "clip.mp4")
    assert len(frames) == 18 * 25
    times = [float(frame.time or 0) for frame in frames]
    assert max(b - a for a, b in pairwise(times)) < 0.06
    assert clip.layout.duration_us == pytest.approx(18 * SECOND, abs=20)
