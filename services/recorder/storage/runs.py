"""What segments join to: the index keeps it by triggers (schema_2.sql), and `fsck` holds it against this."""

from collections.abc import Iterable
from typing import NamedTuple

from services.contracts.recordings import MIN_GAP_US
from services.recorder.storage.index import Index
from services.recorder.storage.paths import RecordedStream


class FootageRun(NamedTuple):
    """A row of ``run``, and as much of one of ``segment``."""

    tier: int
    from_us: int
    to_us: int


def joined(parts: Iterable[FootageRun]) -> list[FootageRun]:
    """Parts of one tier that follow each other without a hole of `MIN_GAP_US`, as one. Pure."""
    found: list[FootageRun] = []
    for part in parts:
        last = found[-1] if found else None
        if last and last.tier == part.tier and part.from_us - last.to_us < MIN_GAP_US:
            found[-1] = last._replace(to_us=max(last.to_us, part.to_us))
        else:
            found.append(part)
    return found


def differ(index: Index, stream: RecordedStream) -> bool:
    """Whether the table says something else than the segments; one transaction, so a recorder may be at work."""
    index.connection.execute("BEGIN")
    try:
        return _stored(index, stream) != _wanted(index, stream)
    finally:
        index.connection.execute("COMMIT")


def rebuild(index: Index, stream: RecordedStream) -> None:
    """Makes the stream's rows anew."""
    stream_id = index.find_stream(stream)
    with index:
        wanted = _wanted(index, stream)
        index.connection.execute("DELETE FROM run WHERE stream_id = ?", (stream_id,))
        index.connection.executemany("INSERT INTO run VALUES (?, ?, ?, ?)", [(stream_id, *run) for run in wanted])


def _stored(index: Index, stream: RecordedStream) -> list[FootageRun]:
    rows = index.connection.execute(
        "SELECT tier, from_us, to_us FROM run WHERE stream_id = ? ORDER BY tier, from_us", (index.find_stream(stream),)
    )
    return [FootageRun(*row) for row in rows]


def _wanted(index: Index, stream: RecordedStream) -> list[FootageRun]:
    rows = index.connection.execute(
        "SELECT tier, start_us, end_us FROM segment WHERE stream_id = ? ORDER BY tier, start_us",
        (index.find_stream(stream),),
    )
    return joined(FootageRun(*row) for row in rows)
