"""What copies join to is kept as they come and go, so that a month of timeline is read in milliseconds."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from services.contracts.recordings import MIN_GAP_US
from services.recorder.archive import catalogue
from services.recorder.archive.catalogue import ArchiveCatalogue, ArchivedCopy
from services.recorder.storage.gops import Gop, pack
from services.recorder.storage.paths import RecordedStream
from services.recorder.storage.rows import Tier

MINUTE = 60_000_000
START_US = 1_700_000_000_000_000 // (60 * MINUTE) * (60 * MINUTE)
GOPS = pack(())


def copy(minute: int, tier: Tier = Tier.FULL, camera: str = "cam-1", length_us: int = MINUTE) -> ArchivedCopy:
    start_us = START_US + minute * MINUTE
    return ArchivedCopy(
        RecordedStream("city", camera, "main"), start_us, start_us + length_us, 1_000_000, tier, bytes(32), 0
    )


def joined(copies: list[ArchivedCopy]) -> list[tuple[int, int, int]]:
    """One after the other, as they were told before there was a table of what they join to."""
    found: list[tuple[int, int, int]] = []
    for item in sorted(copies, key=lambda one: one.start_us):
        if found and found[-1][0] == item.tier and item.start_us - found[-1][2] < MIN_GAP_US:
            found[-1] = (item.tier, found[-1][1], item.end_us)
        else:
            found.append((item.tier, item.start_us, item.end_us))
    return found


def test_damage_of_copies_is_told_of_the_camera_and_the_range_that_is_asked_for() -> None:
    damaged = pack([Gop(0, 0, 1, 1, 25), Gop(90_000, 9, 1, 1, 25, 45_000)])
    with closing(ArchiveCatalogue(Path(":memory:"))) as made:
        made.put_copy(copy(60), GOPS)
        made.put_copy(copy(61, length_us=2_000_000), damaged)
        made.put_copy(copy(61, camera="cam-2", length_us=2_000_000), damaged)
        begin_us = START_US + 61 * MINUTE
        for site, expected in ((None, 1), ("city", 1), ("mall", 0)):
            found = made.damaged_spans("cam-1", "main", START_US, begin_us + 1_000_000, site=site)
            assert found == [(begin_us + 1_500_000, begin_us + 2_000_000)] * expected
        assert made.damaged_spans("cam-1", "main", START_US, begin_us, site=None) == []


steps = st.lists(st.tuples(st.integers(50, 70), st.sampled_from(("full", "thinned", "forget"))), max_size=40)


@settings(deadline=None, max_examples=40)
@given(steps, st.sets(st.integers(50, 70)))
def test_runs_are_what_the_copies_join_to_whatever_comes_and_goes(
    moves: list[tuple[int, str]], short: set[int]
) -> None:
    """Over the turn of an hour; a copy in ``short`` leaves a hole of just a second behind it."""
    with closing(ArchiveCatalogue(Path(":memory:"))) as made:
        made.put_copy(copy(60, camera="cam-2"), GOPS)
        there: dict[int, ArchivedCopy] = {}
        for minute, move in moves:
            length_us = MINUTE - MIN_GAP_US + (0 if minute in short else 1000)
            item = copy(minute, Tier.KEYFRAMES if move == "thinned" else Tier.FULL, length_us=length_us)
            if move == "forget":
                made.forget_copies([item])
                there.pop(minute, None)
            else:
                made.put_copy(item, GOPS)
                there[minute] = item
        expected = joined(list(there.values()))
        assert made.runs("cam-1", "main", 0, 1 << 62) == expected
        assert made.oldest_us("cam-1", "main") == {
            tier: min(run[1] for run in expected if run[0] == tier) for tier in {Tier(run[0]) for run in expected}
        }
        assert made.runs("cam-2", "main", 0, 1 << 62) == joined([copy(60)])


def of_the_first_version(path: Path, copies: Iterable[ArchivedCopy]) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(f"{catalogue._SCHEMA} PRAGMA user_version = 1;")
        rows = ((*item.stream, *item[1:]) for item in copies)
        connection.executemany(f"INSERT INTO copy VALUES ({'?, ' * 9}?)", rows)
        connection.commit()


def test_a_catalogue_of_the_first_version_gets_what_its_copies_join_to(tmp_path: Path) -> None:
    old = [copy(minute, Tier(minute < 65)) for minute in range(50, 80) if minute != 70]
    of_the_first_version(tmp_path / "archive.sqlite3", old)
    for _ in range(2):  # a second opening finds it done
        with closing(ArchiveCatalogue(tmp_path / "archive.sqlite3")) as made:
            assert made.runs("cam-1", "main", 0, 1 << 62) == joined(old)


def test_of_a_month_of_a_camera_what_its_minutes_join_to_is_read_and_not_each_of_them(tmp_path: Path) -> None:
    of_the_first_version(tmp_path / "archive.sqlite3", (copy(minute) for minute in range(30 * 1440)))
    with closing(ArchiveCatalogue(tmp_path / "archive.sqlite3")) as made:
        hundreds = 0

        def count() -> None:
            nonlocal hundreds
            hundreds += 1

        made._connection.set_progress_handler(count, 100)  # of the instructions of SQLite's machine
        (run,) = made.runs("cam-1", "main", START_US, START_US + 30 * 1440 * MINUTE)
        assert run == (Tier.FULL, START_US, START_US + 30 * 1440 * MINUTE)
        assert 100 * hundreds < 30 * 1440, "it takes more than one for each minute"
