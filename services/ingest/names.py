"""Names that no two processes of a machine have at a time, and what their holders say of themselves.

A name is a file in a folder of this user alone, locked (flock(2)) by the process that goes by it: the kernel frees it
when the process ends, however it ends. In the file stands who holds it, and a number that changes while it is well.
"""

import fcntl
import hashlib
import os
import stat
import tempfile
import time
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Final, Literal, NamedTuple

from services.contracts.errors import PantauError
from services.contracts.models import Id
from services.mesh.settings import MeshSettings

Role = Literal["parent", "worker"]

_TRIES: Final = 5
_TRY_SECONDS: Final = 0.01
"""`Name.holder` locks a free file for an instant; that must not pass for a holder."""


class NoFolderError(PantauError):
    """There is no folder that others stay out of."""

    code = "no-folder"


class Holder(NamedTuple):
    """Who has a name."""

    pid: int
    beat: int
    """Changes while its event loop runs."""
    ready: bool


def folder() -> Path:
    """This user's own folder for names, made if need be; raises `NoFolderError`."""
    try:
        path = Path(tempfile.gettempdir()) / f"pantau-{os.getuid()}"
        path.mkdir(mode=0o700, exist_ok=True)
        found = path.lstat()
    except OSError as error:
        raise NoFolderError(f"no folder for the names of ingest workers: {error}; TMPDIR names another one") from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise NoFolderError(f"{path} is not a folder of this user alone; remove it, or name another one by TMPDIR")
    return path


@dataclass(frozen=True)
class Name:
    """A name in one mesh: the nats-server's address and the site tell meshes apart."""

    mesh: MeshSettings
    role: Role
    name: Id

    @property
    def path(self) -> Path:
        """Its file; raises `NoFolderError`."""
        text = f"{self.role} {self.mesh.nats_url} {self.mesh.site} {self.name}"
        return folder() / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.{self.role}"

    @cached_property
    def _known_path(self) -> Path:
        """To look at several times a second: the folder is made and examined for who takes the name."""
        return self.path

    def holder(self) -> Holder | None:
        """Who has it now; None: nobody."""
        try:
            descriptor = os.open(self._known_path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _parse(os.pread(descriptor, 100, 0))
        finally:
            os.close(descriptor)
        return None


class HeldName:
    """A name that this process has, until `release` or its end."""

    def __init__(self, name: Name, descriptor: int) -> None:
        self.name = name.name
        self._descriptor = descriptor
        self._beat = 0
        self.beat(ready=False)

    @classmethod
    def take(cls, name: Name) -> "HeldName | None":
        """The name; None where another process has it. Raises `NoFolderError`."""
        descriptor = os.open(name.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        for _ in range(_TRIES):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(_TRY_SECONDS)
                continue
            return cls(name, descriptor)
        os.close(descriptor)
        return None

    @classmethod
    def take_next(cls, name: Name) -> "HeldName":
        """The name, or with ``-2``, ``-3``… behind it where it is taken. Raises `NoFolderError`."""
        tried = name
        for number in count(2):
            if (held := cls.take(tried)) is not None:
                return held
            tried = Name(name.mesh, name.role, numbered(name.name, number))
        raise AssertionError("unreachable: there is always a next number")

    def beat(self, *, ready: bool) -> None:
        """Says that this process is well."""
        self._beat += 1
        os.pwrite(self._descriptor, f"{os.getpid():10} {self._beat:12} {int(ready)}\n".encode(), 0)

    def release(self) -> None:
        """Lets another have the name."""
        os.close(self._descriptor)


def numbered(name: Id, number: int) -> Id:
    """``name`` with a number behind it, cut so that it stays an id."""
    return f"{name[:58].rstrip('-')}-{number}"


def _parse(text: bytes) -> Holder:
    try:
        pid, beat, ready = text.split()
        return Holder(int(pid), int(beat), ready == b"1")
    except ValueError:  # it was locked an instant ago
        return Holder(0, 0, False)
