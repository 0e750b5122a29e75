"""From access units to files and rows: frames come back, with every codec and every clock."""

import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from services.contracts.frames import AccessUnit, Codec, Flags
from services.contracts.frames import decode as decode_unit
from services.contracts.models import Reason
from services.contracts.recordings import GapCause
from services.ingest.pipeline import Pipeline
from services.ingest.readers.source import Packet, Track
from services.media.mp4.tracks import AudioTrack
from services.media.time import SECOND_90K
from services.mesh.clock import ManualClock
from services.recorder.capture.gaps import GapTracker
from services.recorder.storage import gops
from services.recorder.storage.rows import GapRow, Segment, Signing
from services.recorder.storage.scan import scan
from tests.recorder.rig import STREAM, Rig, decode, packet_times
from tests.recorder.units import FRAME_US, START_US, pictures, sounds, stream_of

CODECS = [(Codec.H264, 0), (Codec.H264, 2), (Codec.HEVC, 2), (Codec.MJPEG, 0)]


@pytest.mark.parametrize(("codec", "b_frames"), CODECS)
def test_every_picture_is_recorded_in_minutes_that_follow_each_other(
    codec: Codec, b_frames: int, tmp_path: Path
) -> None:
    units = pictures(codec, count=25 * 150, b_frames=b_frames)
    with Rig(tmp_path) as rig:
        rig.feed(units)
        rig.settle()
        segments = rig.segments()
        assert [segment.frames for segment in segments] == [1500, 1500, 750]
        assert sum(len(decode(rig.path(segment))) for segment in segments) == 25 * 150
        assert segments[0].start_us == units[0].capture_us
        assert all(a.end_us == b.start_us for a, b in pairwise(segments))
        assert abs(segments[-1].end_us - (units[0].capture_us + 25 * 150 * FRAME_US)) <= FRAME_US
        assert [segment.codec for segment in segments] == [codec.name.lower()] * 3
        assert rig.gap_rows() == []
        assert all(closed.segment in segments for closed in rig.closed())


def test_pictures_have_their_capture_times_in_the_file(tmp_path: Path) -> None:
    units = pictures(count=100, b_frames=2)
    with Rig(tmp_path) as rig:
        rig.feed(units)
        rig.settle()
        (segment,) = rig.segments()
        times = sorted(packet_times(rig.path(segment)))
        got = [segment.start_us + round((time - times[0]) * 1_000_000) for time in times]
        assert got == sorted(unit.capture_us for unit in units)


def test_a_row_says_what_its_file_says(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        rig.feed(pictures(count=500, b_frames=2))
        rig.settle()
        (segment,) = rig.segments()
        found = scan(rig.path(segment), STREAM)
        assert found is not None
        assert segment.signed is Signing.SIGNED
        assert found.segment._replace(signed=segment.signed) == segment
        with rig.index() as index:
            assert index.packed_gops(STREAM, segment.start_us) == found.gops
        entries = gops.unpack(found.gops)
        assert [entry.time_90k for entry in entries] == [index * 90_000 for index in range(20)]
        assert all(entry.frames == 25 and entry.key_bytes and entry.other_bytes for entry in entries)
        assert found.sealed_bytes == found.file_bytes == segment.size_bytes


def test_fragments_are_gops_or_two_seconds_of_longer_ones(tmp_path: Path) -> None:
    for gop, expected in ((50, [50, 50]), (100, [50, 50]), (10, [30, 30, 30, 10])):
        with Rig(tmp_path / str(gop)) as rig:
            rig.feed(pictures(count=100, gop=gop, source=stream_of(Codec.H264, gop=gop)))
            rig.settle()
            (segment,) = rig.segments()
            assert _fragment_sizes(rig, segment) == expected


def _fragment_sizes(rig: Rig, segment: Segment) -> list[int]:
    from services.media.mp4 import reader
    from services.recorder.storage.scan import opened

    with opened(rig.path(segment)) as (read, size):
        opening = reader.read_opening(read, size)
        return [len(item.info.runs[1]) for item in reader.read_fragments(read, size, opening.end)]


def test_segments_of_a_stream_are_chained(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        rig.feed(pictures(count=25 * 130))
        rig.settle()
        segments = rig.segments()
        chains = [found.chain for segment in segments if (found := scan(rig.path(segment), STREAM))]
        assert chains == ["", segments[0].link.hex(), segments[1].link.hex()]


@pytest.mark.parametrize("codec", [Codec.AAC, Codec.PCM_ALAW, Codec.PCM_MULAW])
def test_sound_is_recorded_beside_its_pictures(codec: Codec, tmp_path: Path) -> None:
    # Sound begins a second before the pictures do.
    heard = sounds(codec, count=400, start_us=START_US - 1_000_000)
    both = sorted([*pictures(count=150), *heard], key=lambda unit: unit.capture_us)
    with Rig(tmp_path) as rig:
        rig.clock.step(-1)
        rig.feed(both)
        rig.settle()
        (segment,) = rig.segments()
        assert segment.audio == codec.name.lower()
        path = rig.path(segment)
        times = [float(time) for time in packet_times(path, "audio")]
        expected = [(unit.capture_us - START_US) / 1e6 for unit in heard if 0 <= unit.capture_us - START_US < 6_000_000]
        assert len(times) == pytest.approx(len(expected), abs=1)
        assert times[:100] == pytest.approx(expected[:100], abs=0.002)


def test_sound_that_comes_later_begins_a_new_segment(tmp_path: Path) -> None:
    heard = sounds(Codec.PCM_ALAW, count=200, start_us=START_US + 3_500_000)
    both = sorted([*pictures(count=200), *heard], key=lambda unit: unit.capture_us)
    with Rig(tmp_path) as rig:
        rig.feed(both)
        rig.settle()
        assert [(segment.audio, segment.frames) for segment in rig.segments()] == [("", 100), ("pcm_alaw", 100)]
        assert rig.gap_rows() == []


def test_changed_parameters_begin_a_new_segment_without_a_gap(tmp_path: Path) -> None:
    from tests.media import encoded

    small, large = (
        pictures(count=50),
        pictures(
            count=50,
            first_sequence=51,
            start_us=START_US + 2_000_000,
            pts_origin=777_000 + 50 * 3600,
            source=encoded.video(size=(320, 240), frames=100, gop=25),
        ),
    )
    large[0] = large[0]._replace(flags=Flags.KEYFRAME)
    with Rig(tmp_path) as rig:
        rig.feed([*small, *large])
        rig.settle()
        assert [(s.width_px, s.height_px, s.frames) for s in rig.segments()] == [(162, 90, 50), (320, 240, 50)]
        assert rig.gap_rows() == []
        assert all(len(decode(rig.path(segment))) == 50 for segment in rig.segments())


def test_a_reconnect_is_a_gap_with_its_cause_in_index_and_file(tmp_path: Path) -> None:
    later = pictures(count=50, first_sequence=500, start_us=START_US + 12_000_000, pts_origin=5)
    with Rig(tmp_path) as rig:
        rig.feed([*pictures(count=50), *later])
        rig.settle()
        first, second = rig.segments()
        (gap,) = rig.gap_rows()
        assert gap == (STREAM, first.end_us, second.start_us, "test", "reopened=True lost=0")
        assert [change.announce for change in rig.gaps] == [True]
        found = scan(rig.path(second), STREAM)
        assert found is not None
        assert found.gap == gap


def test_lost_frames_are_a_gap_and_recording_goes_on_at_the_next_keyframe(tmp_path: Path) -> None:
    units = pictures(count=200)
    few, many = units[:30] + units[33:60], units[100:]
    with Rig(tmp_path) as rig:
        rig.feed([*few, *many])
        rig.settle()
        lost, hole = rig.gap_rows()
        assert (lost.cause, lost.detail) == ("frames-lost", "3 frames")
        assert (lost.from_us, lost.to_us) == (units[29].capture_us, units[33].capture_us)
        assert hole.detail == "reopened=False lost=40"
        assert hole.from_us == pytest.approx(units[60].capture_us, abs=1000)
        assert hole.to_us == units[100].capture_us
        assert [segment.frames for segment in rig.segments()] == [57, 100]


def test_frames_that_come_twice_or_late_are_recorded_once(tmp_path: Path) -> None:
    units = pictures(count=100)
    with Rig(tmp_path) as rig:
        rig.feed([*units[:60], *units[25:]])
        rig.settle()
        assert [segment.frames for segment in rig.segments()] == [100]


def test_nothing_is_recorded_before_the_first_keyframe(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        rig.feed(pictures(count=100)[10:])
        rig.settle()
        assert [segment.frames for segment in rig.segments()] == [75]
        assert rig.recording().assembler.unreadable == 15


def _shifted(units: list[AccessUnit], seconds: float) -> list[AccessUnit]:
    return [unit._replace(capture_us=unit.capture_us + round(seconds * 1e6)) for unit in units]


@pytest.mark.parametrize("seconds", [-3600.0, 3600.0, 5.0])
def test_a_clock_that_is_set_ends_the_segment_and_is_told(seconds: float, tmp_path: Path) -> None:
    units = pictures(count=200)
    with Rig(tmp_path) as rig:
        rig.feed(units[:100])
        rig.clock.step(seconds)
        rig.feed(_shifted(units[100:], seconds), paced=False)
        rig.settle()
        segments = sorted(rig.segments(), key=lambda segment: segment.frames)
        assert sum(segment.frames for segment in segments) == 200
        # The three seconds that it took to be sure stay where the old clock put it.
        assert {segment.start_us for segment in segments} == {
            units[0].capture_us,
            units[175].capture_us + round(seconds * 1e6),
        }
        (gap,) = rig.gap_rows()
        assert gap.cause == "clock-jump"
        assert gap.detail == f"set by {seconds:+.3f} s"
        assert rig.recording().assembler.unreadable == 0


def test_a_burst_after_a_stall_is_no_clock_that_was_set(tmp_path: Path) -> None:
    units = pictures(count=200)
    # Arrival times: 2 s of frames come at once, then it goes on in time.
    late = units[149].capture_us
    stalled = [unit._replace(capture_us=late) if 99 < index < 149 else unit for index, unit in enumerate(units)]
    with Rig(tmp_path) as rig:
        rig.feed(stalled)
        rig.settle()
        assert [segment.frames for segment in rig.segments()] == [200]
        assert rig.gap_rows() == []


WILD: dict[str, Callable[[int, int], int | None]] = {
    "none": lambda index, pts: None,
    "constant": lambda index, pts: 1000,
    "backwards": lambda index, pts: 1_000_000_000 - pts,
    "jumping": lambda index, pts: pts + (index // 40) * 50_000_000 * (-1) ** (index // 40),
    "fast": lambda index, pts: 2 * pts,
    "slow": lambda index, pts: pts // 2,
}


def published(
    wild: Callable[[int, int], int | None], *, count: int, fps: int = 25, b_frames: int = 0, with_dts: bool = False
) -> list[AccessUnit]:
    """What ingest publishes of a source with wild time stamps; ``with_dts``: the source says decoding times."""
    clock = ManualClock(START_US)
    pipeline = Pipeline(clock, gop_bytes=1 << 20)
    pipeline.begin(Track("video", Codec.H264, b""))
    stream = stream_of(Codec.H264, b_frames=b_frames)
    messages = []
    for index in range(count):
        clock.advance(1 / fps)
        lap, at = divmod(index, len(stream.packets))
        packet = stream.packets[at]
        before = lap * len(stream.packets)
        pts = wild(index, (packet.pts + before) * SECOND_90K // fps)
        dts = (packet.dts + before) * SECOND_90K // fps if with_dts else None
        arrival_us = round(clock.monotonic() * 1e6)
        messages += pipeline.feed(Packet("video", packet.data, pts, dts, arrival_us), 1)
    return [decode_unit(message) for message in messages]


@pytest.mark.parametrize("wild", WILD)
def test_what_ingest_publishes_of_wild_time_stamps_loses_no_picture_and_no_time(wild: str, tmp_path: Path) -> None:
    units = published(WILD[wild], count=25 * 60)
    with Rig(tmp_path) as rig:
        rig.feed(units)
        rig.settle()
        segments = rig.segments()
        assert sum(segment.frames for segment in segments) == 25 * 60
        assert sum(len(decode(rig.path(segment))) for segment in segments) == 25 * 60
        assert len(segments) <= 4
        span_seconds = (segments[-1].end_us - segments[0].start_us) / 1e6
        assert span_seconds == pytest.approx(60, abs=2)  # what ingest takes to see that a clock is slow
        assert all(segment.retimed == 0 for segment in segments) or wild in ("fast", "slow")


def test_pictures_that_are_decoded_seconds_before_they_are_shown_keep_their_order(tmp_path: Path) -> None:
    units = published(lambda _, pts: pts, fps=1, count=50, b_frames=2, with_dts=True)
    assert max(unit.pts_90k - unit.dts_90k for unit in units) > 2 * SECOND_90K
    with Rig(tmp_path) as rig:
        rig.feed(units)
        rig.settle()
        (segment,) = rig.segments()
        times = packet_times(rig.path(segment))
        assert [float(time - times[0]) for time in times] == [
            (unit.pts_90k - units[0].pts_90k) / SECOND_90K for unit in units
        ]


def test_a_run_whose_first_message_was_lost_is_recorded_from_its_next_keyframe(tmp_path: Path) -> None:
    units = pictures(count=50)
    other = pictures(count=100, first_sequence=500, epoch=2, pts_origin=5, start_us=units[-1].capture_us + FRAME_US)[1:]
    with Rig(tmp_path) as rig:
        rig.feed([*units, *other])
        rig.settle()
        assert [segment.frames for segment in rig.segments()] == [50, 75]
        (gap,) = rig.gap_rows()
        assert (gap.from_us, gap.to_us) == (rig.segments()[0].end_us, other[24].capture_us)


def test_what_ingest_cannot_have_published_is_not_recorded(tmp_path: Path) -> None:
    units = pictures(count=50)
    absurd = [units[10]._replace(pts_90k=units[10].dts_90k + (1 << 40)), units[11]._replace(pts_90k=0)]
    with Rig(tmp_path) as rig:
        rig.feed([*units[:10], *absurd, *units[12:]])
        rig.settle()
        assert rig.recording().assembler.unreadable == 2
        assert [segment.frames for segment in rig.segments()] == [48]


def test_a_capture_time_out_of_this_world_is_not_believed(tmp_path: Path) -> None:
    units = [unit._replace(capture_us=unit.capture_us - 20 * 365 * 86400 * 1_000_000) for unit in pictures(count=50)]
    with Rig(tmp_path) as rig:
        rig.feed(units, paced=False)
        rig.settle()
        assert rig.segments()[0].start_us == START_US
        assert rig.segments()[0].retimed == 50


def test_what_waits_is_written_when_the_camera_falls_silent(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        rig.feed(pictures(count=40))
        recording = rig.recording()
        rig.clock.advance(3)
        recording.tick(rig.clock.now_us(), rig.clock.monotonic())
        file = recording.file
        assert file is not None
        while not rig.disk.idle:
            time.sleep(0.002)
        assert file.tally.frames == 40
        rig.clock.advance(3)
        recording.tick(rig.clock.now_us(), rig.clock.monotonic())
        assert recording.file is None
        rig.clock.advance(60)
        recording.tick(rig.clock.now_us(), rig.clock.monotonic())
        rig.settle()
        (gap,) = rig.gap_rows()
        assert (gap.from_us, gap.to_us) == (rig.segments()[0].end_us, None)


def test_a_gap_is_looked_at_while_pictures_come_that_no_disk_takes(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        rig.feed(pictures(count=25))
        recording = rig.recording()
        assert not recording.is_quiet(rig.clock.monotonic())
        rig.disk.failure = "gone"
        recording.disk_failed(rig.disk)
        rig.feed(pictures(count=25))
        assert recording.file is None
        assert recording.is_quiet(rig.clock.monotonic())


def test_two_recordings_of_the_same_moment_keep_apart(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        rig.feed(pictures(count=25))
        rig.settle()
        rig.clock.step(-10)
        rig.feed(pictures(count=25, first_sequence=100))
        rig.settle()
        first, second = rig.segments()
        assert second.start_us == first.start_us + 1000
        found = scan(rig.path(second), STREAM)
        assert found is not None
        assert found.segment.start_us == second.start_us


def test_an_audio_track_keeps_its_rate(tmp_path: Path) -> None:
    from services.media.mp4 import reader
    from services.recorder.storage.scan import opened

    both = sorted([*pictures(count=50), *sounds(Codec.PCM_ALAW, count=150)], key=lambda unit: unit.capture_us)
    with Rig(tmp_path) as rig:
        rig.feed(both)
        rig.settle()
        with opened(rig.path(rig.segments()[-1])) as (read, size):
            assert AudioTrack("pcm_alaw", 8000, 1) in reader.read_opening(read, size).movie.tracks.values()


def unreachable(_from_us: int, _to_us: int) -> tuple[str, str]:
    return Reason.UNREACHABLE, "no way"


def unknown(_from_us: int, _to_us: int) -> tuple[str, str]:
    return GapCause.UNKNOWN, ""


def test_a_gap_that_lasts_says_its_cause_long_before_it_is_announced() -> None:
    gaps = GapTracker(STREAM, START_US)
    told: list[tuple[int | None, str, bool]] = []
    for seconds, explain, settled in (
        (9, unreachable, True), (11, unreachable, False), (12, unknown, True), (13, unreachable, True),
        (14, unreachable, True), (59, unreachable, True), (61, unreachable, True), (62, unknown, True),
    ):  # fmt: skip
        gaps.tick(START_US + seconds * 1_000_000, explain, recording=False, settled=settled)
        told += [(seconds, change.gap.cause, change.announce) for change in gaps.take_changes()]
    assert told == [(13, Reason.UNREACHABLE, False), (61, Reason.UNREACHABLE, True)]


def test_a_camera_that_was_never_seen_has_a_gap_since_it_was_to_be_recorded() -> None:
    gaps = GapTracker(STREAM, None, wanted_us=START_US)
    gaps.tick(START_US + 11_000_000, unreachable, recording=False, settled=True)
    (noted,) = gaps.take_changes()
    assert noted == (GapRow(STREAM, START_US, None, Reason.UNREACHABLE, "no way"), False)
    gaps.segment_begins(START_US + 20_000_000, unknown)
    (ended,) = gaps.take_changes()
    assert ended == (noted.gap._replace(to_us=START_US + 20_000_000), False)


def test_a_camera_that_comes_at_once_has_no_gap_before_it() -> None:
    gaps = GapTracker(STREAM, None, wanted_us=START_US)
    gaps.tick(START_US + 5_000_000, unreachable, recording=False, settled=True)
    assert gaps.segment_begins(START_US + 6_000_000, unreachable) is None
    assert gaps.take_changes() == []


def test_a_gap_of_a_camera_that_nobody_wants_any_more_ends() -> None:
    gaps = GapTracker(STREAM, None, wanted_us=START_US)
    gaps.tick(START_US + 61_000_000, unreachable, recording=False)
    gaps.no_longer_wanted(START_US + 70_000_000)
    assert [(change.gap.to_us, change.announce) for change in gaps.take_changes()] == [
        (None, True),
        (START_US + 70_000_000, True),
    ]


@pytest.mark.parametrize(("later_us", "step_us"), [(500, 0), (FRAME_US, 3600 * 1_000_000)])
def test_a_gap_that_lasts_is_ended_also_where_footage_goes_on_just_behind_the_last(later_us: int, step_us: int) -> None:
    gaps = GapTracker(STREAM, START_US)
    gaps.tick(START_US + 61_000_000, lambda _from_us, _to_us: ("recorder-down", ""), recording=False)
    (begun,) = gaps.take_changes()
    assert (begun.gap.from_us, begun.gap.to_us) == (START_US, None)
    gaps.segment_begins(START_US + later_us, lambda _from_us, _to_us: ("", ""), step_us=step_us)
    assert gaps.take_changes()[0].gap == begun.gap._replace(to_us=START_US + later_us)
