"""A recorder without bus and event loop: one disk, one or more recordings, a clock that goes as frames are fed."""

import io
import time
from collections import deque
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.contracts.frames import AccessUnit
from services.contracts.ladder import Ladder, parse_ladder
from services.mesh.clock import ManualClock
from services.recorder.archive.archive import NoArchive
from services.recorder.capture.gaps import GapChange
from services.recorder.capture.recording import StreamRecording
from services.recorder.retention.retention_pass import ArchiveCopies, RetentionPass
from services.recorder.storage.disk import (
    PASS_SECONDS,
    Disk,
    DiskLimits,
    DiskNotice,
    FragmentDropped,
    LastLink,
    SegmentWritten,
)
from services.recorder.storage.files import Files, OsFiles
from services.recorder.storage.index import Index
from services.recorder.storage.paths import INDEX, RecordedStream
from services.recorder.storage.proof import Signer
from services.recorder.storage.rows import GapRow, Segment
from tests.recorder.units import START_US

STREAM = RecordedStream("city", "cam-1", "main")
SIGNER = Signer(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))


class Rig:
    """Open it with ``with``; leave it by `crash` to simulate a death."""

    def __init__(
        self,
        directory: Path,
        *,
        files: Files | None = None,
        sync_seconds: float = 5.0,
        pass_seconds: float = PASS_SECONDS,
        queue_bytes: int = 1 << 28,
        clock: ManualClock | None = None,
        links: dict[RecordedStream, LastLink] | None = None,
        signer: Signer | None = SIGNER,
    ) -> None:
        self.clock = clock or ManualClock(START_US)
        self.notices: list[DiskNotice] = []
        self._untold: deque[DiskNotice] = deque()
        self.gaps: list[GapChange] = []
        self.disk = Disk(
            directory,
            recorder="rec-1",
            files=files or OsFiles(),
            clock=self.clock,
            notify=self._on_notice,
            limits=DiskLimits(sync_seconds=sync_seconds, pass_seconds=pass_seconds, queue_bytes=queue_bytes),
            signer=signer,
            links=links,
        )
        self.recordings: dict[RecordedStream, StreamRecording] = {}

    def __enter__(self) -> "Rig":
        self.disk.open()
        return self

    def __exit__(self, *_: object) -> None:
        for recording in self.recordings.values():
            recording.stop()
        self.disk.close()

    def choose(self, stream: RecordedStream, current: Disk | None) -> Disk | None:
        del stream, current
        return self.disk if self.disk.failure is None else None

    def recording(self, stream: RecordedStream = STREAM) -> StreamRecording:
        if stream not in self.recordings:
            self.disk.rewind(stream)
            with self.index() as index:
                last = index.last_segment(stream)
            self.recordings[stream] = StreamRecording(
                stream,
                place=self,
                explain=lambda _from, _to, seen: ("test", f"reopened={seen.reopened} lost={seen.lost}"),
                on_gap=self._on_gap,
                last_end_us=last.end_us if last else None,
            )
        return self.recordings[stream]

    def feed(self, units: Iterable[AccessUnit], stream: RecordedStream = STREAM, *, paced: bool = True) -> None:
        """Feeds units; the clock follows their capture times where ``paced``."""
        for unit in units:
            if paced and unit.capture_us > self.clock.now_us():
                self.clock.advance((unit.capture_us - self.clock.now_us()) / 1e6)
            self.tell()
            recording = self.recording(stream)
            if unit.codec.is_video:
                recording.record_picture(unit, self.clock.now_us(), self.clock.monotonic())
            else:
                recording.record_sound(unit)

    def settle(self) -> None:
        """Waits until all that was fed is written, synced and indexed."""
        self.tell()
        for recording in self.recordings.values():
            recording.stop()
        while not self.disk.idle:
            time.sleep(0.002)
        self.disk.sync(everything=True)

    def retention(
        self, ladder: str | Ladder, *, floor_bytes: int = 0, budget_bytes: int = 0, archive: ArchiveCopies | None = None
    ) -> RetentionPass:
        """Retention of the rig's disk, the same ladder for all cameras."""
        made = parse_ladder(ladder) if isinstance(ladder, str) else ladder
        limits = DiskLimits(floor_bytes=floor_bytes, budget_bytes=budget_bytes)
        return RetentionPass(
            self.disk, ladder_of=lambda _: made, clock=self.clock, limits=limits, archive=archive or NoArchive()
        )

    def index(self) -> "Reading":
        return Reading(self.disk.recordings / INDEX)

    def segments(self, stream: RecordedStream = STREAM) -> list[Segment]:
        with self.index() as index:
            return index.segments_of(stream)

    def gap_rows(self, stream: RecordedStream = STREAM) -> list[GapRow]:
        with self.index() as index:
            return index.gaps(stream, 0, 1 << 62)

    def path(self, segment: Segment) -> Path:
        return self.disk.recordings / segment.path

    def closed(self) -> list[SegmentWritten]:
        return [notice for notice in self.notices if isinstance(notice, SegmentWritten)]

    def dropped(self) -> list[FragmentDropped]:
        return [notice for notice in self.notices if isinstance(notice, FragmentDropped)]

    def _on_notice(self, _disk: Disk, notice: DiskNotice) -> None:
        self.notices.append(notice)
        self._untold.append(notice)

    def tell(self) -> None:
        """Tells the recordings what the disk's threads noticed."""
        while self._untold:
            notice = self._untold.popleft()
            if isinstance(notice, FragmentDropped) and notice.stream in self.recordings:
                self.recordings[notice.stream].fragment_dropped(notice)

    def _on_gap(self, change: GapChange, disk: Disk | None) -> None:
        self.gaps.append(change)
        if disk is not None:
            disk.note_gap(change.gap)


class Reading:
    """A read-only index for the length of a block."""

    def __init__(self, path: Path) -> None:
        self._index = Index.open_for_reading(path)

    def __enter__(self) -> Index:
        return self._index

    def __exit__(self, *_: object) -> None:
        self._index.close()


def decode(path: Path) -> list[av.VideoFrame]:
    """Every picture that FFmpeg decodes from a file."""
    with av.open(io.BytesIO(path.read_bytes())) as container:
        assert isinstance(container, av.container.InputContainer)
        return list(container.decode(video=0))


def packet_times(path: Path, kind: str = "video") -> list[Fraction]:
    """Presentation times of a file's packets, in seconds."""
    with av.open(str(path)) as container:
        assert isinstance(container, av.container.InputContainer)
        stream = container.streams.video[0] if kind == "video" else container.streams.audio[0]
        return [
            packet.pts * packet.time_base
            for packet in container.demux(stream)
            if packet.pts is not None and packet.time_base is not None
        ]
