"""Disks that are full, slow, read-only or gone: recording goes on and says so; what is there is in order."""

import errno
import os
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from services.contracts.ladder import parse_ladder
from services.recorder.retention.holds import Holds
from services.recorder.storage.disk import DiskFailed, DiskFull, FragmentDropped
from services.recorder.storage.files import OsFiles
from services.recorder.storage.fsck import check
from tests.media import encoded
from tests.recorder.rig import Rig, decode
from tests.recorder.units import pictures

pytestmark = pytest.mark.chaos
DAY_LADDER = parse_ladder("full 1d")


def idle(rig: Rig) -> None:
    while not rig.disk.idle:
        time.sleep(0.002)


def large() -> encoded.Stream:
    """About 40 KB a GOP."""
    return encoded.video(size=(320, 240), frames=100, gop=25, options=(("b", "400k"),))


def test_a_full_disk_is_a_shorter_history_and_not_the_end(small_disk: Path) -> None:
    units = pictures(count=25 * 60 * 8, source=large())
    with Rig(small_disk) as rig:
        retention = rig.retention(DAY_LADDER, floor_bytes=500_000)
        for start in range(0, len(units), 250):
            rig.feed(units[start : start + 250])
            idle(rig)
            rig.disk._sync_or_fail(everything=False)
            if start >= len(units) * 3 // 4:  # retention comes late
                retention.run(Holds([], 0))
        rig.settle()
        assert any(isinstance(notice, DiskFull) for notice in rig.notices)
        segments = rig.segments()
        # The newest is there, however full it was in between.
        assert segments[-1].end_us >= units[-1].capture_us - 2_000_000
        full = [gap for gap in rig.gap_rows() if gap.cause == "disk-full"]
        assert full
        assert sum(segment.frames for segment in segments) > 0
        assert all(len(decode(rig.path(segment))) == segment.frames for segment in segments)
        assert rig.disk.failure is None
    assert check(small_disk, verify=True).clean


def recorded(rig: Rig) -> int:
    return sum(segment.frames for segment in rig.segments())


def missing(rig: Rig, cause: str) -> int:
    """The frames that gaps of this cause tell of."""
    return sum((gap.to_us or 0) - gap.from_us for gap in rig.gap_rows() if gap.cause == cause) // 40_000


def test_a_disk_that_becomes_full_within_a_fragment_keeps_what_was_sealed(small_disk: Path) -> None:
    units = pictures(count=25 * 120, source=large())
    with Rig(small_disk) as rig:
        rig.feed(units[:250])
        idle(rig)
        with (small_disk / "ballast").open("wb") as ballast:
            free = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
            ballast.write(bytes(max(0, free - 60_000)))
        rig.feed(units[250:1000])
        idle(rig)
        assert rig.dropped()
        (small_disk / "ballast").unlink()
        rig.feed(units[1000:])
        rig.settle()
        assert recorded(rig) + missing(rig, "disk-full") == len(units)
    assert check(small_disk, verify=True).clean


def test_a_file_size_limit_is_as_a_full_disk(tmp_path: Path) -> None:
    class Limited(OsFiles):
        def write(self, fd: int, buffers: Sequence[bytes]) -> int:
            if os.fstat(fd).st_size > 100_000:
                return os.write(fd, b"".join(buffers)[:1000])
            return super().write(fd, buffers)

    with Rig(tmp_path, files=Limited()) as rig:
        rig.feed(pictures(count=25 * 30, source=large()))
        rig.settle()
        assert rig.segments()
        assert all(segment.size_bytes < 200_000 for segment in rig.segments())
        assert {notice.cause for notice in rig.dropped()} == {"disk-full"}
    assert check(tmp_path, verify=True).clean


class Slow(OsFiles):
    def __init__(self) -> None:
        self.seconds = 0.0

    def write(self, fd: int, buffers: Sequence[bytes]) -> int:
        time.sleep(self.seconds)
        return super().write(fd, buffers)


def test_a_slow_disk_costs_what_finds_no_room_to_wait_and_no_memory(tmp_path: Path) -> None:
    slow = Slow()
    units = pictures(count=25 * 60, source=large())
    with Rig(tmp_path, files=slow, queue_bytes=200_000) as rig:
        rig.feed(units[:250])
        idle(rig)
        slow.seconds = 0.2
        peak = 0
        for start in range(250, 1250, 25):
            rig.feed(units[start : start + 25])
            peak = max(peak, rig.disk.queued_bytes)
        slow.seconds = 0.0
        idle(rig)
        for start in range(1250, 1500, 25):
            rig.feed(units[start : start + 25])
            idle(rig)
        rig.settle()
        assert peak <= 200_000
        dropped = rig.dropped()
        assert {notice.cause for notice in dropped} == {"disk-slow"}
        assert recorded(rig) + missing(rig, "disk-slow") == len(units)
    assert check(tmp_path, verify=True).clean


class ReadOnly(OsFiles):
    """As the kernel answers when it has remounted a damaged file system."""

    def __init__(self) -> None:
        self.broken = False

    def _check(self) -> None:
        if self.broken:
            raise OSError(errno.EROFS, "Read-only file system")

    def create(self, path: Path) -> int:
        self._check()
        return super().create(path)

    def write(self, fd: int, buffers: Sequence[bytes]) -> int:
        self._check()
        return super().write(fd, buffers)

    def truncate(self, fd: int, size_bytes: int) -> None:
        self._check()
        super().truncate(fd, size_bytes)


def test_a_disk_that_turns_read_only_fails_and_comes_back(tmp_path: Path) -> None:
    files = ReadOnly()
    with Rig(tmp_path, files=files) as rig:
        rig.feed(pictures(count=60))
        idle(rig)
        files.broken = True
        rig.feed(pictures(count=60, first_sequence=1000))
        idle(rig)
        assert rig.disk.failure is not None
        assert any(isinstance(notice, DiskFailed) for notice in rig.notices)
        assert "disk-failed" in {notice.cause for notice in rig.notices if isinstance(notice, FragmentDropped)}
        files.broken = False
        rig.disk.close()
        rig.disk.open()
        rig.recordings.clear()
        rig.feed(pictures(count=100, first_sequence=2000))
        rig.settle()
        assert [segment.frames for segment in rig.segments()] == [50, 100]
    assert check(tmp_path, verify=True).clean


def test_a_disk_that_vanished_is_not_begun_anew_on_what_lies_below(tmp_path: Path) -> None:
    with Rig(tmp_path / "disk") as rig:
        rig.feed(pictures(count=50))
        rig.settle()
        (tmp_path / "disk").rename(tmp_path / "elsewhere")
        (tmp_path / "disk").mkdir()
        rig.feed(pictures(count=100, first_sequence=1000))
        idle(rig)
        assert rig.disk.failure is not None
        rig.disk.close()
        with pytest.raises(OSError, match="mounted"):
            rig.disk.open()
        assert list((tmp_path / "disk").iterdir()) == []
