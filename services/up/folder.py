"""The data folder: where it is by default, and the lock that keeps two `pantau up` out of one."""

import fcntl
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from services.contracts.errors import PantauError

PATIENCE_SECONDS: Final = 8.0
"""How long the children of a killed predecessor may take to end."""


class UpError(PantauError):
    """Base of the errors that prevent `pantau up` from starting or running."""

    code = "up"


class DataInUseError(UpError):
    """Another `pantau up` works in the same data folder."""

    code = "data-in-use"


def default_data(environ: Mapping[str, str]) -> Path:
    """The user's data folder for Pantau, by the XDG base directory specification (a relative path there is ignored)."""
    base = Path(environ.get("XDG_DATA_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".local" / "share") / "pantau"


class FolderLock:
    """An ``flock`` on ``<data>/up.lock`` that the children hold too.

    So the folder is free only when the last process that may write to it has ended, also after the parent was
    killed. The file has the parent's process id.
    """

    def __init__(self, data: Path) -> None:
        self._path = data / "up.lock"
        self._descriptor = -1

    @property
    def descriptor(self) -> int:
        """The descriptor to pass on to the children."""
        return self._descriptor

    def acquire(self, patience_seconds: float = PATIENCE_SECONDS) -> None:
        """Takes the lock; raises `DataInUseError` when another holds it for longer than ``patience_seconds``."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise UpError(
                f"cannot use the data folder {self._path.parent}: {error.strerror}; choose another with --data"
            ) from error
        deadline = time.monotonic() + patience_seconds
        while not self._try():
            holder = os.pread(self._descriptor, 32, 0).decode(errors="replace").strip()
            if _alive(holder) or time.monotonic() >= deadline:
                os.close(self._descriptor)
                self._descriptor = -1
                raise DataInUseError(
                    f"the data folder {self._path.parent} is in use by another pantau up"
                    f"{f' (process {holder})' if holder else ''}; stop that one, or choose another folder with --data"
                )
            time.sleep(0.1)
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def _try(self) -> bool:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        """Releases this process's hold on the lock."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _alive(pid: str) -> bool:
    if not pid.isdecimal():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
