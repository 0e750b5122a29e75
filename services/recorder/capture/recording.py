"""One stream's recording: access units in, fragments to a disk, gaps noticed. No bus, no threads of its own."""

from collections.abc import Callable
from typing import Protocol

from services.contracts.frames import AccessUnit, SequenceTracker
from services.contracts.recordings import MIN_GAP_US, GapCause
from services.recorder.capture.assembler import SegmentAssembler
from services.recorder.capture.gaps import GapChange, GapTracker
from services.recorder.storage.disk import Disk
from services.recorder.storage.paths import RecordedStream
from services.recorder.storage.rows import GapRow
from services.recorder.storage.segment import EndReason, SegmentBegin, SegmentEnd, SegmentFragment, SegmentStep
from services.recorder.storage.segment_file import SegmentFile

Explain = Callable[[int, int, bool, int], tuple[str, str]]
"""Cause and detail of a gap: from, to, whether the source was opened anew, frames missing."""


class DiskChooser(Protocol):
    """Where new segments go."""

    def choose(self, stream: RecordedStream, current: Disk | None) -> Disk | None:
        """A usable disk, None where there is none."""


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
    ) -> None:
        """``last_end_us`` and ``lasting``: where earlier footage ends, and the gap that was open then."""
        self.stream = stream
        self.assembler = SegmentAssembler()
        self.frames = 0
        self.disk: Disk | None = None
        self._place = place
        self._explain = explain
        self._on_gap = on_gap
        self._gaps = GapTracker(stream, last_end_us, lasting)
        self._file: SegmentFile | None = None
        self._video, self._audio = SequenceTracker(), SequenceTracker()
        self._reopened = False
        self._lost = 0
        self._last_capture_us = 0
        self._disk_trouble = ""

    @property
    def file(self) -> SegmentFile | None:
        """The segment that is being made."""
        return self._file

    @property
    def end_us(self) -> int | None:
        """The end of the footage that is written or queued for the disk; None where there is none yet."""
        return self._gaps.end_us

    @property
    def lost(self) -> int:
        """Frames that were published and did not come."""
        return self._video.lost

    def record_picture(self, unit: AccessUnit, now_us: int, monotonic: float) -> None:
        """Records a picture. One that is not newer than the last is dropped: the cached GOP overlaps live frames."""
        before = self._video.lost
        if not self._video.accept(unit):
            return
        self.frames += 1
        lost = self._video.lost - before
        self._reopened |= unit.discontinuity
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
        self._carry_out(self.assembler.add_picture(unit, now_us, monotonic))
        self._tell()

    def record_sound(self, unit: AccessUnit) -> None:
        """Takes a frame of sound."""
        if self._audio.accept(unit):
            self.assembler.sound.add_sound(unit)

    def tick(self, now_us: int, monotonic: float) -> None:
        """Writes what waits when no pictures come; notices gaps that last."""
        if self._file is None and self.assembler.recording:
            self.assembler.end_segment(EndReason.STOPPED)  # there was no disk: try again at the next keyframe
        self._carry_out(self.assembler.tick(monotonic))
        self._gaps.tick(now_us, self._why, recording=self._file is not None)
        self._tell()

    def stop(self) -> None:
        """Ends the segment."""
        self._carry_out(self.assembler.end_segment(EndReason.STOPPED))
        self._tell()

    def fragment_dropped(self, from_us: int, to_us: int, cause: str, detail: str) -> None:
        """A fragment could not be written."""
        self._gaps.fragment_dropped(from_us, to_us, cause, detail)
        self._tell()

    def disk_failed(self, disk: Disk) -> None:
        """The disk is gone: go on at the next keyframe, elsewhere."""
        if self.disk is disk and self._file is not None:
            self._carry_out(self.assembler.end_segment(EndReason.STOPPED))
            self._disk_trouble = disk.failure or GapCause.DISK_FAILED

    def _carry_out(self, commands: list[SegmentStep]) -> None:
        for command in commands:
            match command:
                case SegmentBegin():
                    self._begin(command)
                case SegmentFragment():
                    if self._file is not None and self.disk is not None:
                        self.disk.append_fragment(self._file, command)
                        self._gaps.footage_reaches(command.to_us)
                case SegmentEnd():
                    if self._file is not None and self.disk is not None:
                        self.disk.end_segment(self._file, command)
                        self._gaps.footage_reaches(command.end_us)
                    self._file = None

    def _begin(self, begin: SegmentBegin) -> None:
        self.disk = self._place.choose(self.stream, self.disk)
        if self.disk is None:
            self._file = None  # no disk: the gap goes on, and ends at the first keyframe that finds one
            self._reopened, self._lost = False, 0
            self._disk_trouble = self._disk_trouble or "no usable disk"
            return
        gap = self._gaps.segment_begins(begin.start_us, self._why, step_us=begin.clock_step_us)
        self._reopened, self._lost, self._disk_trouble = False, 0, ""
        self._file = self.disk.begin_segment(self.stream, begin, gap)

    def _why(self, from_us: int, to_us: int) -> tuple[str, str]:
        if self._disk_trouble:
            return GapCause.DISK_FAILED, self._disk_trouble
        return self._explain(from_us, to_us, self._reopened, self._lost)

    def _tell(self) -> None:
        for change in self._gaps.take_changes():
            self._on_gap(change, self.disk)
