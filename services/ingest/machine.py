"""What the workers of one machine and user share: a folder for their sockets, and names that no two of them have."""

import fcntl
import hashlib
import os
import stat
import tempfile
from itertools import count
from pathlib import Path

from services.contracts.models import Id
from services.mesh.log import get_logger
from services.mesh.settings import MeshSettings

log = get_logger()


def folder() -> Path:
    """This user's own folder, made if need be; raises ``OSError`` where there can be none that others stay out of."""
    path = Path(tempfile.gettempdir()) / f"pantau-{os.getuid()}"
    path.mkdir(mode=0o700, exist_ok=True)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise PermissionError(f"{path} is not a folder of this user alone")
    return path


def digest(mesh: MeshSettings, worker: Id) -> str:
    """Short enough for a socket's path (108 bytes), and different for workers of different meshes."""
    return hashlib.sha256(f"{mesh.nats_url} {mesh.site} {worker}".encode()).hexdigest()[:16]


class WorkerName:
    """``wanted``, or with ``-2``, ``-3``… behind it where a process of this machine goes by that name already.

    Kept until `release`, or until the process ends, however it ends: so one that is started again has its old name.
    """

    def __init__(self, mesh: MeshSettings, wanted: Id) -> None:
        self._descriptor = -1
        self.name = wanted
        for number in count(2):
            try:
                self._descriptor = os.open(
                    folder() / f"{digest(mesh, self.name)}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
                )
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.release()
                self.name = f"{wanted[:58].rstrip('-')}-{number}"
                continue
            except OSError as error:
                log.warning("ingest.name_not_kept", worker=self.name, error=error)
            return

    def release(self) -> None:
        """Lets another have the name."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
