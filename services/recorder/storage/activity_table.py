"""The index's tables of activity: which segments are to be judged, baselines, and levels by the hour."""

import sqlite3
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from services.recorder.storage.levels import ActivityHour, blank, hours_between


class UnjudgedSegment(NamedTuple):
    """A segment that is still to be judged."""

    stream_id: int
    start_us: int


class ActivityTable:
    """Part of `services.recorder.storage.index.Index`, and of its transactions. Raises ``sqlite3.Error``."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def enqueue(self, stream_id: int, start_us: int) -> None:
        """A new segment is to be judged."""
        self._connection.execute("INSERT OR IGNORE INTO unscored VALUES (?, ?)", (stream_id, start_us))

    def enqueue_other_formulas(self, formula: int) -> bool:
        """Queues the footage of one stream whose baseline is of another formula, and resets that baseline.

        False where there is no such stream. One stream at a time keeps the transaction short.
        """
        row = self._connection.execute(
            "SELECT id FROM stream LEFT JOIN baseline ON stream_id = id WHERE formula IS NOT ? LIMIT 1", (formula,)
        ).fetchone()
        if row is None:
            return False
        self._connection.execute(
            "INSERT OR IGNORE INTO unscored SELECT stream_id, start_us FROM segment WHERE stream_id = ?", row
        )
        self.put_baseline(row[0], formula, b"")
        return True

    def unjudged(self, limit: int) -> list[UnjudgedSegment]:
        """The next segments to judge, those of a stream together and in order of time."""
        rows = self._connection.execute(
            "SELECT stream_id, start_us FROM unscored ORDER BY stream_id, start_us LIMIT ?", (limit,)
        )
        return [UnjudgedSegment(*row) for row in rows]

    def drop_unjudged(self, items: Iterable[UnjudgedSegment]) -> None:
        """These were judged, or are gone."""
        self._connection.executemany("DELETE FROM unscored WHERE stream_id = ? AND start_us = ?", items)

    def baseline(self, stream_id: int) -> bytes:
        """A stream's baseline; empty where it has none yet."""
        row = self._connection.execute("SELECT state FROM baseline WHERE stream_id = ?", (stream_id,)).fetchone()
        return bytes(row[0]) if row else b""

    def put_baseline(self, stream_id: int, formula: int, state: bytes) -> None:
        """Writes a stream's baseline."""
        self._connection.execute("INSERT OR REPLACE INTO baseline VALUES (?, ?, ?)", (stream_id, formula, state))

    def hour(self, stream_id: int, number: int) -> bytes | None:
        """The levels of an hour."""
        row = self._connection.execute(
            "SELECT levels FROM activity WHERE stream_id = ? AND hour = ?", (stream_id, number)
        ).fetchone()
        return bytes(row[0]) if row else None

    def hours(self, stream_id: int, first: int, end: int, *, backwards: bool = False) -> Iterator[ActivityHour]:
        """The known hours from ``first`` to before ``end``, read lazily."""
        wanted = "SELECT hour, levels FROM activity WHERE stream_id = ? AND hour >= ? AND hour < ? ORDER BY hour"
        return self._connection.execute(f"{wanted} DESC" if backwards else wanted, (stream_id, first, end))

    def put_hour(self, stream_id: int, number: int, row: bytes) -> None:
        """Writes an hour; an empty one is deleted."""
        if row.count(0) == len(row):
            self._connection.execute("DELETE FROM activity WHERE stream_id = ? AND hour = ?", (stream_id, number))
        else:
            self._connection.execute("INSERT OR REPLACE INTO activity VALUES (?, ?, ?)", (stream_id, number, row))

    def keep_hours(self, stream_id: int, ranges: Iterable[tuple[int, int]]) -> None:
        """Drops the hours that none of a stream's ranges of footage touches."""
        kept = {number for from_us, to_us in ranges for number in range(*hours_between(from_us, to_us))}
        known = self._connection.execute("SELECT hour FROM activity WHERE stream_id = ?", (stream_id,)).fetchall()
        self._connection.executemany(
            "DELETE FROM activity WHERE stream_id = ? AND hour = ?",
            [(stream_id, number) for (number,) in known if number not in kept],
        )

    def forget_footage(self, footage: Iterable[tuple[int, int, int]]) -> None:
        """Blanks the levels of (stream_id, from_us, to_us), whose footage is gone."""
        changed: dict[tuple[int, int], bytes] = {}
        for stream_id, from_us, to_us in footage:
            for number in range(*hours_between(from_us, to_us)):
                row = changed.get((stream_id, number)) or self.hour(stream_id, number)
                if row is not None:
                    changed[stream_id, number] = blank(row, number, from_us, to_us)
        for (stream_id, number), row in changed.items():
            self.put_hour(stream_id, number, row)
