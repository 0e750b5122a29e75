"""The index of one directory: opening it, and the transactions that the procedures of docs/recording.md are made of."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from enum import IntEnum
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, NamedTuple, Self
from uuid import uuid4

from services.recorder.storage import activity_rows
from services.recorder.storage.paths import RecordedStream

_STEPS: Final = ("schema.sql", "schema_2.sql")
"""What makes each version of the schema out of the one before."""
SCHEMA_VERSION: Final = len(_STEPS)
_BUSY_SECONDS: Final = 10.0
_CHECKPOINT_PAGES: Final = 2000
_SEGMENT_COLUMNS: Final = (
    "start_us, end_us, size_bytes, tier, state, frames, keyframes, codec, width_px, height_px, audio,"
    " uncertainty_us, clock, retimed, link"
)


class Tier(IntEnum):
    """What is left of a segment's pictures."""

    FULL = 0
    KEYFRAMES = 1


class SegmentState(IntEnum):
    """What is being done to a segment's file."""

    CLOSED = 0
    DELETING = 1
    REPLACING = 2


class Segment(NamedTuple):
    """A row of ``segment``; schema.sql says what each value is."""

    stream: RecordedStream
    start_us: int
    end_us: int
    size_bytes: int
    tier: Tier
    state: SegmentState
    frames: int
    keyframes: int
    codec: str
    width_px: int
    height_px: int
    audio: str
    uncertainty_us: int
    clock: str
    retimed: int
    link: bytes


class Usage(NamedTuple):
    """What segments add up to."""

    segments: int
    size_bytes: int
    length_us: int


class GapRow(NamedTuple):
    """A row of ``gap``."""

    stream: RecordedStream
    from_us: int
    to_us: int | None
    cause: str
    detail: str = ""


class Index:
    """One connection; belongs to one thread at a time. Methods raise ``sqlite3.Error``.

    A durable one commits with an fsync that makes every earlier commit of the others durable, too.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
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
            _migrate(connection)
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
        self.connection.close()

    def __enter__(self) -> Self:
        """Begins a transaction that `__exit__` commits, or rolls back on an error."""
        self.connection.execute("BEGIN IMMEDIATE")
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            try:
                self.connection.execute("COMMIT")
            except sqlite3.Error:
                self._roll_back()
                raise
        else:
            self._roll_back()

    def _roll_back(self) -> None:
        self._stream_ids.clear()
        self._streams.clear()
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")

    # Streams

    def stream_id(self, stream: RecordedStream) -> int:
        """The stream's id; it gets one where it has none."""
        known = self._stream_ids.get(stream)
        if known is None:
            self.connection.execute("INSERT OR IGNORE INTO stream (site, camera, profile) VALUES (?, ?, ?)", stream)
            known = self.find_stream(stream)
            assert known is not None
        return known

    def find_stream(self, stream: RecordedStream) -> int | None:
        """The stream's id; None where it has none."""
        known = self._stream_ids.get(stream)
        if known is None:
            row = self.connection.execute(
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
            row = self.connection.execute(
                "SELECT site, camera, profile FROM stream WHERE id = ?", (stream_id,)
            ).fetchone()
            self._streams[stream_id] = RecordedStream(*row)
        return self._streams[stream_id]

    def streams(self) -> list[RecordedStream]:
        """All streams that were ever recorded here."""
        return [
            RecordedStream(*row)
            for row in self.connection.execute("SELECT site, camera, profile FROM stream ORDER BY id")
        ]

    def streams_of(self, camera: str, profile: str) -> list[RecordedStream]:
        """A camera's; one that changed its site has a stream under each."""
        rows = self.connection.execute(
            "SELECT site, camera, profile FROM stream WHERE camera = ? AND profile = ? ORDER BY id", (camera, profile)
        )
        return [RecordedStream(*row) for row in rows]

    # Open segments

    def add_open(self, stream: RecordedStream, start_us: int) -> None:
        """Names a file that is about to be created."""
        self.connection.execute("INSERT OR IGNORE INTO open_segment VALUES (?, ?)", (self.stream_id(stream), start_us))

    def drop_open(self, stream: RecordedStream, start_us: int) -> None:
        """Forgets an open segment."""
        self.connection.execute(
            "DELETE FROM open_segment WHERE stream_id = ? AND start_us = ?", (self.stream_id(stream), start_us)
        )

    def open_segments(self) -> list[tuple[RecordedStream, int]]:
        """Stream and start of every open segment."""
        rows = self.connection.execute("SELECT stream_id, start_us FROM open_segment").fetchall()
        return [(self.stream(stream_id), start_us) for stream_id, start_us in rows]

    # Segments

    def put_segment(self, segment: Segment, gops: bytes) -> None:
        """Writes a segment's row, whatever was there before, and forgets that it was open.

        Of a new one it is still to be told how much moved.
        """
        stream_id = self.stream_id(segment.stream)
        replaced = self.connection.execute(  # not REPLACE, which would pass the triggers by
            "DELETE FROM segment WHERE stream_id = ? AND start_us = ?", (stream_id, segment.start_us)
        )
        if not replaced.rowcount:
            activity_rows.enqueue(self.connection, stream_id, segment.start_us)
        self.connection.execute(
            f"INSERT INTO segment (stream_id, {_SEGMENT_COLUMNS}) VALUES ({'?, ' * 15}?)",  # noqa: S608 (ours)
            (stream_id, *segment[1:]),
        )
        self.connection.execute("INSERT OR REPLACE INTO gop VALUES (?, ?, ?)", (stream_id, segment.start_us, gops))
        self.connection.execute(
            "DELETE FROM open_segment WHERE stream_id = ? AND start_us = ?", (stream_id, segment.start_us)
        )

    def set_state(self, segments: Iterable[Segment], state: SegmentState) -> None:
        """Marks segments."""
        self.connection.executemany(
            "UPDATE segment SET state = ? WHERE stream_id = ? AND start_us = ?",
            [(state, self.stream_id(segment.stream), segment.start_us) for segment in segments],
        )

    def forget(self, segments: Iterable[Segment], *, copied: Callable[[Segment], bool] = lambda _: False) -> None:
        """Deletes segments' rows, and what is known of how much moved in them where no copy of them is ``copied``."""
        segments = list(segments)
        keys = [(self.stream_id(segment.stream), segment.start_us) for segment in segments]
        gone = [(self.stream_id(one.stream), one.start_us, one.end_us) for one in segments if not copied(one)]
        self.connection.executemany("DELETE FROM segment WHERE stream_id = ? AND start_us = ?", keys)
        self.connection.executemany("DELETE FROM gop WHERE stream_id = ? AND start_us = ?", keys)
        activity_rows.drop_waiting(self.connection, [activity_rows.UnjudgedSegment(*key) for key in keys])
        activity_rows.forget(self.connection, gone)

    def select(
        self, where: str, parameters: Iterable[object] = (), *, order: str = "", limit: int = -1
    ) -> list[Segment]:
        """Segments by a condition over schema.sql's columns, written by us."""
        rows = self.connection.execute(
            f"SELECT stream_id, {_SEGMENT_COLUMNS} FROM segment WHERE {where}"  # noqa: S608 (conditions are ours)
            f"{f' ORDER BY {order}' if order else ''} LIMIT {limit}",
            tuple(parameters),
        ).fetchall()
        return [self._segment(row) for row in rows]

    def _segment(self, row: tuple[Any, ...]) -> Segment:
        start_us, end_us, size, tier, state, *rest = row[1:]
        return Segment(self.stream(row[0]), start_us, end_us, size, Tier(tier), SegmentState(state), *rest)

    def gops(self, stream: RecordedStream, start_us: int) -> bytes | None:
        """A segment's keyframe index, as `services.recorder.storage.gops` reads it."""
        row = self.connection.execute(
            "SELECT entries FROM gop WHERE stream_id = ? AND start_us = ?", (self.find_stream(stream) or 0, start_us)
        ).fetchone()
        return bytes(row[0]) if row else None

    def oldest(self, stream: RecordedStream, tier: Tier, *, page: int = 64) -> Iterator[Segment]:
        """A stream's closed segments of a tier, oldest first, read as they are asked for."""
        stream_id, after_us = self.find_stream(stream) or 0, -1
        while True:
            segments = self.select(
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
        rows = self.connection.execute("SELECT stream_id, tier, segments, size_bytes, length_us FROM usage").fetchall()
        return {(self.stream(stream_id), Tier(tier)): Usage(*rest) for stream_id, tier, *rest in rows}

    # Gaps

    def put_gap(self, gap: GapRow) -> None:
        """Writes a gap, or its end."""
        self.connection.execute(
            "INSERT OR REPLACE INTO gap VALUES (?, ?, ?, ?, ?)", (self.stream_id(gap.stream), *gap[1:])
        )

    def gaps(self, stream: RecordedStream, from_us: int, to_us: int) -> list[GapRow]:
        """The gaps that touch a range, in order."""
        stream_id = self.find_stream(stream)
        rows = self.connection.execute(
            "SELECT from_us, to_us, cause, detail FROM gap"
            " WHERE stream_id = ? AND from_us < ? AND (to_us IS NULL OR to_us > ?) ORDER BY from_us",
            (stream_id, to_us, from_us),
        ).fetchall()
        return [GapRow(stream, *row) for row in rows]

    def forget_gaps(self, before_us: int) -> None:
        """Deletes the gaps that ended before."""
        self.connection.execute("DELETE FROM gap WHERE to_us < ?", (before_us,))

    # Meta

    def get(self, key: str) -> str | None:
        """A value of ``meta``."""
        row = self.connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return str(row[0]) if row else None

    def set(self, key: str, value: str) -> None:
        """Writes a value of ``meta``."""
        self.connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))


class SchemaError(sqlite3.DatabaseError):
    """The index was written by a newer version of this program."""


def _migrate(connection: sqlite3.Connection) -> None:
    """Schema versions stand in ``user_version``; each step from one to the next is a transaction of its own."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > SCHEMA_VERSION:
        raise SchemaError(f"the index has schema {version}, this program knows up to {SCHEMA_VERSION}; use a newer one")
    for number, name in enumerate(_STEPS[version:], version + 1):
        step = files("services.recorder.storage").joinpath(name).read_text()
        if number == 1:
            step += f"\nINSERT INTO meta VALUES ('directory_id', '{uuid4()}');"
        connection.executescript(f"BEGIN IMMEDIATE;\n{step}\nPRAGMA user_version = {number};\nCOMMIT;")
