"""The index: its schema's steps, and what its triggers keep."""

import sqlite3
from importlib.resources import files
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from services.contracts.recordings import MIN_GAP_US
from services.recorder.storage.gops import Gop, pack
from services.recorder.storage.index import SCHEMA_VERSION, Index
from services.recorder.storage.paths import RecordedStream
from services.recorder.storage.rows import GapRow, Segment, SegmentState, Tier

STREAM = RecordedStream("city", "cam-1", "main")
MINUTE = 60_000_000


def segment(start_us: int, length_us: int = MINUTE, tier: Tier = Tier.FULL, stream: RecordedStream = STREAM) -> Segment:
    return Segment(
        stream, start_us, start_us + length_us, 1000, tier, SegmentState.CLOSED, 25, 1, "h264", 64, 48, "", 0,
        "arrival", 0, bytes(32),
    )  # fmt: skip


GOPS = pack([Gop(0, 100, 900, 100, 25)])


def joined(segments: list[Segment]) -> list[tuple[int, int, int]]:
    """What the table of runs is to hold: by tier, joined where less than `MIN_GAP_US` lies between."""
    found: list[tuple[int, int, int]] = []
    for item in sorted(segments, key=lambda one: (one.tier, one.start_us)):
        last = found[-1] if found else None
        if last and last[0] == item.tier and item.start_us - last[2] < MIN_GAP_US:
            found[-1] = (last[0], last[1], max(last[2], item.end_us))
        else:
            found.append((int(item.tier), item.start_us, item.end_us))
    return found


def runs(index: Index) -> list[tuple[int, int, int]]:
    rows = index._connection.execute("SELECT tier, from_us, to_us FROM run ORDER BY tier, from_us")
    return [(tier, from_us, to_us) for tier, from_us, to_us in rows]


steps = st.lists(st.tuples(st.integers(0, 30), st.sampled_from(("put", "thin", "forget"))), max_size=40)


@settings(deadline=None, max_examples=40)
@given(steps, st.sets(st.integers(0, 30)))
def test_runs_are_what_the_segments_join_to_whatever_comes_and_goes(
    moves: list[tuple[int, str]], short: set[int]
) -> None:
    """A segment in ``short`` leaves a hole of just a second behind it, the others one of a millisecond less."""
    with Index.open(Path(":memory:"), durable=False) as index:
        there: dict[int, Segment] = {}
        for minute, move in moves:
            length = MINUTE - MIN_GAP_US + (0 if minute in short else 1000)
            item = segment(minute * MINUTE, length, Tier.KEYFRAMES if move == "thin" else Tier.FULL)
            if move == "forget":
                index.forget_segments([item])
                there.pop(minute, None)
            else:
                index.put_segment(item, GOPS)
                there[minute] = item
            assert runs(index) == joined(list(there.values()))


def test_a_gap_whose_end_was_never_written_ends_where_there_is_footage_again() -> None:
    with Index.open(Path(":memory:"), durable=False) as index:
        lost = GapRow(STREAM, 2 * MINUTE, None, "recorder-down", "")
        index.put_gap(lost)
        index.put_segment(segment(MINUTE), b"")
        assert index.gaps(STREAM, 0, 9 * MINUTE) == [lost], "nothing was recorded since"
        index.put_segment(segment(4 * MINUTE), b"")
        assert index.gaps(STREAM, 3 * MINUTE, 9 * MINUTE) == [lost._replace(to_us=4 * MINUTE)]
        assert index.gaps(STREAM, 5 * MINUTE, 9 * MINUTE) == []


def test_a_gap_that_lasts_has_one_row_whatever_becomes_known_of_its_cause() -> None:
    with Index.open(Path(":memory:"), durable=False) as index:
        noted = GapRow(STREAM, MINUTE, None, "timeout", "")
        known = noted._replace(cause="unreachable", detail="no way")
        index.put_gap(noted)
        index.put_gap(known)
        assert index.gaps(STREAM, 0, 9 * MINUTE) == [known]
        ended = known._replace(to_us=3 * MINUTE)
        index.put_gap(ended)
        assert index.gaps(STREAM, 0, 9 * MINUTE) == [ended]


def test_overlapping_footage_of_a_clock_that_was_set_back_is_never_told_longer_than_it_is() -> None:
    with Index.open(Path(":memory:"), durable=False) as index:
        first, second = segment(0), segment(30_000_000, 20_000_000)
        index.put_segment(first, GOPS)
        index.put_segment(second, GOPS)
        assert runs(index) == [(0, 0, MINUTE)]
        index.forget_segments([first])
        assert runs(index) == [(0, 30_000_000, 50_000_000)]
        index.forget_segments([second])
        assert runs(index) == []


def test_an_index_of_the_first_version_gets_what_its_segments_join_to(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite3"
    connection = sqlite3.connect(path)
    connection.executescript(files("services.recorder.storage").joinpath("schema.sql").read_text())
    connection.executescript("PRAGMA user_version = 1; INSERT INTO stream VALUES (1, 'city', 'cam-1', 'main')")
    old = [segment(minute * MINUTE, tier=Tier(minute < 3)) for minute in range(8) if minute != 5]
    values = [(1, *item[1:16]) for item in old]
    connection.executemany(f"INSERT INTO segment VALUES ({'?, ' * 15}?)", values)
    connection.commit()
    connection.close()
    for _ in range(2):  # a second opening finds it done
        index = Index.open(path, durable=False)
        assert runs(index) == joined(old)
        assert index._connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
        index.close()
