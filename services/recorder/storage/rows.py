"""The rows of the index, and what segments join to. Pure."""

from collections.abc import Iterable
from enum import IntEnum
from pathlib import PurePosixPath
from typing import NamedTuple

from services.contracts.recordings import MIN_GAP_US
from services.recorder.storage.paths import RecordedStream, segment_path


class Tier(IntEnum):
    """What is left of a segment's pictures."""

    FULL = 0
    KEYFRAMES = 1


class SegmentState(IntEnum):
    """What is being done to a segment's file."""

    CLOSED = 0
    DELETING = 1
    REPLACING = 2


class Signing(IntEnum):
    """What the index knows of a segment's signature."""

    NEVER = 0
    """It was never signed: no room, or no key. It may be signed late."""
    SIGNED = 1
    """A file that has no signature is not what was recorded."""
    ALTERED = 2
    """The file was found to differ from what was recorded. It is never signed."""
    UNVOUCHED = 3
    """A power cut took what the index knew of it. It is never signed, as nobody can tell whether it was changed."""


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
    signed: Signing = Signing.NEVER

    @property
    def path(self) -> PurePosixPath:
        """Of its file, below ``recordings/``."""
        return segment_path(self.stream, self.start_us)


class OpenSeals(NamedTuple):
    """Of a row of ``open_segment``; schema_3.sql and schema_5.sql say what each is."""

    synced: bytes = b""
    seals: tuple[bytes, ...] = ()
    orders: tuple[tuple[int, int], ...] = ()
    """Epoch and sequence of the last picture up to each of `known`."""

    @property
    def known(self) -> tuple[bytes, ...]:
        """All of them in order."""
        return (self.synced, *self.seals) if self.synced else self.seals


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
