"""Whether the archive works, and when it is tried again. Pure but for chance."""

from collections.abc import Callable
from typing import Final

from services.mesh.backoff import Backoff
from services.recorder.archive.errors import ArchiveError, ArchiveTrouble

FIRST_SECONDS: Final = 1.0
LONGEST_SECONDS: Final = 300.0
TELL_AGAIN_SECONDS: Final = 3600.0


class ArchiveCondition:
    """What the archivist's tasks know together."""

    def __init__(self, monotonic: Callable[[], float], *, longest_seconds: float = LONGEST_SECONDS) -> None:
        self._monotonic = monotonic
        self._backoff = Backoff(FIRST_SECONDS, longest_seconds)
        self._told: tuple[ArchiveTrouble, float] | None = None
        self.failing_since: float | None = None
        """Monotonic; None while it works."""
        self.failures = 0
        """In a row, up to now."""

    def failed(self, error: ArchiveError) -> bool:
        """It did not work; True where that is to be told: at first, when the reason changes, and once an hour."""
        now = self._monotonic()
        if self.failing_since is None:
            self.failing_since = now
        self.failures += 1
        if self._told and self._told[0] == error.trouble and now - self._told[1] < TELL_AGAIN_SECONDS:
            return False
        self._told = error.trouble, now
        return True

    def worked(self) -> float | None:
        """It worked; for how many seconds it had not, None where it did all the time."""
        since, self.failing_since, self.failures, self._told = self.failing_since, None, 0, None
        self._backoff.reset()
        return None if since is None else self._monotonic() - since

    def pause_seconds(self) -> float:
        """Until it is tried again: twice as long each time, with jitter."""
        return self._backoff.next_seconds()
