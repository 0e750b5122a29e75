"""Decoded pictures: a least-recently-used cache, bounded in bytes."""

from collections import OrderedDict
from typing import Generic, NamedTuple, TypeVar

from services.contracts.errors import PantauError

K = TypeVar("K")


class PictureError(PantauError):
    """The keyframe cannot be decoded."""

    code = "bad-picture"
    status = 502


class Snapshot(NamedTuple):
    """A picture, and which keyframe it is."""

    jpeg: bytes
    order: tuple[int, int]
    """Epoch and sequence of a live keyframe; 0 and the capture time of a recorded one."""
    capture_us: int


class PictureCache(Generic[K]):
    """Not for threads."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._kept: OrderedDict[K, tuple[Snapshot, float]] = OrderedDict()
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def find_picture(self, key: K) -> tuple[Snapshot, float] | None:
        """The picture, and the time given to `keep_picture`."""
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
        return found

    def keep_picture(self, key: K, snapshot: Snapshot, at: float = 0.0) -> None:
        """Keeps a picture, and drops the least recently used ones above the limit."""
        before = self._kept.pop(key, None)
        self.size_bytes += len(snapshot.jpeg) - (len(before[0].jpeg) if before else 0)
        self._kept[key] = (snapshot, at)
        while self.size_bytes > self._max_bytes:
            _, (oldest, _) = self._kept.popitem(last=False)
            self.size_bytes -= len(oldest.jpeg)
