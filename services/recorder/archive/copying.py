"""Copying one segment: sent, read back, held against what was sent."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

from services.recorder.archive.errors import ArchiveError, ArchiveTrouble
from services.recorder.archive.store import ObjectStore
from services.recorder.archive.throttle import RateLimit

CHUNK_BYTES: Final = 1024 * 1024
BACK_BYTES: Final = 4 * 1024 * 1024


class ChangedError(Exception):
    """The file is not, or is no more, what the index says: it is looked at again later."""


class TransferLimits:
    """What copying takes of the line, both ways."""

    def __init__(self, megabits_per_second: float, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._up = RateLimit(megabits_per_second * 125_000)
        self._down = RateLimit(megabits_per_second * 125_000)

    async def wait_up(self, size_bytes: int) -> None:
        """Until so much may be sent."""
        await asyncio.sleep(self._up.take(size_bytes, self._monotonic()))

    async def wait_down(self, size_bytes: int) -> None:
        """Until so much may be asked for."""
        await asyncio.sleep(self._down.take(size_bytes, self._monotonic()))


async def copy(store: ObjectStore, line: TransferLimits, path: Path, key: str, size_bytes: int) -> bytes:
    """Stores a file of ``size_bytes`` as ``key``; the SHA-256 of what is stored now.

    Raises `ArchiveError`, `ChangedError`, ``OSError`` where the file cannot be read.
    """
    fd = await asyncio.to_thread(os.open, path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if os.fstat(fd).st_size != size_bytes:
            raise ChangedError(f"{path.name} has not the size that its row says")
        sent = hashlib.sha256()
        await store.put(key, _chunks(fd, size_bytes, sent, line))
    finally:
        os.close(fd)
    try:
        await compare(store, line, key, size_bytes, sent.digest())
    except FileNotFoundError:
        raise ArchiveError(ArchiveTrouble.DIFFERS, f"{key} was stored, and is not there") from None
    return sent.digest()


async def compare(store: ObjectStore, line: TransferLimits, key: str, size_bytes: int, sha256: bytes) -> None:
    """Reads an object and raises `ArchiveError` where it is not what it should be.

    ``FileNotFoundError`` where it is gone.
    """
    if (size := await store.size(key)) != size_bytes:
        raise ArchiveError(ArchiveTrouble.DIFFERS, f"{key} has {size} bytes in the archive instead of {size_bytes}")
    found = hashlib.sha256()
    for at in range(0, size_bytes, BACK_BYTES):
        wanted = min(BACK_BYTES, size_bytes - at)
        await line.wait_down(wanted)
        found.update(await store.read(key, at, wanted))
    if found.digest() != sha256:
        raise ArchiveError(ArchiveTrouble.DIFFERS, f"{key} has another content in the archive than was sent")


async def _chunks(fd: int, size_bytes: int, sent: "hashlib._Hash", line: TransferLimits) -> AsyncIterator[bytes]:
    for at in range(0, size_bytes, CHUNK_BYTES):
        wanted = min(CHUNK_BYTES, size_bytes - at)
        await line.wait_up(wanted)
        data = await asyncio.to_thread(os.pread, fd, wanted, at)
        if len(data) < wanted:
            raise ChangedError("the file was cut while it was being copied")
        sent.update(data)
        yield data
