"""Gaps of one stream. They are found from the order of footage, never by a timer alone."""

from collections.abc import Callable
from typing import Final, NamedTuple

from services.contracts.models import Reason
from services.contracts.recordings import MIN_GAP_US, GapCause
from services.recorder.storage.paths import RecordedStream
from services.recorder.storage.rows import GapRow

NOTE_AFTER_US: Final = 10_000_000
"""A gap that lasts this long is noted with its cause, so that who looks meanwhile is told it."""
ANNOUNCE_AFTER_US: Final = 60_000_000
"""A gap that lasts this long is announced once, then again at its end."""

Explain = Callable[[int, int], tuple[str, str]]
"""Why there was no footage between two moments: cause and detail."""


class GapChange(NamedTuple):
    """A gap to write to the index, and to announce as an event where ``announce``."""

    gap: GapRow
    announce: bool


class GapTracker:
    """Tell it about footage; call `take_changes` after each call."""

    def __init__(
        self,
        stream: RecordedStream,
        last_end_us: int | None,
        lasting: GapRow | None = None,
        *,
        wanted_us: int | None = None,
    ) -> None:
        """``last_end_us``: where the footage of earlier runs ends; ``lasting``: the gap that was open then.

        ``wanted_us``: where there is no footage, since when there should be.
        """
        self.changes: list[GapChange] = []
        self._stream = stream
        self._end_us = last_end_us
        self._wanted_us = wanted_us
        self._lasting = lasting
        self._announced = lasting is not None

    @property
    def end_us(self) -> int | None:
        """Where the footage so far ends."""
        return self._end_us

    def segment_begins(self, start_us: int, explain: Explain, *, step_us: int = 0) -> GapRow | None:
        """A segment begins; returns the gap before it. ``step_us``: how far the clock was set."""
        end_us, lasting, announced = self._end_us, self._lasting, self._announced
        self._lasting, self._announced = None, False
        gap: GapRow | None = None
        if lasting is not None and (step_us or end_us is None or start_us - end_us < MIN_GAP_US):
            # Ingest had kept what was taken for missing, or a clock was set: the row must not last for ever.
            self.changes.append(GapChange(lasting._replace(to_us=max(start_us, lasting.from_us)), announced))
        if step_us:
            from_us = min(start_us, end_us) if end_us is not None and step_us > 0 else start_us
            gap = GapRow(self._stream, from_us, start_us, GapCause.CLOCK_JUMP, f"set by {step_us / 1e6:+.3f} s")
        elif end_us is not None and start_us - end_us >= MIN_GAP_US:
            if lasting is not None:
                gap = lasting._replace(to_us=start_us)
            else:
                gap = GapRow(self._stream, end_us, start_us, *explain(end_us, start_us))
        if gap is not None:
            self.changes.append(GapChange(gap, announce=True))
        self._end_us = start_us
        return gap

    def rewind(self, end_us: int) -> None:
        """Footage that was told of was not written: it ends there."""
        if self._end_us is not None:
            self._end_us = min(self._end_us, end_us)

    def footage_reaches(self, to_us: int) -> None:
        """There is footage up to ``to_us``."""
        self._end_us = to_us

    def frames_lost(self, from_us: int, to_us: int, frames: int) -> None:
        """Frames are missing within footage."""
        gap = GapRow(self._stream, from_us, max(to_us, from_us), Reason.FRAMES_LOST, f"{frames} frames")
        self.changes.append(GapChange(gap, announce=True))

    def tick(self, now_us: int, explain: Explain, *, recording: bool, settled: bool = False) -> None:
        """To be called about once a second. ``settled``: nothing will come that belongs before now."""
        since_us = self._wanted_us if self._end_us is None else self._end_us
        if recording or self._announced or since_us is None:
            return
        lasts_us = now_us - since_us
        if lasts_us < (NOTE_AFTER_US if settled else ANNOUNCE_AFTER_US):
            return
        gap = GapRow(self._stream, since_us, None, *explain(since_us, now_us))
        self._announced = lasts_us >= ANNOUNCE_AFTER_US
        if self._announced or (gap != self._lasting and gap.cause != GapCause.UNKNOWN):
            self._lasting = gap
            self.changes.append(GapChange(gap, self._announced))

    def no_longer_wanted(self, now_us: int) -> None:
        """Nobody is to record the stream any more: a gap that lasts ends."""
        if self._lasting is not None:
            self.changes.append(GapChange(self._lasting._replace(to_us=now_us), self._announced))
            self._lasting = None

    def take_changes(self) -> list[GapChange]:
        """The changes since the last call."""
        changes, self.changes = self.changes, []
        return changes
