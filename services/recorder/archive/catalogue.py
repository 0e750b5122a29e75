"""The verified copies in the archive: one SQLite file beside the recorder's key.

It is a cache of the bucket: `services.recorder.archive.audit` can rebuild it. Methods block, may be called in any
thread, and raise ``sqlite3.Error``.
"""
# ruff: noqa: S608  (statements are put together of conditions that stand in this file)

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from services.contracts.recordings import MIN_GAP_US
from services.recorder.storage import gops
from services.recorder.storage.gops import Gop
from services.recorder.storage.paths import RecordedStream, segment_path
from services.recorder.storage.rows import FootageRun, Segment, Signing, Tier, joined
from services.recorder.storage.schema import migrate

CATALOGUE: Final = "archive.sqlite3"
_BUSY_SECONDS: Final = 10.0
_COLUMNS: Final = "site, camera, profile, start_us, end_us, size_bytes, tier, sha256, checked_us, damage"
_HOUR_US: Final = 3600 * 1_000_000
_JOIN: Final = f"""
  INSERT INTO run
    SELECT camera, profile, site, tier, min(start_us), max(end_us) FROM (
      SELECT *, sum(begins) OVER (PARTITION BY camera, profile, site, tier, hour ORDER BY start_us) AS number FROM (
        SELECT *, start_us / {_HOUR_US} AS hour,
          coalesce(start_us >= {MIN_GAP_US} + max(end_us) OVER (
            PARTITION BY camera, profile, site, tier, start_us / {_HOUR_US} ORDER BY start_us
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
          ), 1) AS begins
        FROM copy WHERE {{}}
      )
    ) GROUP BY camera, profile, site, tier, hour, number;
"""
"""Copies that follow each other, hour by hour."""


def _again(row: str) -> str:
    """Trigger body that rebuilds the runs of the hour of its ``new`` or ``old`` row; it reads at most an hour's
    segments."""
    begin = f"{row}.start_us / {_HOUR_US} * {_HOUR_US}"
    where = (
        f"camera = {row}.camera AND profile = {row}.profile AND site = {row}.site"
        f" AND {{0}} >= {begin} AND {{0}} < {begin} + {_HOUR_US}"
    )
    return f"BEGIN DELETE FROM run WHERE {where.format('from_us')}; {_JOIN.format(where.format('start_us'))} END"


_SCHEMA: Final = """
CREATE TABLE copy (
  site       TEXT NOT NULL,
  camera     TEXT NOT NULL,
  profile    TEXT NOT NULL,
  start_us   INTEGER NOT NULL,  -- of the segment; site to start_us are the object's name, below the recorder's
  end_us     INTEGER NOT NULL,
  size_bytes INTEGER NOT NULL,
  tier       INTEGER NOT NULL,  -- as in the index: 0 full, 1 keyframes
  sha256     BLOB NOT NULL,     -- of the object, as it was sent and read back
  checked_us INTEGER NOT NULL,  -- when it was read back last
  damage     TEXT NOT NULL,     -- what is wrong with the object; empty: nothing
  PRIMARY KEY (camera, profile, site, start_us)
) WITHOUT ROWID;
CREATE INDEX copy_by_check ON copy (checked_us) WHERE damage = '';
CREATE INDEX copy_by_age ON copy (end_us);
CREATE TABLE copy_gops (  -- keyframe indexes, as in the index's table gop
  site TEXT NOT NULL, camera TEXT NOT NULL, profile TEXT NOT NULL, start_us INTEGER NOT NULL, entries BLOB NOT NULL,
  PRIMARY KEY (camera, profile, site, start_us)
) WITHOUT ROWID;
"""
_SCHEMA_2: Final = f"""
CREATE TABLE run (  -- what `copy` joins to, hour by hour, so that a month is some hundred rows and not one a minute
  camera  TEXT NOT NULL,
  profile TEXT NOT NULL,
  site    TEXT NOT NULL,
  tier    INTEGER NOT NULL,  -- as in copy
  from_us INTEGER NOT NULL,
  to_us   INTEGER NOT NULL,
  PRIMARY KEY (camera, profile, site, tier, from_us)
) WITHOUT ROWID;
{_JOIN.format("true")}
CREATE TRIGGER run_grows AFTER INSERT ON copy {_again("new")};
CREATE TRIGGER run_shrinks AFTER DELETE ON copy {_again("old")};
"""
_SCHEMA_3: Final = """
CREATE TABLE unsigned (  -- copies of segments that their recorder has never signed
  camera TEXT NOT NULL, profile TEXT NOT NULL, site TEXT NOT NULL, start_us INTEGER NOT NULL,
  PRIMARY KEY (camera, profile, site, start_us)
) WITHOUT ROWID;
"""
_SCHEMA_4: Final = f"""
CREATE INDEX copy_damaged ON copy_gops (camera, profile, site, start_us) WHERE {gops.DAMAGE_SQL};
"""
_STEPS: Final = (_SCHEMA, _SCHEMA_2, _SCHEMA_3, _SCHEMA_4)


class ArchivedCopy(NamedTuple):
    """A segment in the archive; the table says what each value is."""

    stream: RecordedStream
    start_us: int
    end_us: int
    size_bytes: int
    tier: Tier
    sha256: bytes
    checked_us: int
    damage: str = ""

    @property
    def key(self) -> str:
        """The object's name in the recorder's folder."""
        return str(segment_path(self.stream, self.start_us))


class ArchiveCatalogue:
    """One connection for all threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")  # a segment may be removed on the word of a row
            migrate(self._connection, _STEPS)
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        """No method may be called after it."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def put_copy(self, copy: ArchivedCopy, entries: bytes) -> None:
        """Inserts or replaces a copy; ``entries`` is its packed keyframe index."""
        with self._writing() as connection:
            connection.execute(f"DELETE FROM unsigned WHERE {_IS}", _key(copy))
            connection.execute(f"INSERT OR REPLACE INTO copy VALUES ({'?, ' * 9}?)", (*copy.stream, *copy[1:]))
            connection.execute(
                "INSERT OR REPLACE INTO copy_gops VALUES (?, ?, ?, ?, ?)", (*copy.stream, copy.start_us, entries)
            )

    def note_unsigned(self, copy: ArchivedCopy) -> None:
        """The segment was never signed, by its index."""
        with self._writing() as connection:
            connection.execute("INSERT OR IGNORE INTO unsigned VALUES (?, ?, ?, ?)", _key(copy))

    def signing(self, copy: ArchivedCopy) -> Signing:
        """What the index knew of the segment's signature when it was copied."""
        with self._lock:
            found = self._connection.execute(f"SELECT 1 FROM unsigned WHERE {_IS}", _key(copy)).fetchone()
        return Signing.NEVER if found else Signing.SIGNED

    def mark_checked(self, copy: ArchivedCopy, now_us: int, damage: str = "") -> None:
        """The object was looked at."""
        with self._writing() as connection:
            connection.execute(f"UPDATE copy SET checked_us = ?, damage = ? WHERE {_IS}", (now_us, damage, *_key(copy)))

    def forget_copies(self, copies: Iterable[ArchivedCopy]) -> None:
        """Deletes rows."""
        keys = [_key(copy) for copy in copies]
        with self._writing() as connection:
            connection.executemany(f"DELETE FROM copy WHERE {_IS}", keys)
            connection.executemany(f"DELETE FROM copy_gops WHERE {_IS}", keys)
            connection.executemany(f"DELETE FROM unsigned WHERE {_IS}", keys)

    def covers(self, segment: Segment) -> bool:
        """Whether there is a sound copy of the segment in its present tier, or any copy in a fuller tier."""
        copy = next(iter(self._select(_IS, _key(segment), limit=1)), None)
        return copy is not None and (copy.tier < segment.tier or (copy.tier == segment.tier and not copy.damage))

    def knows(self, stream: RecordedStream, start_ms_us: int) -> bool:
        """Whether there is a copy under the name that ``start_ms_us`` gives; names have whole milliseconds."""
        where = "camera = ? AND profile = ? AND site = ? AND start_us >= ? AND start_us < ?"
        named = (stream.camera, stream.profile, stream.site, start_ms_us, start_ms_us + 1000)
        return bool(self._select(where, named, limit=1))

    def within(self, camera: str, profile: str, from_us: int, to_us: int) -> list[ArchivedCopy]:
        """The copies that touch a range, in order of time."""
        return self._select(_WITHIN, (camera, profile, to_us, from_us - _LONGEST_US, from_us), order="start_us")

    def runs(self, camera: str, profile: str, from_us: int, to_us: int, *, site: str | None = None) -> list[FootageRun]:
        """What the copies that touch a range join to, in order of time; with ``site`` those of that site alone."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT tier, from_us, to_us FROM run WHERE camera = ? AND profile = ?"
                " AND from_us < ? AND to_us > ? AND site = coalesce(?, site) ORDER BY from_us",
                (camera, profile, to_us, from_us, site),
            ).fetchall()
        return joined(FootageRun(*row) for row in rows)

    def extents(self) -> dict[RecordedStream, tuple[int, int]]:
        """Where the copies of each stream begin and end."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT site, camera, profile, min(from_us), max(to_us) FROM run GROUP BY site, camera, profile"
            ).fetchall()
        return {RecordedStream(*named): (from_us, to_us) for *named, from_us, to_us in rows}

    def oldest_us(self, camera: str, profile: str) -> dict[Tier, int]:
        """When the oldest copy of each tier was taken."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT tier, min(from_us) FROM run WHERE camera = ? AND profile = ? GROUP BY tier", (camera, profile)
            ).fetchall()
        return {Tier(tier): from_us for tier, from_us in rows}

    def gops(self, copy: ArchivedCopy) -> Sequence[Gop]:
        """Its keyframe index."""
        with self._lock:
            row = self._connection.execute(f"SELECT entries FROM copy_gops WHERE {_IS}", _key(copy)).fetchone()
        return gops.unpack(bytes(row[0])) if row else ()

    def damaged_spans(
        self, camera: str, profile: str, from_us: int, to_us: int, *, site: str | None
    ) -> list[tuple[int, int]]:
        """When pictures that are marked as damaged were taken, of the copies that touch a range; as `runs`."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT entries, start_us, end_us FROM copy_gops JOIN copy USING (camera, profile, site, start_us)"
                f" WHERE camera = ? AND profile = ? AND site = coalesce(?, site) AND {gops.DAMAGE_SQL}"
                " AND start_us < ? AND start_us > ? AND end_us > ? ORDER BY start_us",
                (camera, profile, site, to_us, from_us - _LONGEST_US, from_us),
            ).fetchall()
        return [span for packed, *when in rows for span in gops.damaged_spans(gops.unpack(bytes(packed)), *when)]

    def older(self, before_us: int, after: ArchivedCopy | None = None, *, limit: int = 1000) -> list[ArchivedCopy]:
        """Copies that ended before ``before_us``, oldest first; ``after`` continues behind one of them."""
        return self._select(
            "end_us < ? AND (end_us, camera, profile, site, start_us) > (?, ?, ?, ?, ?)",
            (before_us, *((after.end_us, *_key(after)) if after else (-1, "", "", "", 0))),
            order="end_us, camera, profile, site, start_us",
            limit=limit,
        )

    def unchecked(self, before_us: int, *, limit: int = 16) -> list[ArchivedCopy]:
        """Sound copies that were last checked before ``before_us``, longest ago first."""
        return self._select("damage = '' AND checked_us < ?", (before_us,), order="checked_us", limit=limit)

    def totals(self) -> tuple[int, int]:
        """How many copies, and their bytes."""
        with self._lock:
            row = self._connection.execute("SELECT count(*), coalesce(sum(size_bytes), 0) FROM copy").fetchone()
        return int(row[0]), int(row[1])

    def _select(
        self, where: str, parameters: Sequence[object], *, order: str = "start_us", limit: int = -1
    ) -> list[ArchivedCopy]:
        with self._lock:
            rows = self._connection.execute(
                f"SELECT {_COLUMNS} FROM copy WHERE {where} ORDER BY {order} LIMIT {limit}",
                parameters,
            ).fetchall()
        return [_copy(*row) for row in rows]


def _copy(site: str, camera: str, profile: str, start: int, end: int, size: int, tier: int, *rest: Any) -> ArchivedCopy:
    return ArchivedCopy(RecordedStream(site, camera, profile), start, end, size, Tier(tier), *rest)


_LONGEST_US: Final = _HOUR_US
"""No segment is longer; it bounds what is read."""
_WITHIN: Final = "camera = ? AND profile = ? AND start_us < ? AND start_us > ? AND end_us > ?"
_IS: Final = "camera = ? AND profile = ? AND site = ? AND start_us = ?"


def _key(item: ArchivedCopy | Segment) -> tuple[str, str, str, int]:
    return item.stream.camera, item.stream.profile, item.stream.site, item.start_us
