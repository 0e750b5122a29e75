"""Finding by activity on real files: recorded, judged, thinned, removed, rebuilt."""

from contextlib import closing
from pathlib import Path

from services.contracts.activity import ActivityQuestion, BusiestMinutesQuestion, NextActivityQuestion
from services.contracts.frames import AccessUnit
from services.contracts.ladder import parse_ladder
from services.recorder.motion.activity import FORMULA
from services.recorder.motion.scorer import judge
from services.recorder.reading.activity_search import ActivitySearch
from services.recorder.retention.holds import Holds
from services.recorder.storage.fsck import check
from services.recorder.storage.index import Index
from services.recorder.storage.paths import INDEX
from services.recorder.storage.rows import Tier
from tests.recorder.rig import Rig
from tests.recorder.units import START_US, pictures

S = 1_000_000
FPS = 25
MINUTES = 4
BUSY = (130, 150)
"""Seconds from the start in which pictures other than key frames are large."""


def scene() -> list[AccessUnit]:
    """Footage that stands still but for `BUSY`; movement is filler data (NAL unit type 12), since only sizes count."""
    filler = (2000).to_bytes(4, "big") + b"\x0c" + b"\xff" * 1998 + b"\x80"
    return [
        unit._replace(payload=unit.payload + filler)
        if not unit.keyframe and BUSY[0] * FPS <= number < BUSY[1] * FPS
        else unit
        for number, unit in enumerate(pictures(count=MINUTES * 60 * FPS, gop=100))
    ]


def judged(rig: Rig, formula: int = FORMULA) -> int:
    with closing(Index.open(rig.disk.recordings / INDEX, durable=False)) as index:
        return judge(index, rig.disk.recordings, formula=formula)


def strip(rig: Rig) -> list[int]:
    question = ActivityQuestion(camera="cam-1", from_us=START_US, to_us=START_US + MINUTES * 60 * S)
    return list(ActivitySearch([rig.disk]).activity(question).levels)


def next_of(rig: Rig, second: float, direction: str) -> float | None:
    question = NextActivityQuestion.model_validate(
        {"cameras": ("cam-1", "cam-2"), "at_us": START_US + int(second * S), "direction": direction}
    )
    found = ActivitySearch([rig.disk]).next_activity(question).found
    return (found[0].from_us - START_US) / S if found else None


def test_movement_is_found_where_it_was(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        rig.feed(scene())
        rig.settle()
        assert judged(rig) == len(rig.segments())
        assert judged(rig) == 0  # each once
        levels = strip(rig)
        busy = [n * 4 for n, level in enumerate(levels) if level >= 50]
        assert busy
        assert BUSY[0] - 4 <= busy[0] <= BUSY[0]
        assert BUSY[1] - 4 <= busy[-1] <= BUSY[1] + 4
        assert max(levels[: BUSY[0] // 4 - 1]) <= 5  # from the very beginning on
        forwards = next_of(rig, 0, "forwards")
        assert forwards is not None
        assert BUSY[0] - 4 <= forwards <= BUSY[0]
        assert next_of(rig, MINUTES * 60, "backwards") == forwards
        assert next_of(rig, BUSY[1], "forwards") is None
        assert next_of(rig, 60, "backwards") is None
        question = BusiestMinutesQuestion(
            cameras=("cam-1",), from_us=START_US - 60 * S, to_us=START_US + MINUTES * 60 * S, most=1
        )
        (minute,) = ActivitySearch([rig.disk]).busiest_minutes(question).found
        assert minute.from_us % (60 * S) == 0
        assert minute.from_us < START_US + BUSY[1] * S
        assert minute.to_us > START_US + BUSY[0] * S


def test_thinned_footage_is_found_as_before_also_after_the_index_was_lost(tmp_path: Path) -> None:
    """The numbers of the groups that are gone stay in the thinned file, so that it can be judged anew."""
    with Rig(tmp_path) as rig:
        rig.feed(scene())
        rig.settle()
        judged(rig)
        before = strip(rig)
        rig.clock.advance(2 * 86_400)
        ladder = parse_ladder("full 1d, keyframes 60d every 10s")
        rig.retention(ladder).run(Holds([], START_US))
        assert {segment.tier for segment in rig.segments()} == {Tier.KEYFRAMES}
        assert strip(rig) == before
        assert judged(rig) == 0
    for name in (INDEX, f"{INDEX}-wal", f"{INDEX}-shm"):
        (tmp_path / "recordings" / name).unlink(missing_ok=True)
    assert check(tmp_path, repair=True).clean
    with Rig(tmp_path) as rig:
        assert not any(strip(rig))
        assert judged(rig) == len(rig.segments())
        assert strip(rig) == before


def test_another_formula_judges_old_footage_again(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        rig.feed(scene())
        rig.settle()
        judged(rig)
        before = strip(rig)
        assert judged(rig, FORMULA + 1) == len(rig.segments())
        assert judged(rig, FORMULA + 1) == 0
        assert strip(rig) == before


def test_where_footage_is_removed_nothing_is_found_any_more(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        rig.feed(scene())
        rig.settle()
        judged(rig)
        segments = rig.segments()
        with closing(Index.open(rig.disk.recordings / INDEX, durable=False)) as index:
            with index:
                index.forget_segments(segments[1:])
            assert next_of(rig, 0, "forwards") is None
            assert len(list(index.activity.hours(1, 0, 1 << 40))) == 1
            with index:
                index.forget_segments(segments[:1])
            assert not list(index.activity.hours(1, 0, 1 << 40))


def test_footage_that_only_the_archive_has_is_found_until_it_goes_there_too(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        rig.feed(scene())
        rig.settle()
        judged(rig)
        before = next_of(rig, 0, "forwards")
        with closing(Index.open(rig.disk.recordings / INDEX, durable=False)) as index:
            with index:
                index.forget_segments(rig.segments(), copied=lambda _: True)
            assert next_of(rig, 0, "forwards") == before is not None
            with index:
                index.activity.keep_hours(1, [(START_US, START_US + S)])
            assert next_of(rig, 0, "forwards") == before
            with index:
                index.activity.keep_hours(1, [])
            assert next_of(rig, 0, "forwards") is None
