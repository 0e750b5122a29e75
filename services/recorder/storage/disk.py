"""One directory, normally one disk: its writer thread, its syncer thread and its index.

``notify`` is called in either thread with what happened to footage.
"""

import errno
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from services.mesh.clock import Clock
from services.mesh.log import get_logger
from services.mesh.metrics import gauge
from services.recorder.storage import orders
from services.recorder.storage.files import FULL, Files, Space, sync_folders
from services.recorder.storage.index import Index
from services.recorder.storage.key import remember_keys
from services.recorder.storage.paths import INDEX, RECORDINGS, RecordedStream, segment_path
from services.recorder.storage.proof import Proof, Signer
from services.recorder.storage.recovery import boot_id, recover
from services.recorder.storage.rows import GapRow, Segment
from services.recorder.storage.segment import SegmentBegin, SegmentEnd, SegmentFragment
from services.recorder.storage.segment_file import Lane, SegmentFile
from services.recorder.storage.share import WHOLE, Share

log = get_logger()

PASS_SECONDS: Final = 1.0
STALLED_SECONDS: Final = 10.0
"""While a write takes longer than this, the disk gets no new segments."""
GONE: Final = "the index is gone: is the disk mounted?"
_MAX_GAPS: Final = 10_000
_SPACE_SECONDS: Final = 5.0

_free = gauge("recorder_disk_free_bytes", "Free space of the directory's file system", "directory")


@dataclass(frozen=True)
class SegmentWritten:
    """A segment is complete, on disk and in the index."""

    segment: Segment
    path: str
    """Below ``recordings/``."""
    proof: Proof | None = None


@dataclass(frozen=True)
class FragmentDropped:
    """Footage was not written, nor will be what was given for its stream since, until `Disk.rewind`."""

    file: SegmentFile
    fragment: SegmentFragment
    cause: str
    detail: str = ""

    @property
    def stream(self) -> RecordedStream:
        """Of its file."""
        return self.file.stream


@dataclass(frozen=True)
class DiskFailed:
    """The disk cannot be used any more; its open segments end at their last written fragment."""

    because: str


@dataclass(frozen=True)
class DiskFull:
    """A write found no room."""


DiskNotice = SegmentWritten | FragmentDropped | DiskFailed | DiskFull


@dataclass(frozen=True)
class _Job:
    file: SegmentFile
    fragment: SegmentFragment | None
    """None: the segment ends."""


class LastLink(NamedTuple):
    """A stream's last seal, and where it is."""

    directory: Path
    link: bytes


class DiskLimits(NamedTuple):
    """What recordings may take of a disk, and of memory on the way to it."""

    floor_bytes: int = 0
    """Free space that is left."""
    budget_bytes: int = 0
    """0: as much as there is."""
    sync_seconds: float = 5.0
    """What was written longer ago is durable."""
    pass_seconds: float = PASS_SECONDS
    """So often the syncer looks for it."""
    queue_bytes: int = 256 * 1024 * 1024
    """Of fragments that wait for the writer; past it new ones are dropped."""


DEFAULT_LIMITS: Final = DiskLimits()


class Disk:
    """Call `open` in a thread before anything else, and `close` in one at the end."""

    def __init__(
        self,
        directory: Path,
        *,
        recorder: str,
        files: Files,
        clock: Clock,
        notify: Callable[["Disk", DiskNotice], None],
        limits: DiskLimits = DEFAULT_LIMITS,
        signer: Signer | None = None,
        links: "dict[RecordedStream, LastLink] | None" = None,
        share: Share = WHOLE,
    ) -> None:
        """``links`` are shared by a recorder's disks, so that a stream's chain goes on when it moves to another.

        ``share``: what this process records, of several over the directory.
        """
        self.directory = directory
        self.recordings = directory / RECORDINGS
        self.failure: str | None = "not opened yet"
        """Why it cannot be used; None while it can."""
        self.queued_bytes = 0
        self.files = files
        self.signer = signer
        self.keys: frozenset[str] = frozenset()
        """The public keys that this recorder ever had; read when the disk is opened."""
        self._recorder = recorder
        self._share = share
        self._clock = clock
        self._notify = notify
        self._limits = limits
        self._free: tuple[float, int] | None = None
        self._jobs: deque[_Job] = deque()
        self._wake = threading.Condition()
        self._open: dict[SegmentFile, None] = {}
        self._ended: list[SegmentFile] = []
        self._broken: set[Lane] = set()
        """Streams of which the writer dropped a fragment, and so all that waits behind it."""
        self._refused: set[Lane] = set()
        """Streams of which a fragment found no room to wait; those before it are written."""
        self._gaps: list[GapRow] = []
        self._links: dict[RecordedStream, LastLink] = {} if links is None else links
        self._writing_since: float | None = None
        self._opened = False
        self._boot = boot_id()
        self._stopping = False
        self._halt = threading.Event()
        self._passing = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._write_index: Index | None = None
        self._sync_index: Index | None = None

    # For the event loop

    @property
    def usable(self) -> bool:
        """Whether new segments may be given to it."""
        since = self._writing_since
        return self.failure is None and (since is None or self._clock.monotonic() - since < STALLED_SECONDS)

    @property
    def idle(self) -> bool:
        """Whether all that it was given has been written."""
        with self._wake:
            return not self._jobs and self._writing_since is None

    def space(self) -> Space:
        """What its file system has; raises ``OSError``."""
        return self.files.space(self.directory)

    def free_bytes(self) -> int | None:
        """Free space, at most a few seconds old; None where the disk has failed, or fails at this question."""
        if self.failure is not None:
            return None
        now = self._clock.monotonic()
        if self._free is None or now - self._free[0] >= _SPACE_SECONDS:
            try:
                self._free = now, self.space().free_bytes
            except OSError as error:
                self.fail(str(error))
                return None
            _free.labels(str(self.directory)).set(self._free[1])
        return self._free[1]

    def open_files(self) -> list[SegmentFile]:
        """The segments that are being written."""
        with self._wake:
            return [file for file in self._open if file.path is not None]

    def begin_segment(
        self,
        stream: RecordedStream,
        begin: SegmentBegin,
        gap: GapRow | None = None,
        *,
        late: bool = False,
        made: str = "",
    ) -> SegmentFile:
        """A new segment; its file comes with its first fragment. ``late``: it is of the stream's past.

        ``made``: what made its pictures up; the file says so.
        """
        file = SegmentFile(stream, begin, self._recorder, gap, late, made)
        with self._wake:
            self._open[file] = None
        return file

    def append_fragment(self, file: SegmentFile, fragment: SegmentFragment) -> None:
        """Queues a fragment. It is dropped where too many bytes wait: ingest keeps what it holds."""
        with self._wake:
            if file.lane in self._refused:
                return  # it was told
            if self.queued_bytes + fragment.size_bytes <= self._limits.queue_bytes:
                self._jobs.append(_Job(file, fragment))
                self.queued_bytes += fragment.size_bytes
                self._wake.notify()
                return
            self._refused.add(file.lane)
        self._notify(self, FragmentDropped(file, fragment, "disk-slow"))

    def end_segment(self, file: SegmentFile, _end: SegmentEnd) -> None:
        """The segment has no more fragments."""
        with self._wake:
            self._jobs.append(_Job(file, None))
            self._wake.notify()

    def rewind(self, stream: RecordedStream, *, late: bool = False) -> None:
        """After `FragmentDropped`: nothing of the stream's files so far is written any more; the next may be.

        Does nothing where no fragment was dropped. A new recording of the stream calls it first of all.
        """
        lane = stream, late
        with self._wake:
            self._refused.discard(lane)
            if lane not in self._broken:
                return
            for file in self._open:
                if file.lane == lane:
                    file.failed = True
            self._broken.discard(lane)

    def note_gap(self, gap: GapRow) -> None:
        """Writes a gap with the next pass."""
        with self._wake:
            if len(self._gaps) < _MAX_GAPS:
                self._gaps.append(gap)

    # In any thread, but blocking

    def open(self) -> None:
        """Makes the folders, recovers what the last run left open, starts the threads.

        Raises ``OSError`` or ``sqlite3.Error`` where the directory cannot be used.
        """
        if self._threads:
            raise OSError(errno.EBUSY, "an operation on the disk has not come back yet")
        if self._opened and not (self.recordings / INDEX).exists():
            raise OSError(errno.ENOENT, GONE)  # refuse to create a new index: the disk is probably unmounted
        self.files.make_folders(self.recordings)
        self._opened = True
        index = Index.open(self.recordings / INDEX, durable=True, checkpoint=True)
        try:
            self.keys = remember_keys(self.directory, self.signer)
            recover(
                self.recordings,
                index,
                self.files,
                self.signer,
                self.keys,
                share=self._share,
                closed=self._tell_recovered,
            )
            for stream, last in list(self._links.items()):
                if last.directory == self.directory:
                    del self._links[stream]  # recovery may have cut it
            with index:
                index.set_meta(self._share.boot_key, self._boot)  # a death before the first pass is no power cut
            self._write_index = Index.open(self.recordings / INDEX, durable=False)
        except BaseException:
            index.close()
            raise
        self._sync_index = index
        self._stopping = False
        self._halt.clear()
        self.failure = None
        self._threads = [
            threading.Thread(target=work, name=f"{name} {self.directory}", daemon=True)
            for name, work in (("writer", self._write_forever), ("syncer", self._sync_forever))
        ]
        for thread in self._threads:
            thread.start()

    def _tell_recovered(self, segment: Segment, proof: Proof | None) -> None:
        self._notify(self, SegmentWritten(segment, str(segment.path), proof))

    def close(self, timeout_seconds: float = 3.0) -> None:
        """Writes and syncs what waits, and stops the threads; a disk that hangs is left behind."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(timeout_seconds)
            self._halt.set()
        if any(thread.is_alive() for thread in self._threads):
            return
        for index in (self._write_index, self._sync_index):
            if index:
                index.close()
        self._write_index = self._sync_index = None
        for file in self._open:
            if file.path is not None:
                with suppress(OSError):
                    self.files.close(file.fd)
        for waiting in (self._jobs, self._open, self._ended):
            waiting.clear()
        self.queued_bytes = 0
        self._threads = []

    # The writer

    def _write_forever(self) -> None:
        while True:
            with self._wake:
                while not self._jobs and not self._stopping:
                    self._wake.wait()
                if not self._jobs:
                    return
                job = self._jobs.popleft()
                if job.fragment is not None:
                    self.queued_bytes -= job.fragment.size_bytes
                self._writing_since = self._clock.monotonic()
            try:
                self._carry_out(job)
            except (OSError, sqlite3.Error) as error:
                self._on_error(job, error)
            finally:
                self._writing_since = None

    def _carry_out(self, job: _Job) -> None:
        file, fragment = job.file, job.fragment
        if fragment is None:
            with self._wake:
                self._ended.append(file)
            return
        if self.failure is not None:
            self._drop(job, "disk-failed")
            return
        if file.failed or file.lane in self._broken:
            return  # it was told with the fragment that was dropped before
        if file.path is None:
            self._create(file, fragment)
        index = self._write_index
        assert index is not None
        note = partial(index.note_seals, file.stream, file.start_us)
        file.write_fragment(self.files, fragment, self._clock.monotonic(), note=note)
        if not file.late:
            self._links[file.stream] = LastLink(self.directory, file.link)

    def _create(self, file: SegmentFile, fragment: SegmentFragment) -> None:
        """Open, as docs/recording.md orders it."""
        index = self._write_index
        assert index is not None
        while True:
            file.start_us = fragment.from_us + file.shift_us
            with index:
                index.add_open(file.stream, file.start_us)
                chain = self._chain(index, file)
            path = self.recordings / segment_path(file.stream, file.start_us)
            if not (self.recordings / INDEX).exists():
                raise OSError(errno.ENOENT, GONE)
            try:
                self.files.make_folders(path.parent)
                file.fd = self.files.create(path)
            except FileNotFoundError:
                continue  # retention removed the empty folder between the two
            except FileExistsError:
                with index:
                    index.drop_open(file.stream, file.start_us)
                file.shift_us += 1000
                continue
            break
        try:
            file.write_opening(self.files, chain)
        except OSError:
            # Nothing was recorded into it. Its open_segment row is removed here, or at the next start.
            self.files.close(file.fd)
            self.files.unlink(path)
            with index:
                index.drop_open(file.stream, file.start_us)
            raise
        file.path = path

    def _chain(self, index: Index, file: SegmentFile) -> bytes:
        """The last link of the stream's segment before; of footage of the past, of the one before it in time."""
        if file.late:
            before = index.segment_before(file.stream, file.start_us)
            written = self._written_before(file)
            if written is not None and (before is None or written.start_us > before.start_us):
                return written.link
        elif (known := self._links.get(file.stream)) is not None:
            return known.link
        else:
            before = index.last_segment(file.stream)
        return before.link if before is not None else b""

    def _written_before(self, late: SegmentFile) -> SegmentFile | None:
        """The last segment of the stream that begins before ``late`` and is not in the index yet.

        Footage of the past comes faster than the syncer puts the segment before it there.
        """
        with self._wake:
            found = [
                file
                for file in self._open
                if file.stream == late.stream and file.fragments and file.start_us < late.start_us
            ]
        return max(found, key=lambda file: file.start_us, default=None)

    def _on_error(self, job: _Job, error: OSError | sqlite3.Error) -> None:
        if is_full(error):
            self._notify(self, DiskFull())
            self._drop(job, "disk-full")
            return
        self._drop(job, "disk-failed", str(error))
        self.fail(str(error))

    def fail(self, because: str) -> None:
        """Marks the disk as failed: nothing more is written, and waiting fragments are dropped with a notice."""
        with self._wake:
            if self.failure is not None:
                return
            self.failure = because
            for file in self._open:
                file.failed = True
        log.error("disk.failed", directory=str(self.directory), because=because)
        self._notify(self, DiskFailed(because))

    def _drop(self, job: _Job, cause: str, detail: str = "") -> None:
        if job.fragment is None:
            return
        with self._wake:
            if job.file.lane in self._broken:
                return
            self._broken.add(job.file.lane)
        self._notify(self, FragmentDropped(job.file, job.fragment, cause, detail))

    # The syncer

    def _sync_forever(self) -> None:
        while not self._halt.wait(self._limits.pass_seconds):
            self._sync_or_fail(everything=False)
        self._sync_or_fail(everything=True)

    def _sync_or_fail(self, *, everything: bool) -> None:
        if self.failure is not None:
            return
        try:
            self.sync(everything=everything)
        except (OSError, sqlite3.Error) as error:
            if is_full(error):
                self._notify(self, DiskFull())
            else:
                self.fail(str(error))

    def sync(self, *, everything: bool) -> None:
        """One pass; with ``everything`` all that is written becomes durable. Raises ``OSError``, ``sqlite3.Error``."""
        with self._passing:
            self._pass(everything)

    def _pass(self, everything: bool) -> None:
        index = self._sync_index
        assert index is not None
        now = self._clock.monotonic()
        with self._wake:
            ended, gaps = list(self._ended), list(self._gaps)
        if self.signer is not None:
            for file in ended:
                if file.fragments and file.proof is None:
                    file.sign(self.files, self.signer, now)
        with self._wake:
            due = [
                file
                for file in self._open
                if file.unsynced_since is not None
                and (everything or file in ended or now - file.unsynced_since >= self._limits.sync_seconds / 2)
            ]
        with index:
            index.set_meta("heartbeat_us", str(self._clock.now_us()))
            index.set_meta("recorder", self._recorder)
            index.set_meta(self._share.boot_key, self._boot)
        for file in due:
            self._sync_file(file)
        written = [file for file in ended if file.path is not None]
        with index:
            for file in written:
                if file.fragments:
                    index.put_segment(*file.row())
                    if not file.made:  # what was made up has no place in ingest's numbers
                        index.put_positions(file.stream, orders.newest(file.orders))
                else:
                    index.drop_open(file.stream, file.start_us)
            for gap in gaps:
                index.put_gap(gap)
        with self._wake:
            del self._ended[: len(ended)]
            del self._gaps[: len(gaps)]
            for file in ended:
                self._open.pop(file, None)
        for file in written:
            self.files.close(file.fd)
            if file.fragments:
                segment, _ = file.row()
                self._notify(self, SegmentWritten(segment, str(segment_path(file.stream, file.start_us)), file.proof))
            elif file.path is not None:
                self.files.unlink(file.path)

    def _sync_file(self, file: SegmentFile) -> None:
        """Makes the file's content and its directory entries durable, before a row names it (I4, I5)."""
        assert file.path is not None
        file.unsynced_since = None
        if not file.folders_synced:
            sync_folders(self.files, file.path.parent, self.directory)
            file.folders_synced = True
        fragments = len(file.totals)
        self.files.sync_data(file.fd)
        file.synced = fragments


def is_full(error: OSError | sqlite3.Error) -> bool:
    """Whether room is all that is missing."""
    if isinstance(error, OSError):
        return error.errno in FULL
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
