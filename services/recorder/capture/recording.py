"""One stream's recording: access units in, fragments to a disk, gaps noticed. No bus, no threads of its own."""

from collections import deque
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, Protocol

from services.contracts.frames import AccessUnit, PictureRun, SequenceTracker
from services.contracts.recordings import MIN_GAP_US, GapCause
from services.recorder.capture.assembler import SegmentAssembler
from services.recorder.capture.causes import HoleEvidence
from services.recorder.capture.gaps import GapChange, GapTracker
from services.recorder.storage.disk import Disk, FragmentDropped
from services.recorder.storage.orders import Order
from services.recorder.storage.paths import RecordedStream
from services.recorder.storage.rows import GapRow
from services.recorder.storage.segment import EndReason, SegmentBegin, SegmentEnd, SegmentFragment, SegmentStep
from services.recorder.storage.segment_file import SegmentFile

_FOLLOWS: Final = HoleEvidence(follows=True)
Explain = Callable[[int, int, HoleEvidence], tuple[str, str]]
"""Cause and detail of a gap: from, to, what the pictures beside it say."""


class DiskChooser(Protocol):
    """Where new segments go."""

    def choose(self, stream: RecordedStream, current: Disk | None) -> Disk | None:
        """A usable disk, None where there is none."""


class _Unsynced(NamedTuple):
    """A fragment that was given to a disk."""

    disk: Disk
    file: SegmentFile
    number: int
    """Of the file's fragments, from 1."""
    fragment: SegmentFragment

    @property
    def order(self) -> Order:
        """Of its last picture."""
        return self.fragment.order

    @property
    def synced(self) -> bool:
        """Whether it is known to be on the disk."""
        return self.file.synced >= self.number


class StreamRecording:
    """Record what arrives for one stream, in order of arrival. Call `tick` once a second and `stop` at the end."""

    def __init__(
        self,
        stream: RecordedStream,
        *,
        place: DiskChooser,
        explain: Explain,
        on_gap: Callable[[GapChange, Disk | None], None],
        last_end_us: int | None,
        lasting: GapRow | None = None,
        on_rewind: Callable[[Order | None], None] = lambda _: None,
        last_order: Order | None = None,
        late: bool = False,
        made: str = "",
        wanted_us: int | None = None,
    ) -> None:
        """``last_end_us`` and ``lasting``: where earlier footage ends, and the gap that was open then; ``wanted_us``:
        where there is none, since when there should be.

        ``last_order``: of the last picture of that footage. ``on_rewind`` is told the last picture that a disk has,
        where it did not take those since; None: none of these. ``late``: what is recorded is of the stream's past;
        ``made``: and this has made it up.
        """
        self.stream = stream
        self.assembler = SegmentAssembler()
        self.frames = 0
        self.disk: Disk | None = None
        self._late = late
        self._made = made
        self._place = place
        self._explain = explain
        self._on_gap = on_gap
        self._gaps = GapTracker(stream, last_end_us, lasting, wanted_us=wanted_us)
        self._file: SegmentFile | None = None
        self._video, self._audio = SequenceTracker(), SequenceTracker()
        self._reopened = False
        self._lost = 0
        self._last_capture_us = 0
        self._on_rewind = on_rewind
        self._trouble: tuple[str, str] | None = None
        """Cause and detail of what a disk did not take since the last segment began."""
        self._unsynced: deque[_Unsynced] = deque()
        self._written = 0
        """Fragments given to the file that is being made."""
        self._last_order = last_order
        self._safe: dict[int, int] = {}
        self._seen = HoleEvidence()

    @property
    def file(self) -> SegmentFile | None:
        """The segment that is being made."""
        return self._file

    @property
    def end_us(self) -> int | None:
        """The end of the footage that is written or queued for the disk; None where there is none yet."""
        return self._gaps.end_us

    @property
    def epoch(self) -> int | None:
        """Of the last picture that was written; None where there is none."""
        written = self.assembler.written_order
        return written[0] if written is not None else None

    @property
    def lost(self) -> int:
        """Frames that were published and did not come."""
        return self._video.lost

    def record_picture(self, unit: AccessUnit, now_us: int, monotonic: float) -> None:
        """Records a picture. One that is not newer than the last is dropped: the cached GOP overlaps live frames."""
        before = self._video.lost
        if self._last_order is not None and unit.epoch < self._last_order[0] and unit.sequence > self._last_order[1]:
            self.begin_again()  # epochs are counted anew
        if not self._video.accept(unit):
            return
        self.frames += 1
        lost = self._video.lost - before
        self._reopened |= unit.discontinuity
        self._note_hole(unit)
        if lost and self._last_capture_us:
            self._lost += lost
            self.assembler.damaged = True
            if unit.capture_us - self._last_capture_us >= MIN_GAP_US:
                # Pictures that refer to lost ones cannot be decoded: continue at the next keyframe.
                self._carry_out(self.assembler.end_segment(EndReason.DISCONTINUITY))
            elif self.assembler.recording:
                self._gaps.frames_lost(self._last_capture_us, unit.capture_us, lost)
                self._lost = 0
        self._last_capture_us = unit.capture_us
        self._last_order = unit.order
        self._carry_out(self.assembler.add_picture(unit, now_us, monotonic))
        self._tell()

    def record_run(self, run: PictureRun, now_us: int, monotonic: float) -> int:
        """Records the first pictures of ``run``, as `record_picture` does each; returns how many.

        It stops in front of one that is to be looked at alone.
        """
        if self._last_order != run.order(-1) or not self.mid_file:
            return 0
        taken = self.assembler.add_run(run, now_us, monotonic)
        if taken:
            self._last_order = run.order(taken - 1)
            self._last_capture_us = run.capture_us[taken - 1]
            self._video.accept_up_to(self._last_order)
            self.frames += taken
            self._seen = _FOLLOWS
        return taken

    def record_sound(self, unit: AccessUnit) -> None:
        """Takes a frame of sound."""
        if self._audio.accept(unit):
            self.assembler.sound.add_sound(unit)

    def _note_hole(self, unit: AccessUnit) -> None:
        """Notes what a picture says of the hole before it, up to the next keyframe, with which a segment may begin."""
        before = self._last_order
        if before is None:
            return
        follows = unit.epoch >= before[0] and unit.sequence == before[1] + 1
        new_epoch = unit.epoch != before[0]
        if self.mid_file:
            usual = follows and not new_epoch
            self._seen = _FOLLOWS if usual else HoleEvidence(follows=follows, new_epoch=new_epoch)
        else:
            self._seen = self._seen._replace(
                follows=self._seen.follows and follows, new_epoch=self._seen.new_epoch or new_epoch
            )

    def is_quiet(self, monotonic: float) -> bool:
        """Whether `tick` has something to look at: no picture came for a while, or no file takes those that come."""
        return self._file is None or self.assembler.is_quiet(monotonic)

    def tick(self, now_us: int, monotonic: float, *, complete: bool = True) -> None:
        """Writes what waits when no pictures come; notices gaps that last. ``complete``: as for the assembler."""
        self._carry_out(self.assembler.tick(monotonic, complete=complete))
        writing = self._file is not None
        self._gaps.tick(now_us, self._why, recording=writing and complete, settled=complete and not writing)
        self._tell()

    def stop(self, *, kept: bool = False) -> bool:
        """Ends the segment. ``kept``: ingest keeps the pictures that were not written, for who goes on.

        Whether pictures were left to it; the last one before them is `SegmentAssembler.written_order`'s.
        """
        left = kept and self.assembler.forget_unwritten_gop()
        self._carry_out(self.assembler.end_segment(EndReason.STOPPED))
        self._tell()
        return left

    def no_longer_wanted(self, now_us: int) -> None:
        """It was stopped, and nobody is to go on: a gap that lasts ends."""
        self._gaps.no_longer_wanted(now_us)
        self._tell()

    # What a disk did not take

    def fragment_dropped(self, dropped: FragmentDropped) -> None:
        """A disk did not write a fragment: all since the one before it has to come again."""
        if dropped.file is not self._file and all(each.file is not dropped.file for each in self._unsynced):
            return  # it was told already, with an earlier one
        self._rewind(dropped.fragment.before, dropped.fragment.from_us, dropped.cause, dropped.detail)

    def disk_failed(self, disk: Disk) -> None:
        """The disk is gone: all that is not known to be on it has to come again, and goes elsewhere."""
        lost = next((each for each in self._unsynced if each.disk is disk and not each.synced), None)
        if lost is not None:
            self._rewind(lost.fragment.before, lost.fragment.from_us, GapCause.DISK_FAILED, disk.failure or "")
        elif self.disk is disk and self._file is not None:
            self._rewind(self._last_written, self._gaps.end_us, GapCause.DISK_FAILED, disk.failure or "")

    @property
    def _last_written(self) -> Order | None:
        return self.assembler.written_order

    def _rewind(self, before: Order | None, end_us: int | None, cause: str, detail: str) -> None:
        self._trouble = cause, detail
        if end_us is not None:
            self._gaps.rewind(end_us)
        self.assembler.rewind(before)
        if self._file is not None and self.disk is not None:
            self.disk.end_segment(self._file, SegmentEnd(self._gaps.end_us or 0, EndReason.STOPPED))
        for disk in {each.disk for each in self._unsynced} | ({self.disk} if self.disk else set()):
            disk.rewind(self.stream, late=self._late)
        self._file = None
        self._unsynced = deque(each for each in self._unsynced if before is not None and each.order <= before)
        self._last_order = before
        self._video, self._audio = SequenceTracker(), SequenceTracker()
        self._lost = 0
        self._tell()
        self._on_rewind(before)

    def missed(self, cause: str) -> None:
        """Ingest does not have all that was missing; ``cause`` says why, where a gap follows."""
        self._trouble = self._trouble or (cause, "")

    def begin_again(self) -> None:
        """Pictures may come that were recorded: no file is open which could go on without their keyframe."""
        self._video, self._audio = SequenceTracker(), SequenceTracker()

    # What is safe

    @property
    def mid_file(self) -> bool:
        """Whether a segment is open that the next picture may join."""
        return self.assembler.recording and self._file is not None

    @property
    def settled(self) -> bool:
        """Whether all that was given to it is known to be on a disk."""
        return not self.assembler.waiting and all(each.synced for each in self._unsynced)

    def safe(self, taken: Mapping[int, int]) -> dict[int, int]:
        """Epoch → sequence of the last picture that no power cut can take any more, nor any before it.

        ``taken``: the last ones that were recorded or passed over.
        """
        waiting = {self._last_order[0]} if self.assembler.waiting and self._last_order else set()
        while self._unsynced and self._unsynced[0].synced:
            epoch, sequence = self._unsynced.popleft().order
            self._safe[epoch] = max(sequence, self._safe.get(epoch, -1))
        waiting.update(each.order[0] for each in self._unsynced)
        self._safe = {epoch: sequence for epoch, sequence in self._safe.items() if epoch in waiting}
        return {
            epoch: self._safe[epoch] if epoch in waiting else sequence
            for epoch, sequence in taken.items()
            if epoch not in waiting or epoch in self._safe
        }

    # Steps

    def _carry_out(self, commands: list[SegmentStep]) -> None:
        for command in commands:
            match command:
                case SegmentBegin():
                    self._begin(command)
                case SegmentFragment():
                    if self._file is not None and self.disk is not None:
                        self.disk.append_fragment(self._file, command)
                        self._written += 1
                        self._unsynced.append(_Unsynced(self.disk, self._file, self._written, command))
                        self._gaps.footage_reaches(command.to_us)
                case SegmentEnd():
                    if self._file is not None and self.disk is not None:
                        self.disk.end_segment(self._file, command)
                        self._gaps.footage_reaches(command.end_us)
                    self._file = None

    def _begin(self, begin: SegmentBegin) -> None:
        self.disk = self._place.choose(self.stream, self.disk)
        self._written = 0
        if self.disk is None:
            cause, detail = self._trouble or (GapCause.DISK_FAILED, "no usable disk")
            self._rewind(self.assembler.written_order, None, cause, detail)
            return
        gap = self._gaps.segment_begins(begin.start_us, self._why, step_us=begin.clock_step_us)
        self._reopened, self._lost, self._trouble = False, 0, None
        self._file = self.disk.begin_segment(self.stream, begin, gap, late=self._late, made=self._made)

    def _why(self, from_us: int, to_us: int) -> tuple[str, str]:
        if self._trouble is not None:
            return self._trouble
        return self._explain(from_us, to_us, self._seen._replace(reopened=self._reopened, lost=self._lost))

    def _tell(self) -> None:
        for change in self._gaps.take_changes():
            self._on_gap(change, self.disk)
