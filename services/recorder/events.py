"""The recorder's events: each kind is made here and posted to the outbox."""

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from services.contracts.events import (
    ArchiveDamaged,
    ArchiveFailed,
    ArchiveRecovered,
    Event,
    RecordingExpired,
    RecordingGap,
    RecordingThinned,
    Remains,
    SegmentClosed,
    StorageLow,
)
from services.contracts.models import Id
from services.mesh.clock import Clock
from services.mesh.log import get_logger
from services.recorder.storage.disk import Disk, SegmentWritten
from services.recorder.storage.paths import RecordedStream
from services.recorder.storage.rows import GapRow

log = get_logger()
TELL_AGAIN_SECONDS: Final = 60.0


class ExpiredFootage(NamedTuple):
    """A segment, or a copy of one, that was removed."""

    stream: RecordedStream
    start_us: int
    end_us: int
    size_bytes: int
    because: str
    remains_in: Remains


class ThinnedFootage(NamedTuple):
    """A segment that was thinned."""

    stream: RecordedStream
    start_us: int
    end_us: int
    bytes_before: int
    bytes_after: int


class RecorderEvents:
    """Methods return at once. They belong to the event loop."""

    def __init__(self, recorder: Id, site: Id, clock: Clock, post: Callable[[Event], None]) -> None:
        """``site`` is the recorder's home; ``post`` is `services.mesh.event_stream.EventOutbox.post`."""
        self.recorder = recorder
        self.post = post
        self._site = site
        self._clock = clock
        self._low_told: dict[tuple[Disk, str], float] = {}

    def segment_closed(self, written: SegmentWritten) -> None:
        """A segment is complete and durable."""
        segment, proof = written.segment, written.proof
        self.post(
            SegmentClosed(
                site=segment.stream.site, camera=segment.stream.camera, recorder=self.recorder,
                at_us=self._clock.now_us(), profile=segment.stream.profile, path=written.path,
                from_us=segment.start_us, to_us=segment.end_us, size_bytes=segment.size_bytes, frames=segment.frames,
                keyframes=segment.keyframes, codec=segment.codec, chain_hash=segment.link.hex(),
                signature=proof.signature if proof else "", key_id=proof.key_id if proof else "",
                public_key=proof.public if proof else "",
            )
        )  # fmt: skip

    def recording_gap(self, gap: GapRow) -> None:
        """There is no footage, and why."""
        self.post(
            RecordingGap(
                site=gap.stream.site, camera=gap.stream.camera, recorder=self.recorder, at_us=self._clock.now_us(),
                profile=gap.stream.profile, from_us=gap.from_us, to_us=gap.to_us, cause=gap.cause, detail=gap.detail,
            )
        )  # fmt: skip

    def storage_low(self, disk: Disk, because: str) -> None:
        """A disk has no room or does not work; the same is told at most once in `TELL_AGAIN_SECONDS`."""
        now = self._clock.monotonic()
        if now - self._low_told.get((disk, because), float("-inf")) < TELL_AGAIN_SECONDS:
            return
        self._low_told[disk, because] = now
        log.warning("disk.low", directory=str(disk.directory), because=because)
        self.post(
            StorageLow(
                site=self._site, at_us=self._clock.now_us(), recorder=self.recorder, directory=str(disk.directory),
                free_bytes=disk.free_bytes() or 0, because=because,
            )
        )  # fmt: skip

    def footage_expired(self, items: Iterable[ExpiredFootage]) -> None:
        """Footage went: one event for each stream, reason and place where it remains."""
        groups: dict[tuple[RecordedStream, str, Remains], list[ExpiredFootage]] = {}
        for item in items:
            groups.setdefault((item.stream, item.because, item.remains_in), []).append(item)
        for (stream, because, remains_in), gone in groups.items():
            self.post(
                RecordingExpired(
                    site=stream.site, camera=stream.camera, recorder=self.recorder, at_us=self._clock.now_us(),
                    from_us=min(item.start_us for item in gone), to_us=max(item.end_us for item in gone),
                    size_bytes=sum(item.size_bytes for item in gone), because=because, remains_in=remains_in,
                )
            )  # fmt: skip

    def footage_thinned(self, items: Iterable[ThinnedFootage]) -> None:
        """Footage was thinned: one event for each stream."""
        groups: dict[RecordedStream, list[ThinnedFootage]] = {}
        for item in items:
            groups.setdefault(item.stream, []).append(item)
        for stream, thinned in groups.items():
            self.post(
                RecordingThinned(
                    site=stream.site, camera=stream.camera, recorder=self.recorder, at_us=self._clock.now_us(),
                    from_us=min(item.start_us for item in thinned), to_us=max(item.end_us for item in thinned),
                    bytes_before=sum(item.bytes_before for item in thinned),
                    bytes_after=sum(item.bytes_after for item in thinned),
                )
            )  # fmt: skip

    def archive_failed(self, because: str, detail: str, *, waiting_segments: int, waiting_bytes: int) -> None:
        """The archive does not do what it is asked; so much waits for it."""
        self.post(
            ArchiveFailed(
                site=self._site, recorder=self.recorder, at_us=self._clock.now_us(), because=because, detail=detail,
                waiting_segments=waiting_segments, waiting_bytes=waiting_bytes,
            )
        )  # fmt: skip

    def archive_recovered(self, after_seconds: float) -> None:
        """The archive works again."""
        self.post(
            ArchiveRecovered(
                site=self._site, recorder=self.recorder, at_us=self._clock.now_us(),
                after_seconds=round(after_seconds, 3),
            )
        )  # fmt: skip

    def archive_damaged(self, stream: RecordedStream, key: str, from_us: int, to_us: int, detail: str) -> None:
        """A copy in the archive is not what was sent, or is gone."""
        self.post(
            ArchiveDamaged(
                site=stream.site, camera=stream.camera, recorder=self.recorder, at_us=self._clock.now_us(),
                profile=stream.profile, path=key, from_us=from_us, to_us=to_us, detail=detail,
            )
        )  # fmt: skip
