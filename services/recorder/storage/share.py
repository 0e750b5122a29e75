"""Which cameras one of several processes over the same disks records. Pure.

They share the index, which SQLite lets several processes write to, and no file: a camera's segments are written, and
after a death recovered, by the one process that has the camera. What concerns closed footage (answers, retention,
motion, the archive) is the first one's alone.
"""

from typing import NamedTuple
from zlib import crc32

from services.contracts.models import Id


class Share(NamedTuple):
    """Process ``number`` of ``of``."""

    number: int = 1
    of: int = 1

    @classmethod
    def parse(cls, text: str) -> "Share":
        """``2/3``; raises ``ValueError``."""
        number, of = (int(part) for part in text.split("/"))
        if not 1 <= number <= of:
            raise ValueError(f"{text!r} is no process of a recorder")
        return cls(number, of)

    def has(self, camera: Id) -> bool:
        """Whether the camera is this process's."""
        return crc32(camera.encode()) % self.of == self.number - 1

    @property
    def is_first(self) -> bool:
        """Whether this process also answers, and keeps house."""
        return self.number == 1

    @property
    def boot_key(self) -> str:
        """Where the index says during which run of the machine this process recorded last."""
        return "boot" if self.of == 1 else f"boot {self.number}/{self.of}"


WHOLE = Share()
"""The only process."""
