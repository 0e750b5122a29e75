"""How footage is acknowledged, reader to recorder (docs/footage.md): what is kept, what is safe, and asking for it.

The two messages that go out once a second are msgpack arrays and no models: a worker has hundreds of cameras.
"""

from collections.abc import Iterable, Iterator
from struct import Struct
from struct import error as struct_error
from typing import Any, Final, NamedTuple

import msgpack

from services.contracts.errors import PantauError
from services.contracts.models import Id, Model

_LENGTH: Final = Struct(">I")


class KeepingError(PantauError):
    """The bytes are not one of these messages."""

    code = "bad-keeping"
    status = 502


class KeptRun(NamedTuple):
    """What a worker keeps of one camera under one epoch."""

    site: Id
    camera: Id
    epoch: int
    first: int
    """Sequence of the first picture that is kept…"""
    last: int
    """…and of the last."""
    first_us: int
    """Their capture times."""
    last_us: int
    live: bool
    """Whether the worker reads the camera now, under this epoch: more will come."""


class KeptReport(NamedTuple):
    """What a worker keeps, all of it."""

    worker: Id
    runs: tuple[KeptRun, ...]
    spooled: bool
    """Whether it outlives the worker: it has a spool on disk."""

    def pack(self) -> bytes:
        """The message."""
        packed: bytes = msgpack.packb((self.worker, [tuple(run) for run in self.runs], self.spooled))
        return packed

    @classmethod
    def unpack(cls, data: bytes) -> "KeptReport":
        """Raises `KeepingError`."""
        worker, rows, *rest = _unpacked(data)
        try:
            runs = tuple(KeptRun(*row[: len(KeptRun._fields)]) for row in rows)
            return cls(worker, runs, spooled=bool(rest and rest[0]))
        except TypeError as error:
            raise KeepingError(f"not a report of kept footage: {error}") from error


class SafeFootage(NamedTuple):
    """Up to where a camera's pictures of one epoch are safe on a recorder's disk."""

    camera: Id
    epoch: int
    sequence: int


class SafeReport(NamedTuple):
    """What a recorder acknowledges: all that it records, once a second."""

    recorder: Id
    rows: tuple[SafeFootage, ...]

    def pack(self) -> bytes:
        """The message."""
        packed: bytes = msgpack.packb((self.recorder, [tuple(row) for row in self.rows]))
        return packed

    @classmethod
    def unpack(cls, data: bytes) -> "SafeReport":
        """Raises `KeepingError`."""
        recorder, rows, *_ = _unpacked(data)
        try:
            return cls(recorder, tuple(SafeFootage(*row[: len(SafeFootage._fields)]) for row in rows))
        except TypeError as error:
            raise KeepingError(f"not a report of safe footage: {error}") from error


class PullQuestion(Model):
    """Asks a worker for what it keeps of a camera under an epoch."""

    camera: Id
    epoch: int
    after: int | None = None
    """Sequence of the last picture that the asker has; None: from the first that is kept."""
    whole_gop: bool = False
    """Begin with the keyframe at or before the next picture: the asker has no file that could go on without it."""
    deliver_to: str
    """Of the asker's `services.mesh.transfer.Incoming`. Each payload is what `join_messages` gives."""


class PullAnswer(Model):
    """The footage comes as a transfer."""

    control: str = ""
    """The transfer's; empty: nothing is kept of that camera under that epoch."""
    dropped_to: int | None = None
    """Up to this sequence it was dropped because the bound was reached; None: nothing that was asked for was."""


def join_messages(messages: Iterable[bytes]) -> bytes:
    """Access-unit messages one after another, each behind its length (u32)."""
    parts: list[bytes] = []
    for message in messages:
        parts += (_LENGTH.pack(len(message)), message)
    return b"".join(parts)


def split_messages(data: bytes) -> Iterator[bytes]:
    """The messages that `join_messages` joined. Raises `KeepingError`."""
    at, end = 0, len(data)
    while at < end:
        try:
            (length,) = _LENGTH.unpack_from(data, at)
        except struct_error as error:
            raise KeepingError("messages are cut") from error
        at += _LENGTH.size
        if at + length > end:
            raise KeepingError("messages are cut")
        yield data[at : at + length]
        at += length


def _unpacked(data: bytes) -> list[Any]:
    """Its name, its rows, and what newer versions put behind them."""
    try:
        fields = list(msgpack.unpackb(data))
    except (ValueError, TypeError) as error:
        raise KeepingError(f"not a message about kept footage: {error}") from error
    if len(fields) < 2 or not isinstance(fields[0], str) or not isinstance(fields[1], list):
        raise KeepingError("not a message about kept footage")
    return fields
