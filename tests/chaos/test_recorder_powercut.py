"""The power goes at every step of writing, syncing, closing, thinning and removing."""

import random
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from services.contracts.ladder import parse_ladder
from services.recorder.retention.holds import Holds
from services.recorder.retention.rules import RetentionReason
from services.recorder.storage import disk as disk_module
from services.recorder.storage import index as index_module
from services.recorder.storage.files import OsFiles
from services.recorder.storage.fsck import check
from services.recorder.storage.paths import segment_path
from services.recorder.storage.rows import Segment
from services.recorder.storage.scan import scan
from tests.chaos.powercut import PowerCutFiles, watch_commits
from tests.recorder.rig import STREAM, Rig
from tests.recorder.units import START_US, pictures

NEVER = 3600.0
"""Between two passes of the syncer: they happen when a test says so."""

pytestmark = pytest.mark.chaos


class Images:
    """Takes an image after operations, and says how each must look after recovery."""

    def __init__(self, files: PowerCutFiles, folder: Path, *, every: int = 1) -> None:
        self.random = random.Random(4)
        self.taken: list[tuple[str, Path, dict[Path, int]]] = []
        self._files = files
        self._folder = folder
        self._every = every
        files.on_operation = self._on_operation

    def _on_operation(self, name: str) -> None:
        if self._files.operations % self._every:
            return
        image = self._folder / f"{len(self.taken):04d}"
        promised = self._files.promised()
        self._files.cut(image, self.random)
        self.taken.append((name, image, promised))

    def hold(self, *, removing: bool = False) -> None:
        """Every image comes back in order, with all that was fsynced."""
        assert len(self.taken) > 20
        for number, (name, image, promised) in enumerate(self.taken):
            with Rig(image, pass_seconds=NEVER) as rig:
                segments = rig.segments()
            report = check(image, verify=True)
            assert report.clean, (number, name, report.findings)
            found = {Path("recordings", segment_path(s.stream, s.start_us)): s for s in segments}
            for path, size in promised.items():
                if path not in found:
                    assert removing or _sealed(image, path, size) == 0, (number, name, path)
                elif not removing:
                    assert found[path].size_bytes >= _sealed(image, path, size), (number, name, path)


def _sealed(image: Path, path: Path, size: int) -> int:
    """How much of the first ``size`` bytes is sealed footage."""
    part = image / "part.mp4"
    whole = image / path
    if not whole.exists():
        return 0
    part.write_bytes(whole.read_bytes()[:size])
    found = scan(part, STREAM)
    part.unlink()
    return found.sealed_bytes if found else 0


@pytest.fixture
def manual(monkeypatch: pytest.MonkeyPatch) -> Callable[[PowerCutFiles], None]:
    """The log is never checkpointed behind the test's back, and each opening is another boot."""
    monkeypatch.setattr(index_module, "_CHECKPOINT_PAGES", 0)
    boots = count()
    monkeypatch.setattr(disk_module, "boot_id", lambda: str(next(boots)))
    return lambda files: watch_commits(files, monkeypatch.setattr)


def written(rig: Rig) -> None:
    while not rig.disk.idle:
        time.sleep(0.002)


def test_recording_and_closing(tmp_path: Path, manual: Callable[[PowerCutFiles], None]) -> None:
    # passes if nothing raises
    files = PowerCutFiles(tmp_path / "disk")
    manual(files)
    with Rig(tmp_path / "disk", files=files, pass_seconds=NEVER) as rig:
        images = Images(files, tmp_path / "images", every=3)
        units = pictures(count=25 * 75)
        for second in range(75):
            rig.feed(units[second * 25 : second * 25 + 25])
            if images.random.random() < 0.3:
                written(rig)
                rig.disk.sync(everything=False)
        rig.settle()
        files.on_operation = lambda _: None
    images.hold()


def test_what_is_older_than_the_interval_is_never_lost(tmp_path: Path, manual: Callable[[PowerCutFiles], None]) -> None:
    files = PowerCutFiles(tmp_path / "disk")
    manual(files)
    with Rig(tmp_path / "disk", files=files, sync_seconds=5.0, pass_seconds=NEVER) as rig:
        units = pictures(count=25 * 30)
        ends: list[tuple[Path, int]] = []
        random_ = random.Random(7)
        for second in range(30):
            rig.feed(units[second * 25 : second * 25 + 25])
            written(rig)
            rig.disk.sync(everything=False)  # as the syncer does every second
            image = tmp_path / "images" / f"{second:02d}"
            files.cut(image, random_)
            ends.append((image, units[second * 25 + 24].capture_us))
    for image, now_us in ends:
        with Rig(image, pass_seconds=NEVER) as rig:
            segments = rig.segments()
        # A fragment is complete when the next one begins: its length, and the interval.
        if now_us - START_US > 7_000_000:
            assert segments[-1].end_us >= now_us - 7_000_000


def _three_minutes(rig: Rig) -> list[Segment]:
    rig.feed(pictures(count=25 * 180))
    rig.settle()
    rig.clock.advance(11 * 86_400)
    return rig.segments()


def test_thinning(tmp_path: Path, manual: Callable[[PowerCutFiles], None]) -> None:
    files = PowerCutFiles(tmp_path / "disk")
    manual(files)
    with Rig(tmp_path / "disk", files=files, pass_seconds=NEVER) as rig:
        before = _three_minutes(rig)
        images = Images(files, tmp_path / "images")
        ladder = parse_ladder("full 10d, keyframes 60d every 10s")
        rig.retention(ladder).run(Holds([], 0))
        files.on_operation = lambda _: None
    for number, (name, image, _) in enumerate(images.taken):
        with Rig(image, pass_seconds=NEVER) as again:
            left = again.segments()
        assert check(image, verify=True).findings == (), (number, name)
        # Each is there, whole or thinned, at every moment of the cut.
        assert [(s.start_us, s.end_us) for s in left] == [(s.start_us, s.end_us) for s in before], (number, name)


def test_removing(tmp_path: Path, manual: Callable[[PowerCutFiles], None]) -> None:
    files = PowerCutFiles(tmp_path / "disk")
    manual(files)
    with Rig(tmp_path / "disk", files=files, pass_seconds=NEVER) as rig:
        before = _three_minutes(rig)
        images = Images(files, tmp_path / "images")
        ladder = parse_ladder("full 10d")
        outcome = rig.retention(ladder).run(Holds([], 0))
        files.on_operation = lambda _: None
        assert [done.because for done in outcome.done] == [RetentionReason.AGE] * 3
    for number, (name, image, _) in enumerate(images.taken):
        with Rig(image, pass_seconds=NEVER) as again:
            left = again.segments()
        report = check(image, verify=True)
        # A removed file whose removal was undone by the cut after its row was gone is footage again, known or found.
        assert all(finding.kind == "unknown-file" for finding in report.findings), (number, name)
        assert check(image, repair=True).clean, (number, name)
        assert {s.start_us for s in left} <= {s.start_us for s in before}


def test_a_thousand_segments_left_open_are_all_there_again(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "disk", files=OsFiles())
    rig.disk.open()
    units = pictures(count=60)
    for number in range(1000):
        rig.feed(units, STREAM._replace(camera=f"cam-{number}"), paced=number == 0)
    written(rig)
    rig.disk._halt.set()  # nothing is closed: the process is gone
    with Rig(tmp_path / "disk") as again:
        with again.index() as index:
            segments = index.closed_segments()
        assert len(segments) == 1000
        assert {segment.frames for segment in segments} == {50}
    assert check(tmp_path / "disk").clean
