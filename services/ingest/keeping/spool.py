"""The spool: chunks on disk, in files of this worker, and in those that earlier workers of this machine left.

A file is a row of records, each written with one call and checked by a CRC:

    magic "PKP1", crc32 of all that follows (u32), header (`_HEADER`), site "/" camera, payload (`join_messages`)

A file is written by one process and never appended to by another. Reading ends at the first record that is cut, so a
torn tail costs that record alone. A file is removed when nobody needs a chunk of it any more.

    <data>/spool/<worker>/lock      held (flock(2)) by the process that uses the folder
    <data>/spool/<worker>/000001.spool
"""

import errno
import fcntl
import os
import shutil
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from struct import Struct
from typing import Final, NamedTuple

from services.contracts.errors import PantauError
from services.contracts.keeping import join_messages, split_messages
from services.contracts.models import Id
from services.contracts.subjects import is_id
from services.ingest.keeping.chunks import FootageChunk, SpoolPlace
from services.mesh.log import get_logger

log = get_logger()

FILE_BYTES: Final = 64 * 1024 * 1024
_MAGIC: Final = b"PKP1"
_PREFIX: Final = Struct(">4sI")
_HEADER: Final = Struct(">IIQQqqBH")
"""Payload's length, epoch, first and last sequence, their capture times, whether a GOP starts, the name's length."""
_SUFFIX: Final = ".spool"
_LOCK: Final = "lock"


class SpoolError(PantauError):
    """The spool cannot be used, or a chunk in it is damaged."""

    code = "spool-failed"


class SpooledChunk(NamedTuple):
    """A chunk that was found on disk."""

    site: Id
    camera: Id
    chunk: FootageChunk


class _SpoolFile:
    def __init__(self, path: Path, size_bytes: int = 0) -> None:
        self.path = path
        self.size_bytes = size_bytes
        self.chunks = 0
        """How many of its chunks somebody still needs."""


class Spool:
    """Belongs to one process. `write`, `read` and `load` block; the rest returns at once and belongs to one thread.

    One `write` or `load` at a time: call `begin_work` before it and `hold` after it. No file goes in between.
    """

    def __init__(self, folder: Path, *, floor_bytes: int = 0) -> None:
        """``folder`` is this worker's; raises `SpoolError` where it cannot be used. ``floor_bytes`` stay free."""
        self.folder = folder
        self._floor_bytes = floor_bytes
        self._files: dict[int, _SpoolFile] = {}
        self._next = 1
        self._writing: int | None = None
        self._locks: dict[Path, int] = {}
        self._working = False
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not self._lock(folder):
                raise SpoolError(f"{folder} is in use by another process")
        except OSError as error:
            raise SpoolError(f"{folder}: {error.strerror}; footage is kept in memory alone") from error

    # For the event loop

    @property
    def size_bytes(self) -> int:
        """Of all files."""
        return sum(file.size_bytes for file in list(self._files.values()))

    @property
    def oldest_file(self) -> int | None:
        """The number of the file whose chunks are the oldest."""
        return min(list(self._files), default=None)

    def begin_work(self) -> None:
        """A thread is about to `write` or `load`."""
        self._working = True

    def hold(self, places: Iterable[SpoolPlace]) -> None:
        """The thread is done; the chunks at these places are needed until `release`."""
        for place in places:
            self._files[place.file].chunks += 1
        self._working = False
        self._remove_empty()

    def release(self, place: SpoolPlace) -> None:
        """A chunk there is not needed any more; the file goes with its last one."""
        file = self._files.get(place.file)
        if file is not None:
            file.chunks -= 1
            if file.chunks <= 0:
                self._remove_empty()

    def end_file(self) -> None:
        """The next chunk goes into a new file."""
        if not self._working:
            self._writing = None
            self._remove_empty()

    def _remove_empty(self) -> None:
        if self._working:
            return
        for number, file in list(self._files.items()):
            if file.chunks <= 0 and number != self._writing:
                del self._files[number]
                with suppress(OSError):
                    file.path.unlink()
        for folder in self._locks.keys() - {self.folder} - {file.path.parent for file in self._files.values()}:
            os.close(self._locks.pop(folder))  # its worker may be back

    def close(self) -> None:
        """Lets other processes have the folders. An empty one that nobody uses goes."""
        self.end_file()
        for folder in self._beside():
            with suppress(OSError):
                if folder != self.folder and self._lock(folder) and not any(folder.glob(f"*{_SUFFIX}")):
                    shutil.rmtree(folder, ignore_errors=True)
        for descriptor in self._locks.values():
            os.close(descriptor)
        self._locks.clear()

    # In a thread

    def write(self, chunks: Iterable[tuple[Id, Id, FootageChunk]]) -> list[SpoolPlace]:
        """Appends chunks (site, camera, chunk) and makes them last; returns the places of those that were written.

        Fewer: there is no room above the floor, or the disk fails.
        """
        places: list[SpoolPlace] = []
        descriptor = -1
        opened: int | None = None
        try:
            for site, camera, chunk in chunks:
                messages = chunk.messages
                if messages is None:
                    break
                record = _record(site, camera, chunk, messages)
                if self._free_bytes() - len(record) < self._floor_bytes:
                    break
                number = self._file_for(len(record))
                if number != opened:
                    _sync_and_close(descriptor)
                    descriptor, opened = self._open(number), number
                file = self._files[number]
                _append(descriptor, record, file.size_bytes)
                places.append(SpoolPlace(number, file.size_bytes, len(record)))
                file.size_bytes += len(record)
        except OSError as error:
            log.warning("spool.not_written", folder=str(self.folder), error=error)
            self._writing = None  # what is torn there stays at the end of its file
        finally:
            with suppress(OSError):
                _sync_and_close(descriptor)
        return places

    def read(self, place: SpoolPlace) -> list[bytes]:
        """The messages of a chunk; raises `SpoolError` where they are not what was written."""
        file = self._files.get(place.file)
        if file is None:
            raise SpoolError("the chunk is gone")
        try:
            with file.path.open("rb") as opened:
                record = os.pread(opened.fileno(), place.size_bytes, place.at)
        except OSError as error:
            raise SpoolError(f"{file.path}: {error.strerror}") from error
        if len(record) < _PREFIX.size + _HEADER.size:
            raise SpoolError(f"{file.path} is cut at {place.at}")
        magic, crc = _PREFIX.unpack_from(record)
        header = _HEADER.unpack_from(record, _PREFIX.size)
        begin = _PREFIX.size + _HEADER.size + header[-1]
        if magic != _MAGIC or zlib.crc32(record[_PREFIX.size :]) != crc or begin + header[0] != len(record):
            raise SpoolError(f"{file.path} is damaged at {place.at}")
        return list(split_messages(record[begin:]))

    def load(self, now: float, now_us: int, *, beside: bool = True) -> list[SpooledChunk]:
        """What earlier workers left in this folder and, if ``beside``, in those beside it that nobody uses.

        To be called again. A folder beside is let go when nothing of it is needed any more.
        """
        found: list[SpooledChunk] = []
        known = {file.path for file in self._files.values()}
        for folder in self._beside() if beside else [self.folder]:
            try:
                if folder in self._locks or self._lock(folder):
                    for path in sorted(folder.glob(f"*{_SUFFIX}")):
                        if path not in known:
                            found += self._load_file(path, now, now_us)
            except OSError as error:
                log.warning("spool.unreadable", folder=str(folder), error=error)
        return found

    def _beside(self) -> list[Path]:
        try:
            return [each for each in sorted(self.folder.parent.iterdir()) if each.is_dir() and is_id(each.name)]
        except OSError as error:
            log.warning("spool.unreadable", folder=str(self.folder.parent), error=error)
            return [self.folder]

    def _load_file(self, path: Path, now: float, now_us: int) -> Iterator[SpooledChunk]:
        number = self._new_number()
        self._files[number] = _SpoolFile(path, path.stat().st_size)
        with path.open("rb") as opened:
            for site, camera, chunk, place in _records(opened.fileno(), number, now, now_us):
                chunk.place = place
                yield SpooledChunk(site, camera, chunk)

    def _new_number(self) -> int:
        number = self._next
        self._next += 1
        return number

    def _lock(self, folder: Path) -> bool:
        if folder in self._locks:
            return True
        descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._locks[folder] = descriptor
        return True

    def _free_bytes(self) -> int:
        stat = os.statvfs(self.folder)
        return stat.f_bavail * stat.f_frsize

    def _file_for(self, size_bytes: int) -> int:
        if self._writing is not None and self._files[self._writing].size_bytes + size_bytes > FILE_BYTES:
            self._writing = None
        if self._writing is None:
            number = self._new_number()
            taken = {int(path.stem) for path in self.folder.glob(f"*{_SUFFIX}") if path.stem.isdecimal()}
            self._files[number] = _SpoolFile(self.folder / f"{max(taken, default=0) + 1:06}{_SUFFIX}")
            self._writing = number
        return self._writing

    def _open(self, number: int) -> int:
        path = self._files[number].path
        new = not path.exists()
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        if new:
            folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        return descriptor


def _record(site: Id, camera: Id, chunk: FootageChunk, messages: list[bytes]) -> bytes:
    name = f"{site}/{camera}".encode()
    payload = join_messages(messages)
    header = _HEADER.pack(
        len(payload), chunk.epoch, chunk.first, chunk.last, chunk.first_us, chunk.last_us, chunk.starts_gop, len(name)
    )
    body = b"".join((header, name, payload))
    return _PREFIX.pack(_MAGIC, zlib.crc32(body)) + body


def _records(
    descriptor: int, number: int, now: float, now_us: int
) -> Iterator[tuple[Id, Id, FootageChunk, SpoolPlace]]:
    """The whole records of a file by their headers alone; `Spool.read` verifies the rest."""
    at, end = 0, os.fstat(descriptor).st_size
    while at + _PREFIX.size + _HEADER.size <= end:
        head = os.pread(descriptor, _PREFIX.size + _HEADER.size + 256, at)
        magic, _ = _PREFIX.unpack_from(head)
        length, epoch, first, last, first_us, last_us, starts_gop, name_length = _HEADER.unpack_from(head, _PREFIX.size)
        size_bytes = _PREFIX.size + _HEADER.size + name_length + length
        name = head[_PREFIX.size + _HEADER.size :][:name_length].decode(errors="replace")
        site, _, camera = name.partition("/")
        if magic != _MAGIC or at + size_bytes > end or not is_id(site) or not is_id(camera):
            return
        age_seconds = max(0.0, (now_us - first_us) / 1e6)
        chunk = FootageChunk(
            epoch=epoch, first=first, first_us=first_us, starts_gop=bool(starts_gop), kept_at=now - age_seconds
        )
        chunk.last, chunk.last_us, chunk.messages, chunk.size_bytes = last, last_us, None, length
        yield site, camera, chunk, SpoolPlace(number, at, size_bytes)
        at += size_bytes


def _append(descriptor: int, record: bytes, at: int) -> None:
    """Writes a record at the end of a file of ``at`` bytes, whole or not at all."""
    if os.write(descriptor, record) != len(record):
        os.ftruncate(descriptor, at)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _sync_and_close(descriptor: int) -> None:
    if descriptor < 0:
        return
    try:
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)
