"""What the rest of the recorder sees of the archive, the twin where there is none, and what can be wrong with it.

`services.recorder.archive.s3_archive.S3Archive` is the other twin. It is loaded only where there is an archive.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from enum import StrEnum
from typing import Protocol

from services.contracts.errors import UnavailableError
from services.media.mp4.reader import ReadAt
from services.recorder.archive.catalogue import ArchivedCopy
from services.recorder.storage.gops import Gop
from services.recorder.storage.paths import RecordedStream
from services.recorder.storage.rows import FootageRun, Segment, Signing, Tier


class ArchiveTrouble(StrEnum):
    """What is wrong with the archive."""

    UNREACHABLE = "unreachable"
    REFUSED = "refused"
    NO_BUCKET = "no-bucket"
    DIFFERS = "differs"
    """What is stored is not what was sent."""
    FAILED = "failed"


class ArchiveError(UnavailableError):
    """The archive failed. The message says why, and carries no credentials."""

    code = "archive-unavailable"

    def __init__(self, trouble: ArchiveTrouble, message: str) -> None:
        super().__init__(message)
        self.trouble = trouble


class Archive(Protocol):
    """All methods but `run` block, and may be called in any thread."""

    @property
    def answers(self) -> bool:
        """Whether a read is worth trying; False for a few seconds after one failed."""

    @property
    def keep_days(self) -> float | None:
        """How long copies of all footage are kept; None where there are none, or of held footage alone."""

    def awaits(self, segment: Segment) -> bool:
        """Whether a segment must be copied before it is thinned or removed, and has no copy yet."""

    def covers(self, segment: Segment) -> bool:
        """See `ArchiveCatalogue.covers`; False where that cannot be told."""

    def runs(
        self, camera: str, profile: str, from_us: int, to_us: int, *, site: str | None = None
    ) -> Sequence[FootageRun]:
        """What copies that touch a range join to, in order; empty where the catalogue cannot be read.

        With ``site`` those of that site alone.
        """

    def damaged_spans(
        self, camera: str, profile: str, from_us: int, to_us: int, *, site: str | None
    ) -> list[tuple[int, int]]:
        """When pictures that are marked as damaged were taken, of the copies that touch a range; as `runs`."""

    def extents(self) -> dict[RecordedStream, tuple[int, int]]:
        """Where the copies of each stream begin and end; empty where the catalogue cannot be read."""

    def oldest_us(self, camera: str, profile: str) -> dict[Tier, int]:
        """When the oldest copy of each tier was taken; empty where the catalogue cannot be read."""

    def copies(self, camera: str, profile: str, from_us: int, to_us: int) -> list[tuple[ArchivedCopy, Sequence[Gop]]]:
        """The copies that touch a range, in order, with their keyframe indexes."""

    def signing(self, copy: ArchivedCopy) -> Signing:
        """What is known of the signature of what was copied."""

    def opened(self, copy: ArchivedCopy, *, verified: bool = False) -> AbstractContextManager[tuple[ReadAt, int]]:
        """As `services.recorder.storage.scan.opened`. Reading raises `ArchiveError`, ``FileNotFoundError``.

        With ``verified`` the whole object is read first and compared with the hash of what was sent; `ArchiveError`
        (``DIFFERS``) where it is something else.
        """

    async def run(self) -> None:
        """Copies segments and audits the copies until it is cancelled."""


class NoArchive:
    """There is no archive: nothing is in it, and nothing waits for it."""

    answers = False
    keep_days = None

    def awaits(self, segment: Segment) -> bool:
        del segment
        return False

    def covers(self, segment: Segment) -> bool:
        del segment
        return False

    def runs(
        self, camera: str, profile: str, from_us: int, to_us: int, *, site: str | None = None
    ) -> Sequence[FootageRun]:
        del camera, profile, from_us, to_us, site
        return ()

    def damaged_spans(
        self, camera: str, profile: str, from_us: int, to_us: int, *, site: str | None
    ) -> list[tuple[int, int]]:
        del camera, profile, from_us, to_us, site
        return []

    def extents(self) -> dict[RecordedStream, tuple[int, int]]:
        return {}

    def oldest_us(self, camera: str, profile: str) -> dict[Tier, int]:
        del camera, profile
        return {}

    def copies(self, camera: str, profile: str, from_us: int, to_us: int) -> list[tuple[ArchivedCopy, Sequence[Gop]]]:
        del camera, profile, from_us, to_us
        return []

    def signing(self, copy: ArchivedCopy) -> Signing:
        del copy
        return Signing.SIGNED

    def opened(self, copy: ArchivedCopy, *, verified: bool = False) -> AbstractContextManager[tuple[ReadAt, int]]:
        del verified
        raise FileNotFoundError(copy.key)

    async def run(self) -> None:
        """Returns at once."""
