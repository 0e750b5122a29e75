"""Reading stored objects as if they were files, for playback, clips and evidence. Blocks, in any thread."""

import hashlib
import os
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from services.media.mp4.reader import ReadAt
from services.mesh.metrics import counter
from services.recorder.archive.archive import ArchiveError, ArchiveTrouble
from services.recorder.archive.catalogue import ArchivedCopy
from services.recorder.archive.store import ObjectStore

READS_AT_ONCE: Final = 4
SORE_SECONDS: Final = 3.0
"""After a failed read others are refused for this long, so that a store that hangs does not block every thread."""
_WAIT_SECONDS: Final = 4.0
BLOCK_BYTES: Final = 256 * 1024
MAX_AHEAD_BLOCKS: Final = 16
_KEPT_BLOCKS: Final = 64
_WHOLE_BYTES: Final = BLOCK_BYTES * MAX_AHEAD_BLOCKS
Fetch = Callable[[int, int], bytes]
"""``fetch(offset, size)``: exactly those bytes, within the object."""

_read = counter("archive_read_bytes", "Bytes read from the archive for playback, clips and evidence")
_read_failures = counter("archive_read_failures", "Reads from the archive that failed", "because")


class RangeReader:
    """`read` is a `services.media.mp4.reader.ReadAt` that turns many small reads into few requests. Pure but for
    ``fetch``.

    Sequential reads double the request size up to 4 MiB; a jump requests one block.
    """

    def __init__(self, fetch: Fetch, size_bytes: int) -> None:
        self._fetch = fetch
        self._size = size_bytes
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._ahead = 1
        self._next = -1
        """The block behind the last request."""

    def read(self, at: int, size: int) -> bytes:
        """Up to ``size`` bytes from ``at``; fewer only at the end."""
        end = min(at + size, self._size)
        if at >= end:
            return b""
        first, last = at // BLOCK_BYTES, (end - 1) // BLOCK_BYTES
        parts = [self._block(number, last) for number in range(first, last + 1)]
        start = at - first * BLOCK_BYTES
        return (parts[0] if len(parts) == 1 else b"".join(parts))[start : start + end - at]

    def _block(self, number: int, wanted_last: int) -> bytes:
        found = self._blocks.get(number)
        if found is None:
            self._ahead = min(self._ahead * 2, MAX_AHEAD_BLOCKS) if number == self._next else 1
            count = max(self._ahead, min(wanted_last - number + 1, MAX_AHEAD_BLOCKS))
            self._load(number, count)
            found = self._blocks[number]
        self._blocks.move_to_end(number)
        return found

    def _load(self, number: int, count: int) -> None:
        at = number * BLOCK_BYTES
        data = self._fetch(at, min(count * BLOCK_BYTES, self._size - at))
        for start in range(0, len(data), BLOCK_BYTES):
            self._blocks[number + start // BLOCK_BYTES] = data[start : start + BLOCK_BYTES]
        while len(self._blocks) > _KEPT_BLOCKS:
            self._blocks.popitem(last=False)
        self._next = number + count


class ArchiveReader:
    """Limits how many reads run at once, and stops asking a failing store for a few seconds."""

    def __init__(self, store: ObjectStore, *, monotonic: Callable[[], float]) -> None:
        self._store = store
        self._monotonic = monotonic
        self._slots = threading.BoundedSemaphore(READS_AT_ONCE)
        self._sore: tuple[float, ArchiveError] | None = None

    @property
    def answers(self) -> bool:
        """False for a moment after a read failed."""
        return self._trouble() is None

    @contextmanager
    def opened(self, copy: ArchivedCopy) -> Iterator[tuple[ReadAt, int]]:
        """As `services.recorder.storage.scan.opened`. Reading raises `ArchiveError`, ``FileNotFoundError``."""
        yield RangeReader(lambda at, size: self._fetch(copy.key, at, size), copy.size_bytes).read, copy.size_bytes

    @contextmanager
    def opened_verified(self, copy: ArchivedCopy) -> Iterator[tuple[ReadAt, int]]:
        """The same, after all of it was compared with what was sent; it is read from a temporary file then.

        Raises `ArchiveError` (``DIFFERS``) where the object is something else, ``FileNotFoundError``, ``OSError``.
        """
        found = hashlib.sha256()
        with tempfile.TemporaryFile() as file:
            try:
                for at in range(0, copy.size_bytes, _WHOLE_BYTES):
                    data = self._fetch(copy.key, at, min(_WHOLE_BYTES, copy.size_bytes - at))
                    found.update(data)
                    file.write(data)
            except FileNotFoundError:
                raise ArchiveError(ArchiveTrouble.DIFFERS, f"{copy.key} is not in the archive any more") from None
            if found.digest() != copy.sha256:
                raise ArchiveError(ArchiveTrouble.DIFFERS, f"{copy.key} is not what was sent to the archive")
            file.flush()
            fd = file.fileno()
            yield (lambda at, size: os.pread(fd, size, at)), copy.size_bytes

    def _fetch(self, key: str, at: int, size: int) -> bytes:
        if trouble := self._trouble():
            raise trouble
        if not self._slots.acquire(timeout=_WAIT_SECONDS):
            raise ArchiveError(ArchiveTrouble.FAILED, "too much is being read from the archive just now; ask again")
        try:
            data = self._store.fetch_range(key, at, size)
        except ArchiveError as error:
            self._sore = (self._monotonic(), error)
            _read_failures.labels(error.trouble).inc()
            raise
        finally:
            self._slots.release()
        _read.inc(len(data))
        return data

    def _trouble(self) -> ArchiveError | None:
        if self._sore is None or self._monotonic() - self._sore[0] > SORE_SECONDS:
            return None
        return self._sore[1]
