"""A recorder's name. It stays with its disks, so that the registry assigns a camera where its footage is."""

import fcntl
import os
import secrets
from pathlib import Path
from typing import Final

from services.contracts.errors import PantauError
from services.contracts.subjects import is_id

NAME_FILE: Final = "recorder-name"
_LOCK: Final = "recorder.lock"


class DirectoryTakenError(PantauError):
    """Another recorder uses the directory."""

    code = "directory-taken"


def load_name(directory: Path, given: str | None, default: str) -> str:
    """The recorder's name: the setting, else the one in the directory, else a new one that is written there.

    Raises ``OSError`` where a new one cannot be written.
    """
    if given:
        return given
    path = directory / NAME_FILE
    try:
        name = path.read_text().strip()
        if is_id(name):
            return name
    except FileNotFoundError:
        pass
    directory.mkdir(parents=True, exist_ok=True)
    name = f"{default[:56]}-{secrets.token_hex(3)}"
    temporary = path.with_name(path.name + ".new")
    temporary.write_text(name + "\n")
    temporary.replace(path)
    return name


def lock(directory: Path) -> int:
    """Takes the directory for this process; returns the descriptor that holds the lock.

    Raises `DirectoryTakenError` where another recorder has it, ``OSError`` where it cannot be written to.
    """
    directory.mkdir(parents=True, exist_ok=True)
    fd = os.open(directory / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(fd)
        raise DirectoryTakenError(
            f"another recorder keeps its recordings in {directory}; give each its own with PANTAU_DATA"
        ) from error
    except OSError:
        os.close(fd)
        raise
    return fd
