"""The file operations that the invariants depend on, behind a seam: tests cut the power there."""

import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple, Protocol

FULL: Final = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
"""Errors that mean that the disk is full."""
_MAX_BUFFERS: Final = 1024
"""IOV_MAX of Linux."""


class Space(NamedTuple):
    """What a file system has."""

    free_bytes: int
    """For us, not for root."""
    total_bytes: int


class Files(Protocol):
    """Every operation raises ``OSError`` as the system's does."""

    def create(self, path: Path) -> int:
        """A descriptor for a new file; fails where there is one already."""

    def open(self, path: Path) -> int:
        """A descriptor for writing into a file that is there."""

    def write(self, fd: int, buffers: Sequence[bytes]) -> int:
        """Appends the buffers with as few calls as may be; returns the bytes taken (fewer: the disk is full)."""

    def truncate(self, fd: int, size_bytes: int) -> None:
        """Cuts the file, and stands at its end."""

    def sync_data(self, fd: int) -> None:
        """fdatasync."""

    def sync_folder(self, path: Path) -> None:
        """fsync of a folder: makes its entries last."""

    def close(self, fd: int) -> None:
        """Closes a descriptor."""

    def make_folders(self, path: Path) -> None:
        """``mkdir -p``."""

    def rename(self, source: Path, target: Path) -> None:
        """Replaces ``target``."""

    def unlink(self, path: Path) -> None:
        """Removes a file; nothing happens where there is none."""

    def remove_empty(self, path: Path, top: Path) -> None:
        """Removes the folder ``path`` and those above it, below ``top``, as far as they are empty."""

    def space(self, path: Path) -> Space:
        """Of the file system that ``path`` is on."""


class OsFiles:
    """The operating system's."""

    def create(self, path: Path) -> int:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)

    def open(self, path: Path) -> int:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        os.lseek(fd, 0, os.SEEK_END)
        return fd

    def write(self, fd: int, buffers: Sequence[bytes]) -> int:
        if len(buffers) > _MAX_BUFFERS:
            buffers = [b"".join(buffers)]
        wanted = sum(map(len, buffers))
        taken = os.writev(fd, buffers)
        if taken == wanted:
            return taken
        # A signal or the 2 GiB limit of one call cuts it short, or the disk is full: only asking again tells.
        rest = memoryview(b"".join(buffers))[taken:]
        while rest:
            try:
                more = os.write(fd, rest)
            except OSError:
                return taken
            taken += more
            rest = rest[more:]
        return taken

    def truncate(self, fd: int, size_bytes: int) -> None:
        os.ftruncate(fd, size_bytes)
        os.lseek(fd, size_bytes, os.SEEK_SET)

    def sync_data(self, fd: int) -> None:
        os.fdatasync(fd)

    def sync_folder(self, path: Path) -> None:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def close(self, fd: int) -> None:
        os.close(fd)

    def make_folders(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)

    def rename(self, source: Path, target: Path) -> None:
        source.replace(target)

    def unlink(self, path: Path) -> None:
        path.unlink(missing_ok=True)

    def remove_empty(self, path: Path, top: Path) -> None:
        while path != top and top in path.parents:
            try:
                path.rmdir()
            except OSError:
                return
            path = path.parent

    def space(self, path: Path) -> Space:
        stat = os.statvfs(path)
        return Space(stat.f_bavail * stat.f_frsize, stat.f_blocks * stat.f_frsize)


def write_all(files: Files, fd: int, buffers: Sequence[bytes]) -> int:
    """Appends all of the buffers; returns how many bytes. Raises ``OSError``, ENOSPC where only a part was taken."""
    wanted = sum(map(len, buffers))
    if files.write(fd, buffers) < wanted:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return wanted


def append_whole(files: Files, fd: int, buffers: Sequence[bytes], size_bytes: int) -> bool:
    """Appends all of the buffers to a file of ``size_bytes``, or nothing and returns False, where there is no room.

    Raises ``OSError`` where the disk fails otherwise.
    """
    try:
        write_all(files, fd, buffers)
    except OSError as error:
        if error.errno not in FULL:
            raise
        files.truncate(fd, size_bytes)
        return False
    return True


def sync_folders(files: Files, folder: Path, above: Path) -> None:
    """Makes the entries of ``folder`` and of the folders over it last, up to the one right below ``above``."""
    while folder != above:
        files.sync_folder(folder)
        folder = folder.parent
