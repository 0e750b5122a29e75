"""Footage that went, told as events: one for each stream and for where it remains."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from services.contracts.events import RecordingExpired, Remains
from services.recorder.storage.paths import RecordedStream


class ExpiredFootage(NamedTuple):
    """A segment, or a copy of one, that was removed."""

    stream: RecordedStream
    start_us: int
    end_us: int
    size_bytes: int
    because: str
    remains_in: Remains


def expired(items: Iterable[ExpiredFootage], *, recorder: str, at_us: int) -> Iterator[RecordingExpired]:
    """What is to be told of ``items``."""
    groups: dict[tuple[RecordedStream, str, Remains], list[ExpiredFootage]] = {}
    for item in items:
        groups.setdefault((item.stream, item.because, item.remains_in), []).append(item)
    for (stream, because, remains_in), gone in groups.items():
        yield RecordingExpired(
            site=stream.site, camera=stream.camera, recorder=recorder, at_us=at_us,
            from_us=min(item.start_us for item in gone), to_us=max(item.end_us for item in gone),
            size_bytes=sum(item.size_bytes for item in gone), because=because, remains_in=remains_in,
        )  # fmt: skip
