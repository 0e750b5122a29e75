"""Whether the archive works, how long to pause after a failure, and which events say so."""

from typing import Final

from services.mesh.backoff import Backoff
from services.mesh.clock import Clock
from services.mesh.log import get_logger
from services.mesh.metrics import counter, gauge
from services.recorder.archive.archive import ArchiveError, ArchiveTrouble
from services.recorder.events import RecorderEvents

log = get_logger()
FIRST_SECONDS: Final = 1.0
LONGEST_SECONDS: Final = 300.0
TELL_AGAIN_SECONDS: Final = 3600.0

_failures = counter("archive_failures", "Times that the archive did not do what it was asked", "because")
_working = gauge("archive_working", "1 while the archive works")


class ArchiveHealth:
    """Shared by the tasks that use the archive."""

    def __init__(self, clock: Clock, events: RecorderEvents, *, longest_seconds: float = LONGEST_SECONDS) -> None:
        self.failing_since: float | None = None
        """Monotonic; None while it works."""
        self.failures = 0
        """In a row, up to now."""
        self._clock = clock
        self._events = events
        self._backoff = Backoff(FIRST_SECONDS, longest_seconds)
        self._told: tuple[ArchiveTrouble, float] | None = None
        _working.set(1)

    def note_failure(self, error: ArchiveError, *, waiting_segments: int, waiting_bytes: int) -> None:
        """The archive failed. An event is posted at the first failure, when the reason changes, and once an hour."""
        now = self._clock.monotonic()
        if self.failing_since is None:
            self.failing_since = now
        self.failures += 1
        _failures.labels(error.trouble).inc()
        _working.set(0)
        if self._told and self._told[0] == error.trouble and now - self._told[1] < TELL_AGAIN_SECONDS:
            return
        self._told = error.trouble, now
        log.warning("archive.failed", because=error.trouble, error=error.message)
        self._events.archive_failed(
            error.trouble, error.message, waiting_segments=waiting_segments, waiting_bytes=waiting_bytes
        )

    def note_success(self) -> None:
        """The archive worked. An event is posted where it had failed before."""
        since, self.failing_since, self.failures, self._told = self.failing_since, None, 0, None
        self._backoff.reset()
        _working.set(1)
        if since is not None:
            after_seconds = self._clock.monotonic() - since
            log.info("archive.back", after_seconds=round(after_seconds, 1))
            self._events.archive_recovered(after_seconds)

    def pause_seconds(self) -> float:
        """The pause after a failure: twice as long each time, with jitter."""
        return self._backoff.next_seconds()
