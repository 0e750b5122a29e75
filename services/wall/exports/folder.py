"""The folder of finished exports, ``<data>/exports``. Its name is the owner of its jobs, not the process that uses it.

maker                 the folder's name, made once
exports.lock          held by the process that makes exports here
<job>.mp4, <job>.zip  a finished file
<job>.part/           a job that is being made
"""

import fcntl
import os
import secrets
import shutil
from collections.abc import Set
from pathlib import Path
from typing import Final, Self

from services.contracts.exports import SERVICE
from services.contracts.models import Id
from services.contracts.subjects import is_id

FOLDER: Final = "exports"
_LOCK: Final = "exports.lock"
_NAME: Final = "maker"
_PART: Final = ".part"
_FILES: Final = (".mp4", ".zip")


class ExportFolder:
    """One process's hold on the folder. Make it with `take`; methods block."""

    def __init__(self, path: Path, name: Id, lock: int) -> None:
        self.path = path
        self.name = name
        self._lock = lock

    @classmethod
    def take(cls, data: Path) -> Self | None:
        """The folder below ``data``, made where it is missing; None while another process has it.

        Raises ``OSError``.
        """
        path = data / FOLDER
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return cls(path, _load_name(path / _NAME), lock)
        except BlockingIOError:
            os.close(lock)
            return None
        except OSError:
            os.close(lock)
            raise

    def close(self) -> None:
        """Lets another process have it."""
        os.close(self._lock)

    def part(self, job: Id) -> Path:
        """The folder in which a job is made."""
        return self.path / f"{job}{_PART}"

    def file(self, job: Id, suffix: str) -> Path:
        """A finished job's file."""
        return self.path / f"{job}{suffix}"

    def keep(self, made: Path, job: Id) -> None:
        """Moves a job's file, whose content is durable, from its part to where it is found."""
        made.rename(self.file(job, made.suffix))
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def find(self, job: Id) -> Path | None:
        """A finished job's file; None where it is gone."""
        return next((path for suffix in _FILES if (path := self.file(job, suffix)).is_file()), None)

    def drop(self, job: Id) -> None:
        """Removes all that there is of a job."""
        shutil.rmtree(self.part(job), ignore_errors=True)
        for suffix in _FILES:
            self.file(job, suffix).unlink(missing_ok=True)

    def sweep(self, kept: Set[Id], running: Set[Id]) -> None:
        """Removes files of no job in ``kept``, and parts of no job in ``running``."""
        for path in self.path.iterdir():
            if path.suffix == _PART and path.stem not in running:
                shutil.rmtree(path, ignore_errors=True)
            elif path.suffix in _FILES and path.stem not in kept:
                path.unlink(missing_ok=True)


def used_bytes(folder: Path) -> int:
    """What finished files and parts take together."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:
            continue
    return total


def _load_name(path: Path) -> Id:
    try:
        name = path.read_text().strip()
        if is_id(name):
            return name
    except FileNotFoundError:
        pass
    name = f"{SERVICE}-{secrets.token_hex(6)}"
    new = path.with_suffix(".new")
    new.write_text(name + "\n")
    new.replace(path)
    return name
