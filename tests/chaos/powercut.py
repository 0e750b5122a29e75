"""A file layer that knows what a power cut leaves: what was fsynced, and of the rest any part, zeros, or nothing."""

import os
import random
import shutil
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from services.recorder.storage.files import OsFiles
from services.recorder.storage.index import Index
from services.recorder.storage.paths import INDEX


class PowerCutFiles(OsFiles):
    """Counts operations; ``on_operation`` is called after each, with everything still."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.operations = 0
        self.on_operation: Callable[[str], None] = lambda _: None
        self.durable_bytes: dict[Path, int] = {}
        """Length of each file up to its last fdatasync."""
        self.linked: dict[Path, bool] = {}
        """File → whether its folder was fsynced since it came there."""
        self._ghosts: dict[Path, bytes] = {}
        """What was at a path before a rename or unlink that its folder was not fsynced since."""
        self._paths: dict[int, Path] = {}
        self._durable_index: dict[str, bytes] = {}
        self._lock = threading.RLock()

    def _done(self, name: str) -> None:
        self.operations += 1
        self.on_operation(name)

    def create(self, path: Path) -> int:
        with self._lock:
            fd = super().create(path)
            self._paths[fd] = path
            self.linked[path] = False
            self.durable_bytes[path] = 0
            self._done("create")
            return fd

    def open(self, path: Path) -> int:
        with self._lock:
            fd = super().open(path)
            self._paths[fd] = path
            self.linked.setdefault(path, True)
            self.durable_bytes.setdefault(path, path.stat().st_size)
            return fd

    def write(self, fd: int, buffers: Sequence[bytes]) -> int:
        with self._lock:
            taken = super().write(fd, buffers)
            self._done("write")
            return taken

    def truncate(self, fd: int, size_bytes: int) -> None:
        with self._lock:
            super().truncate(fd, size_bytes)
            path = self._paths[fd]
            self.durable_bytes[path] = min(self.durable_bytes[path], size_bytes)

    def sync_data(self, fd: int) -> None:
        with self._lock:
            size = os.fstat(fd).st_size
            self._done("before fdatasync")
            self.durable_bytes[self._paths[fd]] = size
            self._done("fdatasync")

    def sync_folder(self, path: Path) -> None:
        with self._lock:
            for file in self.linked:
                if file.parent == path:
                    self.linked[file] = True
            for file in [file for file in self._ghosts if file.parent == path]:
                del self._ghosts[file]
            self._done("fsync folder")

    def rename(self, source: Path, target: Path) -> None:
        with self._lock:
            self._ghosts[target] = target.read_bytes()
            super().rename(source, target)
            self.durable_bytes[target] = self.durable_bytes.pop(source)
            self.linked.pop(source)
            self.linked[target] = True  # a rename leaves the old file or the new one, never none
            self._done("rename")

    def unlink(self, path: Path) -> None:
        with self._lock:
            if path.exists():
                if not path.name.endswith(".new"):
                    self._ghosts[path] = path.read_bytes()
                super().unlink(path)
                self.durable_bytes.pop(path, None)
                self.linked.pop(path, None)
                self._done("unlink")

    def remove_empty(self, path: Path, top: Path) -> None:
        """Folders are left: which of them survive makes no difference."""

    def index_is_durable(self) -> None:
        """The index as it is now survives a power cut."""
        with self._lock:
            self._durable_index = self._index_files()
            self._done("commit")

    def _index_files(self) -> dict[str, bytes]:
        found = {}
        for name in (f"{INDEX}-wal", INDEX):
            path = self.root / "recordings" / name
            if path.exists():
                found[name] = path.read_bytes()
        return found

    def promised(self) -> dict[Path, int]:
        """Files below the root whose footage must survive, and how many bytes of each."""
        return {
            path.relative_to(self.root): size
            for path, size in self.durable_bytes.items()
            if self.linked[path] and size and not path.name.endswith(".new") and path not in self._ghosts
        }

    def cut(self, image: Path, random_: random.Random) -> None:
        """Writes to ``image`` what the disk may hold when the power goes now."""
        with self._lock:
            shutil.copytree(self.root, image, ignore=lambda _folder, names: [n for n in names if n.startswith(INDEX)])
            index = self._durable_index if self._durable_index and random_.random() < 0.7 else self._index_files()
            for name, content in index.items():
                (image / "recordings" / name).write_bytes(content)
            for path, durable in self.durable_bytes.items():
                self._cut_file(image / path.relative_to(self.root), durable, self.linked[path], random_)
            for path, content in self._ghosts.items():
                if random_.random() < 0.5:
                    (image / path.relative_to(self.root)).write_bytes(content)

    def _cut_file(self, path: Path, durable: int, linked: bool, random_: random.Random) -> None:
        if not path.exists():
            return
        if not linked and random_.random() < 0.5:
            path.unlink()
            return
        content = path.read_bytes()
        fate = random_.choice(("kept", "cut", "zeros", "gone"))
        if fate == "cut":
            content = content[: random_.randint(durable, len(content))]
        elif fate == "zeros":
            content = content[:durable] + bytes(len(content) - durable)
        elif fate == "gone":
            content = content[:durable]
        path.write_bytes(content)


def watch_commits(files: PowerCutFiles, patch: Callable[[object, str, object], None]) -> None:
    """Tells ``files`` of every commit of a durable connection. ``patch`` is `pytest.MonkeyPatch.setattr`."""
    original = Index.__exit__

    def exited(self: Index, kind: object, *rest: object) -> None:
        original(self, kind, *rest)
        if kind is None and self._connection.execute("PRAGMA synchronous").fetchone()[0] == 2:
            files.index_is_durable()

    patch(Index, "__exit__", exited)
