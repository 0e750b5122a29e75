"""The index of one directory: opening it, and the transactions that the procedures of docs/recording.md are made of."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Self
from uuid import uuid4

from services.media.mp4.fragment import LINK_BYTES
from services.recorder.storage import gops, orders
from services.recorder.storage.activity_table import ActivityTable, UnjudgedSegment
from services.recorder.storage.gops import Gop
from services.recorder.storage.paths import RecordedStream
from services.recorder.storage.rows import (
    FootageRun,
    GapRow,
    OpenSeals,
    Segment,
    SegmentState,
    Signing,
    Tier,
    Usage,
    joined,
)
from services.recorder.storage.schema import migrate

_SCHEMAS: Final = ("schema.sql", "schema_2.sql", "schema_3.sql", "schema_4.sql", "schema_5.sql")
SCHEMA_VERSION: Final = len(_SCHEMAS)
_BUSY_SECONDS: Final = 10.0
_CHECKPOINT_PAGES: Final = 2000
_SEGMENT_COLUMNS: Final = (
    "start_us, end_us, size_bytes, tier, state, frames, keyframes, codec, width_px, height_px, audio,"
    " uncertainty_us, clock, retimed, link, signed"
)
ENDLESS_US: Final = 1 << 62
_MOST_EPOCHS: Final = 16
"""Of each stream whose positions are kept."""
_UNCOPIED: Final = (
    "stream_id = ? AND start_us >= ? AND start_us < ? AND end_us > ? AND state = 0 AND NOT EXISTS ("
    "SELECT 1 FROM archive.copy WHERE copy.camera = ? AND copy.profile = ? AND copy.site = ?"
    " AND copy.start_us = segment.start_us"
    # What is left of a damaged whole copy is worth more than a sound one of keyframes.
    " AND (copy.tier < segment.tier OR copy.tier = segment.tier AND copy.damage = ''))"
)


class Index:
    """One connection; belongs to one thread at a time. Methods raise ``sqlite3.Error``.

    A durable connection fsyncs at each commit, which makes all earlier commits of other connections durable too.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.activity = ActivityTable(connection)
        self._stream_ids: dict[RecordedStream, int] = {}
        self._streams: dict[int, RecordedStream] = {}

    @classmethod
    def open(cls, path: Path, *, durable: bool, checkpoint: bool = False) -> Self:
        """Opens the index, making it or bringing its schema up to date.

        ``checkpoint``: this connection moves the log into the database, which takes fsyncs.
        """
        connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES if checkpoint else 0}")
            migrate(connection, _steps())
        except BaseException:
            connection.close()
            raise
        return cls(connection)

    @classmethod
    def open_for_reading(cls, path: Path) -> Self:
        """Opens it for queries alone; fails where it is missing."""
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY_SECONDS, isolation_level=None,
            check_same_thread=False,
        )  # fmt: skip
        return cls(connection)

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()

    def __enter__(self) -> Self:
        """Begins a transaction that `__exit__` commits, or rolls back on an error."""
        self._connection.execute("BEGIN IMMEDIATE")
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            try:
                self._connection.execute("COMMIT")
            except sqlite3.Error:
                self._roll_back()
                raise
        else:
            self._roll_back()

    def _roll_back(self) -> None:
        self._stream_ids.clear()
        self._streams.clear()
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    # Streams

    def stream_id(self, stream: RecordedStream) -> int:
        """The stream's id; it gets one where it has none."""
        known = self.find_stream(stream)
        if known is None:
            self._connection.execute("INSERT OR IGNORE INTO stream (site, camera, profile) VALUES (?, ?, ?)", stream)
            known = self.find_stream(stream)
            assert known is not None
        return known

    def find_stream(self, stream: RecordedStream) -> int | None:
        """The stream's id; None where it has none."""
        known = self._stream_ids.get(stream)
        if known is None:
            row = self._connection.execute(
                "SELECT id FROM stream WHERE site = ? AND camera = ? AND profile = ?", stream
            ).fetchone()
            if row is None:
                return None
            known = int(row[0])
            self._stream_ids[stream] = known
        return known

    def stream(self, stream_id: int) -> RecordedStream:
        """The stream of an id that a row names."""
        if stream_id not in self._streams:
            row = self._connection.execute(
                "SELECT site, camera, profile FROM stream WHERE id = ?", (stream_id,)
            ).fetchone()
            self._streams[stream_id] = RecordedStream(*row)
        return self._streams[stream_id]

    def streams(self) -> list[RecordedStream]:
        """All streams that were ever recorded here."""
        return [
            RecordedStream(*row)
            for row in self._connection.execute("SELECT site, camera, profile FROM stream ORDER BY id")
        ]

    def streams_of(self, camera: str, profile: str) -> list[RecordedStream]:
        """A camera's; one that changed its site has a stream under each."""
        rows = self._connection.execute(
            "SELECT site, camera, profile FROM stream WHERE camera = ? AND profile = ? ORDER BY id", (camera, profile)
        )
        return [RecordedStream(*row) for row in rows]

    # Open segments

    def add_open(self, stream: RecordedStream, start_us: int) -> None:
        """Names a file that is about to be created."""
        self._connection.execute(
            "INSERT OR IGNORE INTO open_segment (stream_id, start_us) VALUES (?, ?)", (self.stream_id(stream), start_us)
        )

    def note_seals(self, stream: RecordedStream, start_us: int, synced: bytes, seals: bytes, orders: bytes) -> None:
        """An open file has the seal ``synced`` on the disk, and is about to end with the last of ``seals``.

        ``orders`` are those of ``synced``, if any, and of each of ``seals``.
        """
        self._connection.execute(
            "UPDATE open_segment SET synced = ?, seals = ?, orders = ? WHERE stream_id = ? AND start_us = ?",
            (synced, seals, orders, self.stream_id(stream), start_us),
        )

    def open_seals(self, stream: RecordedStream, start_us: int) -> OpenSeals:
        """What is stored of an open file's seals."""
        row = self._connection.execute(
            "SELECT synced, seals, orders FROM open_segment WHERE stream_id = ? AND start_us = ?",
            (self.find_stream(stream), start_us),
        ).fetchone()
        if row is None:
            return OpenSeals()
        synced, seals, packed = map(bytes, row)
        each = tuple(seals[at : at + LINK_BYTES] for at in range(0, len(seals), LINK_BYTES))
        return OpenSeals(synced, each, tuple(orders.unpack(packed)))

    def drop_open(self, stream: RecordedStream, start_us: int) -> None:
        """Forgets an open segment."""
        self._connection.execute(
            "DELETE FROM open_segment WHERE stream_id = ? AND start_us = ?", (self.stream_id(stream), start_us)
        )

    def open_segments(self) -> list[tuple[RecordedStream, int]]:
        """Stream and start of every open segment."""
        rows = self._connection.execute("SELECT stream_id, start_us FROM open_segment").fetchall()
        return [(self.stream(stream_id), start_us) for stream_id, start_us in rows]

    # Positions

    def put_positions(self, stream: RecordedStream, positions: Mapping[int, int]) -> None:
        """The stream is recorded up to these: epoch → sequence."""
        stream_id = self.stream_id(stream)
        self._connection.executemany(
            "INSERT INTO position VALUES (?, ?, ?)"
            " ON CONFLICT DO UPDATE SET sequence = max(sequence, excluded.sequence)",
            [(stream_id, epoch, sequence) for epoch, sequence in positions.items()],
        )
        self._connection.execute(
            "DELETE FROM position WHERE stream_id = ? AND epoch <="
            " (SELECT epoch FROM position WHERE stream_id = ? ORDER BY epoch DESC LIMIT 1 OFFSET ?)",
            (stream_id, stream_id, _MOST_EPOCHS),
        )

    def positions(self, stream: RecordedStream) -> dict[int, int]:
        """Up to where the stream's closed segments go: epoch → sequence."""
        rows = self._connection.execute(
            "SELECT epoch, sequence FROM position WHERE stream_id = ?", (self.find_stream(stream),)
        )
        return {int(epoch): int(sequence) for epoch, sequence in rows}

    # Segments

    def put_segment(self, segment: Segment, gops: bytes) -> None:
        """Inserts or replaces a segment's row and deletes its row in ``open_segment``. A new segment is queued for
        scoring."""
        stream_id = self.stream_id(segment.stream)
        replaced = self._connection.execute(  # REPLACE would not fire the delete triggers
            "DELETE FROM segment WHERE stream_id = ? AND start_us = ?", (stream_id, segment.start_us)
        )
        if not replaced.rowcount:
            self.activity.enqueue(stream_id, segment.start_us)
        self._connection.execute(
            f"INSERT INTO segment (stream_id, {_SEGMENT_COLUMNS}) VALUES ({'?, ' * 16}?)",  # noqa: S608 (ours)
            (stream_id, *segment[1:]),
        )
        self._connection.execute("INSERT OR REPLACE INTO gop VALUES (?, ?, ?)", (stream_id, segment.start_us, gops))
        self._connection.execute(
            "DELETE FROM open_segment WHERE stream_id = ? AND start_us = ?", (stream_id, segment.start_us)
        )

    def set_state(self, segments: Iterable[Segment], state: SegmentState) -> None:
        """Marks segments."""
        self._connection.executemany(
            "UPDATE segment SET state = ? WHERE stream_id = ? AND start_us = ?",
            [(state, self.stream_id(segment.stream), segment.start_us) for segment in segments],
        )

    def forget_segments(
        self, segments: Iterable[Segment], *, copied: Callable[[Segment], bool] = lambda _: False
    ) -> None:
        """Deletes segments' rows, and their activity unless ``copied`` says that the archive has them."""
        segments = list(segments)
        keys = [(self.stream_id(segment.stream), segment.start_us) for segment in segments]
        gone = [(self.stream_id(one.stream), one.start_us, one.end_us) for one in segments if not copied(one)]
        self._connection.executemany("DELETE FROM segment WHERE stream_id = ? AND start_us = ?", keys)
        self._connection.executemany("DELETE FROM gop WHERE stream_id = ? AND start_us = ?", keys)
        self.activity.drop_unjudged(UnjudgedSegment(*key) for key in keys)
        self.activity.forget_footage(gone)

    def _select(
        self, where: str, parameters: Iterable[object] = (), *, order: str = "", limit: int = -1
    ) -> list[Segment]:
        """Segments by a condition over schema.sql's columns that stands in this class."""
        rows = self._connection.execute(
            f"SELECT stream_id, {_SEGMENT_COLUMNS} FROM segment WHERE {where}"  # noqa: S608 (conditions of this class)
            f"{f' ORDER BY {order}' if order else ''} LIMIT {limit}",
            tuple(parameters),
        ).fetchall()
        return [self._segment(row) for row in rows]

    def segments_of(self, stream: RecordedStream) -> list[Segment]:
        """All of a stream's, in order of time."""
        return self._select("stream_id = ?", (self.find_stream(stream),), order="start_us")

    def last_segment(self, stream: RecordedStream, *, closed: bool = False) -> Segment | None:
        """A stream's newest; with ``closed`` the newest of those that are in no procedure."""
        where = "stream_id = ? AND state = 0" if closed else "stream_id = ?"
        found = self._select(where, (self.find_stream(stream),), order="start_us DESC", limit=1)
        return found[0] if found else None

    def segment_before(self, stream: RecordedStream, start_us: int) -> Segment | None:
        """The stream's last segment that begins before a moment."""
        where = "stream_id = ? AND start_us < ?"
        found = self._select(where, (self.find_stream(stream), start_us), order="start_us DESC", limit=1)
        return found[0] if found else None

    def segments_starting(self, stream: RecordedStream, from_us: int, before_us: int) -> list[Segment]:
        """A stream's segments that begin from ``from_us`` to before ``before_us``, in order of time."""
        where = "stream_id = ? AND start_us >= ? AND start_us < ?"
        return self._select(where, (self.find_stream(stream), from_us, before_us), order="start_us")

    def segments_touching(self, stream: RecordedStream, from_us: int, to_us: int) -> list[Segment]:
        """A stream's segments with footage of a range, but for those that are being removed; in order of time."""
        stream_id = self.find_stream(stream)
        first = self._connection.execute(
            "SELECT max(start_us) FROM segment WHERE stream_id = ? AND start_us <= ?", (stream_id, from_us)
        ).fetchone()[0]  # bounds what is read: segments are in order of their beginnings alone
        return self._select(
            "stream_id = ? AND start_us >= ? AND start_us < ? AND end_us > ? AND state != ?",
            (stream_id, first or 0, to_us, from_us, SegmentState.DELETING),
            order="start_us",
        )

    def closed_segments(self) -> list[Segment]:
        """All streams' segments that are in no procedure, by stream and time."""
        return self._select("state = 0", order="stream_id, start_us")

    def unsettled_segments(self) -> list[Segment]:
        """The segments that are being removed or replaced."""
        return self._select("state != 0")

    def _segment(self, row: tuple[Any, ...]) -> Segment:
        start_us, end_us, size, tier, state, *rest, signed = row[1:]
        made = Segment(self.stream(row[0]), start_us, end_us, size, Tier(tier), SegmentState(state), *rest)
        return made._replace(signed=Signing(signed))

    def packed_gops(self, stream: RecordedStream, start_us: int) -> bytes | None:
        """A segment's keyframe index, as `services.recorder.storage.gops` reads it."""
        row = self._connection.execute(
            "SELECT entries FROM gop WHERE stream_id = ? AND start_us = ?", (self.find_stream(stream) or 0, start_us)
        ).fetchone()
        return bytes(row[0]) if row else None

    def gops_of(self, segment: Segment) -> list[Gop]:
        """A segment's keyframe index; empty where it has none."""
        packed = self.packed_gops(segment.stream, segment.start_us)
        return gops.unpack(packed) if packed is not None else []

    def damaged_spans(self, stream: RecordedStream, from_us: int, to_us: int) -> list[tuple[int, int]]:
        """When pictures that are marked as damaged were taken, of the segments with footage of a range."""
        stream_id = self.find_stream(stream)
        first = self._connection.execute(
            "SELECT max(start_us) FROM segment WHERE stream_id = ? AND start_us <= ?", (stream_id, from_us)
        ).fetchone()[0]
        rows = self._connection.execute(
            "SELECT entries, start_us, end_us FROM gop JOIN segment USING (stream_id, start_us)"  # noqa: S608 (ours)
            f" WHERE stream_id = ? AND {gops.DAMAGE_SQL} AND start_us >= ? AND start_us < ? AND state != ?"
            " ORDER BY start_us",
            (stream_id, first or 0, to_us, SegmentState.DELETING),
        )
        return [span for packed, *when in rows for span in gops.damaged_spans(gops.unpack(bytes(packed)), *when)]

    def oldest_segments(self, stream: RecordedStream, tier: Tier, *, page: int = 64) -> Iterator[Segment]:
        """A stream's closed segments of a tier, oldest first, read as they are asked for."""
        stream_id, after_us = self.find_stream(stream) or 0, -1
        while True:
            segments = self._select(
                "stream_id = ? AND tier = ? AND start_us > ? AND state = 0",
                (stream_id, tier, after_us),
                order="start_us",
                limit=page,
            )
            yield from segments
            if len(segments) < page:
                return
            after_us = segments[-1].start_us

    def usage(self) -> dict[tuple[RecordedStream, Tier], Usage]:
        """What the segments of each stream and tier add up to."""
        rows = self._connection.execute("SELECT stream_id, tier, segments, size_bytes, length_us FROM usage").fetchall()
        return {(self.stream(stream_id), Tier(tier)): Usage(*rest) for stream_id, tier, *rest in rows}

    # Gaps

    def put_gap(self, gap: GapRow) -> None:
        """Writes a gap, its end, or what is known of its cause now."""
        stream_id = self.stream_id(gap.stream)
        self._connection.execute(
            "DELETE FROM gap WHERE stream_id = ? AND from_us = ? AND to_us IS NULL", (stream_id, gap.from_us)
        )
        self._connection.execute("INSERT OR REPLACE INTO gap VALUES (?, ?, ?, ?, ?)", (stream_id, *gap[1:]))

    def gaps(self, stream: RecordedStream, from_us: int, to_us: int) -> list[GapRow]:
        """The gaps that touch a range, in order. One whose end was not written ends where there is footage again."""
        rows = self._connection.execute(
            "SELECT from_us, ended_us, cause, detail FROM (SELECT from_us, cause, detail, coalesce(to_us,"
            " (SELECT min(start_us) FROM segment WHERE stream_id = gap.stream_id AND start_us >= gap.from_us))"
            " AS ended_us FROM gap WHERE stream_id = ? AND from_us < ? AND (to_us IS NULL OR to_us > ?))"
            " WHERE ended_us IS NULL OR ended_us > ? ORDER BY from_us",
            (self.find_stream(stream), to_us, from_us, from_us),
        ).fetchall()
        return [GapRow(stream, *row) for row in rows]

    def forget_gaps(self, stream: RecordedStream, before_us: int) -> None:
        """Deletes a stream's gaps that ended before."""
        self._connection.execute(
            "DELETE FROM gap WHERE stream_id = ? AND to_us < ?", (self.find_stream(stream), before_us)
        )

    # Runs: what segments join to; triggers keep the table (schema_2.sql)

    def runs_touching(self, stream: RecordedStream, from_us: int, to_us: int) -> list[FootageRun]:
        """A stream's runs with footage of a range."""
        rows = self._connection.execute(
            "SELECT tier, from_us, to_us FROM run WHERE stream_id = ? AND from_us < ? AND to_us > ?",
            (self.find_stream(stream), to_us, from_us),
        )
        return [FootageRun(*row) for row in rows]

    def extents(self) -> dict[RecordedStream, tuple[int, int]]:
        """Where each stream's footage begins and ends; streams without any are not in it."""
        rows = self._connection.execute("SELECT stream_id, min(from_us), max(to_us) FROM run GROUP BY stream_id")
        return {self.stream(stream_id): (from_us, to_us) for stream_id, from_us, to_us in rows.fetchall()}

    def runs_differ(self, stream: RecordedStream) -> bool:
        """Whether the runs differ from what the segments join to. One transaction, so a recorder may be running."""
        self._connection.execute("BEGIN")
        try:
            return self._stored_runs(stream) != self._joined_runs(stream)
        finally:
            self._connection.execute("COMMIT")

    def rebuild_runs(self, stream: RecordedStream) -> None:
        """Rebuilds a stream's runs, within a transaction."""
        stream_id = self.find_stream(stream)
        wanted = self._joined_runs(stream)
        self._connection.execute("DELETE FROM run WHERE stream_id = ?", (stream_id,))
        self._connection.executemany("INSERT INTO run VALUES (?, ?, ?, ?)", [(stream_id, *run) for run in wanted])

    def _stored_runs(self, stream: RecordedStream) -> list[FootageRun]:
        rows = self._connection.execute(
            "SELECT tier, from_us, to_us FROM run WHERE stream_id = ? ORDER BY tier, from_us",
            (self.find_stream(stream),),
        )
        return [FootageRun(*row) for row in rows]

    def _joined_runs(self, stream: RecordedStream) -> list[FootageRun]:
        rows = self._connection.execute(
            "SELECT tier, start_us, end_us FROM segment WHERE stream_id = ? ORDER BY tier, start_us",
            (self.find_stream(stream),),
        )
        return joined(FootageRun(*row) for row in rows)

    # The archive's catalogue beside it

    def attach_archive(self, catalogue: Path) -> None:
        """Lets `uncopied` and `uncopied_totals` see the archive's catalogue."""
        self._connection.execute("ATTACH ? AS archive", (f"{catalogue.absolute().as_uri()}?mode=ro",))

    def uncopied(
        self, stream: RecordedStream, from_us: int, to_us: int = ENDLESS_US, *, end_after_us: int = 0, limit: int
    ) -> list[Segment]:
        """A stream's closed segments without a sound copy, oldest first.

        They begin from ``from_us`` to before ``to_us`` and end after ``end_after_us``.
        """
        parameters = self._uncopied_parameters(stream, from_us, to_us, end_after_us)
        return self._select(_UNCOPIED, parameters, order="start_us", limit=limit)

    def uncopied_totals(self, stream: RecordedStream, from_us: int) -> tuple[int, int]:
        """How many segments `uncopied` finds from ``from_us`` on, and their bytes."""
        row = self._connection.execute(
            f"SELECT count(*), coalesce(sum(size_bytes), 0) FROM segment WHERE {_UNCOPIED}",  # noqa: S608 (ours)
            self._uncopied_parameters(stream, from_us, ENDLESS_US, 0),
        ).fetchone()
        return int(row[0]), int(row[1])

    def _uncopied_parameters(
        self, stream: RecordedStream, from_us: int, to_us: int, end_after_us: int
    ) -> tuple[object, ...]:
        named = (stream.camera, stream.profile, stream.site)
        return (self.find_stream(stream), from_us, to_us, end_after_us, *named)

    # The file itself

    def problems(self) -> list[str]:
        """What SQLite's own check finds; raises ``sqlite3.DatabaseError`` where the file cannot be read at all."""
        found = [str(row[0]) for row in self._connection.execute("PRAGMA integrity_check(10)")]
        return [] if found == ["ok"] else found

    # Meta

    def get_meta(self, key: str) -> str | None:
        """A value of ``meta``."""
        row = self._connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return str(row[0]) if row else None

    def set_meta(self, key: str, value: str) -> None:
        """Writes a value of ``meta``."""
        self._connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))


def _steps() -> list[str]:
    """What makes each version of the schema out of the one before."""
    first, *rest = (files("services.recorder.storage").joinpath(name).read_text() for name in _SCHEMAS)
    return [f"{first}\nINSERT INTO meta VALUES ('directory_id', '{uuid4()}');\n", *rest]
