"""Retention on one disk: carries out what `retention.rules` says, by the procedures of docs/recording.md.

Blocks; run it in a thread, one pass at a time.
"""

import heapq
import math
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from services.media.mp4.boxes import Mp4Error
from services.mesh.clock import Clock
from services.mesh.log import get_logger
from services.recorder.retention.holds import CurrentHolds, Holds
from services.recorder.retention.rules import Held, LadderOf, RetentionAction, RetentionReason, by_age, under_pressure
from services.recorder.retention.thinning import thin
from services.recorder.storage.disk import Disk, DiskLimits, is_full
from services.recorder.storage.index import Index
from services.recorder.storage.paths import INDEX, NEW_SUFFIX
from services.recorder.storage.rows import Segment, SegmentState, Tier
from services.recorder.storage.scan import SegmentScan

log = get_logger()

BATCH: Final = 32
"""Segments that share the commits of a procedure; each commit waits for the disk."""
_SLACK: Final = 0.02
"""How far beyond floor or budget a pass goes, so that not every new segment starts one."""


class CarriedOut(NamedTuple):
    """What was done to a segment."""

    segment: Segment
    """As it was before."""
    because: RetentionReason
    bytes_after: int
    """0: it was removed."""
    archived: bool
    """Of a removed one: whether it can be found in the archive still."""


class RetentionOutcome(NamedTuple):
    """A pass."""

    done: list[CarriedOut]
    short_bytes: int
    """Bytes still missing to floor or budget; the rest is held or still being written."""
    because: RetentionReason | None
    """Which of them was touched."""
    uncopied: int = 0
    """Segments that were removed or thinned before they were archived."""


class _Thinned(NamedTuple):
    """A thinned file that lies beside the segment which it is to replace."""

    action: RetentionAction
    path: Path
    """The segment's."""
    found: SegmentScan

    @property
    def new(self) -> Path:
        return _new(self.path)


class ArchiveCopies(Protocol):
    """What retention asks the archive (`services.recorder.archive.archive.Archive`)."""

    def awaits(self, segment: Segment) -> bool:
        """Whether a segment is to be archived before anything happens to it, and was not."""

    def covers(self, segment: Segment) -> bool:
        """Whether it can be found in the archive when it is gone from here."""

    def oldest_us(self, camera: str, profile: str) -> dict[Tier, int]:
        """When the oldest copy of each tier was taken."""


class RetentionPass:
    """Keeps one disk within its ladders, its budget and its floor."""

    def __init__(
        self,
        disk: Disk,
        *,
        ladder_of: LadderOf,
        clock: Clock,
        limits: DiskLimits,
        archive: ArchiveCopies,
    ) -> None:
        self.disk = disk
        self._ladder_of = ladder_of
        self._clock = clock
        self._limits = limits
        self._archive = archive
        self._stopping = False
        self._forget: list[Segment] = []
        """Removed on a disk too full to say so first."""

    def stop(self) -> None:
        """Lets a pass that runs end soon, and later ones at once. May be called in any thread."""
        self._stopping = True

    def run(self, holds: Holds | CurrentHolds) -> RetentionOutcome:
        """One pass. Raises ``OSError``, ``sqlite3.Error`` where the disk does not work."""
        with closing(Index.open(self.disk.recordings / INDEX, durable=True)) as index:
            if self._forget:
                with index:
                    index.forget_segments(self._forget, copied=self._archive.covers)
                self._forget.clear()
            held = _held_by(holds)

            def spared(segment: Segment) -> bool:
                return held(segment) or self._archive.awaits(segment)

            done = self._age(index, spared)
            because, short, uncopied = None, 0, 0
            for reason in (RetentionReason.BUDGET, RetentionReason.FLOOR):
                if self._short(index, reason) > 0:
                    because = reason
                    done += self._relieve(index, spared, reason)
                    if self._short(index, reason) > 0:  # recording goes on (I8), even without a copy
                        rest = self._relieve(index, held, reason)
                        uncopied += sum(self._archive.awaits(item.segment) for item in rest)
                        done += rest
                    short = max(short, self._short(index, reason))
            if not short:  # on a disk without room nothing can be written down
                self._forget_gaps(index)
            return RetentionOutcome(done, short, because, uncopied)

    def _age(self, index: Index, held: Held) -> list[CarriedOut]:
        done: list[CarriedOut] = []
        now_us = self._clock.now_us()
        for stream in index.streams():
            actions = by_age(
                index.oldest_segments(stream, Tier.FULL),
                index.oldest_segments(stream, Tier.KEYFRAMES),
                self._ladder_of(stream.camera),
                now_us,
                held,
            )
            done += self._carry_out(index, actions, held)
            if self._stopping:
                break
        return done

    def _forget_gaps(self, index: Index) -> None:
        """Forgets gaps that are past the ladder and older than all footage that is left, held or archived."""
        now_us = self._clock.now_us()
        for stream in index.streams():
            total_seconds = self._ladder_of(stream.camera).total_seconds
            if math.isinf(total_seconds):
                continue
            oldest = [next(index.oldest_segments(stream, tier, page=1), None) for tier in Tier]
            kept_us = [segment.start_us for segment in oldest if segment is not None]
            kept_us += self._archive.oldest_us(stream.camera, stream.profile).values()
            before_us = min([now_us - int(total_seconds * 1e6), *kept_us])
            if any(gap.to_us is not None and gap.to_us < before_us for gap in index.gaps(stream, 0, before_us)):
                with index:
                    index.forget_gaps(stream, before_us)

    def _relieve(self, index: Index, held: Held, because: RetentionReason) -> list[CarriedOut]:
        done: list[CarriedOut] = []
        streams = index.streams()

        def oldest(tier: Tier) -> Iterator[Segment]:
            return heapq.merge(
                *(index.oldest_segments(stream, tier) for stream in streams), key=lambda item: item.start_us
            )

        urgent = because is RetentionReason.FLOOR and self._free_bytes() < self._limits.floor_bytes // 2
        batch: list[RetentionAction] = []
        seen: set[tuple[object, int]] = set()
        for action in under_pressure(
            lambda: oldest(Tier.FULL),
            lambda: oldest(Tier.KEYFRAMES),
            self._ladder_of,
            self._clock.now_us(),
            held,
            because,
            urgent=urgent,
        ):
            key = (action.segment.stream, action.segment.start_us)
            if key in seen:
                continue
            seen.add(key)
            batch.append(action)
            freed = sum(item.segment.size_bytes for item in batch)
            short = self._short(index, because)
            if freed >= short or len(batch) >= BATCH:
                done += self._carry_out(index, batch, held)
                batch = []
                if self._short(index, because) <= 0 or self._stopping:
                    return done
        return done + self._carry_out(index, batch, held)

    def _short(self, index: Index, because: RetentionReason) -> int:
        """What is missing, with some slack once anything is."""
        if because is RetentionReason.FLOOR:
            missing, limit = self._limits.floor_bytes - self._free_bytes(), self._limits.floor_bytes
        elif self._limits.budget_bytes:
            used = sum(usage.size_bytes for usage in index.usage().values())
            missing, limit = used - self._limits.budget_bytes, self._limits.budget_bytes
        else:
            return 0
        return missing + int(limit * _SLACK) if missing > 0 else 0

    def _free_bytes(self) -> int:
        return self.disk.space().free_bytes

    def _carry_out(self, index: Index, actions: list[RetentionAction], held: Held) -> list[CarriedOut]:
        """Asks ``held`` again right before each step: an incident may have been opened since it was decided (I7)."""
        done: list[CarriedOut] = []
        thinned: list[_Thinned] = []
        removed: list[RetentionAction] = []
        for action in actions:
            if held(action.segment):
                continue
            if not action.thin or action.segment.tier is not Tier.FULL:
                removed.append(action)
                continue
            made = self._thin(action)
            if made is None and thinned:  # thinned files take room until they replace their originals
                done += self._replace(index, thinned, held)
                thinned = []
                made = self._thin(action)
            if made is None:
                removed.append(action)
            else:
                thinned.append(made)
                if len(thinned) >= BATCH:
                    done += self._replace(index, thinned, held)
                    thinned = []
        done += self._replace(index, thinned, held)
        for start in range(0, len(removed), BATCH):
            batch = [action for action in removed[start : start + BATCH] if not held(action.segment)]
            self._remove(index, [action.segment for action in batch])
            done += [
                CarriedOut(action.segment, action.because, 0, self._archive.covers(action.segment)) for action in batch
            ]
        return done

    def _remove(self, index: Index, segments: list[Segment]) -> None:
        """Remove, as docs/recording.md orders it."""
        try:
            with index:
                index.set_state(segments, SegmentState.DELETING)
        except sqlite3.Error as error:
            if not is_full(error):
                raise
            log.warning("recordings.removed_unmarked", directory=str(self.disk.directory), segments=len(segments))
            self._unlink(segments)
            self._forget += segments
            return
        self._unlink(segments)
        with index:
            index.forget_segments(segments, copied=self._archive.covers)

    def _unlink(self, segments: list[Segment]) -> None:
        for segment in segments:
            path = self.disk.recordings / segment.path
            self.disk.files.unlink(path)
            self.disk.files.remove_empty(path.parent, self.disk.recordings)

    def _thin(self, action: RetentionAction) -> _Thinned | None:
        """The first step of Thin, as docs/recording.md orders it; None where the segment cannot be thinned."""
        files, segment = self.disk.files, action.segment
        path = self.disk.recordings / segment.path
        every_us = int(self._ladder_of(segment.stream.camera).every_seconds * 1e6)
        try:
            files.unlink(_new(path))
            found = thin(
                path, _new(path), segment.stream,
                every_us=every_us, files=files, signer=self.disk.signer, row=segment, keys=self.disk.keys,
            )  # fmt: skip
        except (Mp4Error, FileNotFoundError) as error:
            log.warning("recordings.cannot_thin", path=str(path), error=error)
            return None
        except OSError as error:
            if is_full(error):
                return None
            raise
        return _Thinned(action, path, found)

    def _replace(self, index: Index, thinned: list[_Thinned], held: Held) -> list[CarriedOut]:
        """The other steps of Thin; what is held meanwhile stays whole."""
        files = self.disk.files
        batch: list[_Thinned] = []
        for item in thinned:
            if held(item.action.segment):
                files.unlink(item.new)
            else:
                batch.append(item)
        if not batch:
            return []
        with index:
            index.set_state([item.action.segment for item in batch], SegmentState.REPLACING)
        for item in batch:
            files.rename(item.new, item.path)
        for folder in dict.fromkeys(item.path.parent for item in batch):
            files.sync_folder(folder)
        with index:
            for item in batch:
                before = item.action.segment
                after = item.found.segment._replace(start_us=before.start_us, retimed=before.retimed)
                index.put_segment(after, item.found.gops)
        return [
            CarriedOut(item.action.segment, item.action.because, item.found.segment.size_bytes, archived=False)
            for item in batch
        ]


def _new(path: Path) -> Path:
    return path.with_name(path.name + NEW_SUFFIX)


def _held_by(holds: Holds | CurrentHolds) -> Held:
    return lambda segment: holds.held(segment.stream.camera, segment.start_us, segment.end_us)
