"""What can be wrong with the archive."""

from enum import StrEnum

from services.contracts.errors import UnavailableError


class ArchiveTrouble(StrEnum):
    """What is wrong with the archive."""

    UNREACHABLE = "unreachable"
    REFUSED = "refused"
    NO_BUCKET = "no-bucket"
    DIFFERS = "differs"
    """What is stored is not what was sent."""
    FAILED = "failed"


class ArchiveError(UnavailableError):
    """The archive does not do what it is asked; the message says why, and carries no credentials."""

    code = "archive-unavailable"

    def __init__(self, trouble: ArchiveTrouble, message: str) -> None:
        super().__init__(message)
        self.trouble = trouble
