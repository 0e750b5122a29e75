"""Compares the recordings on disk with the index, both ways. Blocks.

Findings are reported. With ``repair`` the index is made to agree with the files; the only change to a file is that a
tail without footage is cut. Files that are no segments are reported and left alone.
"""

import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from enum import StrEnum
from pathlib import Path
from typing import Final, NamedTuple

from services.recorder.storage.files import Files, OsFiles
from services.recorder.storage.identity import DirectoryTakenError, lock
from services.recorder.storage.index import Index
from services.recorder.storage.key import read_key, read_keys
from services.recorder.storage.paths import INDEX, NEW_SUFFIX, RECORDINGS, RecordedStream, parse_path, segment_path
from services.recorder.storage.proof import Signer
from services.recorder.storage.recovery import finish, recover, settle
from services.recorder.storage.rows import OpenSeals, Segment, SegmentState, Signing
from services.recorder.storage.scan import SegmentScan, scan
from services.recorder.storage.vouching import judge

_OURS: Final = (INDEX, f"{INDEX}-wal", f"{INDEX}-shm")


class FsckKind(StrEnum):
    """What can be wrong."""

    UNKNOWN_FILE = "unknown-file"
    """A segment that no row names."""
    MISSING_FILE = "missing-file"
    """A row whose file is not there."""
    ROW_DIFFERS = "row-differs"
    RUNS_DIFFER = "runs-differ"
    """What the timeline shows of a stream is not what its segments join to."""
    BAD_SIGNATURE = "bad-signature"
    """A segment is not what its recorder recorded: it is never signed, and evidence leaves it out."""
    UNVOUCHED = "unvouched"
    """A segment that a power cut left and the index knows too little of: nobody can tell whether it is what was
    recorded. It plays, is never signed, and evidence leaves it out."""
    TAIL = "tail"
    """Bytes behind the last seal."""
    NO_FOOTAGE = "no-footage"
    """A segment's file in which nothing can be played."""
    UNSETTLED = "unsettled"
    """An operation that was interrupted: recovery at the next start finishes it."""
    LEFTOVER = "leftover"
    """A file of an interrupted replacement."""
    FOREIGN = "foreign"
    """Not ours."""
    BAD_INDEX = "bad-index"


class FsckFinding(NamedTuple):
    """One thing that is wrong."""

    kind: FsckKind
    path: str
    """Below ``recordings/``."""
    detail: str
    repaired: bool = False


class FsckReport(NamedTuple):
    """The outcome for one directory."""

    directory: Path
    segments: int
    """Files that were looked into."""
    signed: Mapping[str, int]
    """How many of them each key has signed, by its short name. The empty name counts those without a signature, which
    are signed when evidence is asked for."""
    findings: tuple[FsckFinding, ...]
    running: bool
    """A recorder is using the directory; its open segments were left out."""

    @property
    def clean(self) -> bool:
        """Whether everything is in order now, but for what nobody can mend: foreign files, and power cuts' doubts."""
        told = (FsckKind.FOREIGN, FsckKind.UNVOUCHED)
        return all(finding.repaired or finding.kind in told for finding in self.findings)


class NoRecordingsError(ValueError):
    """There are no recordings in this directory."""


def check(directory: Path, *, repair: bool = False, verify: bool = False, files: Files | None = None) -> FsckReport:
    """Checks one data directory: rows, runs, seals' order and signatures; ``verify`` also reads every byte.

    Raises `NoRecordingsError`, `DirectoryTakenError` where ``repair`` is wanted while a recorder runs, ``OSError``,
    ``sqlite3.Error``.
    """
    recordings = directory / RECORDINGS
    if not recordings.is_dir():
        raise NoRecordingsError(f"there are no recordings in {directory}")
    try:
        held: int | None = lock(directory)
    except DirectoryTakenError:
        if repair:
            raise
        held = None
    files = files or OsFiles()
    try:
        findings = list(_check_index(recordings, repair))
        if findings and not repair:
            return FsckReport(directory, 0, {}, tuple(findings), held is None)
        checking = _DirectoryCheck(recordings, files, repair=repair, verify=verify, alone=held is not None)
        opened = Index.open(recordings / INDEX, durable=True) if repair else _reading(recordings)
        with closing(opened) as index:
            findings += checking.run(index)
        return FsckReport(directory, checking.segments, checking.signed, tuple(findings), held is None)
    finally:
        if held is not None:
            files.close(held)


def _reading(recordings: Path) -> Index:
    return Index.open_for_reading(recordings / INDEX)


def _check_index(recordings: Path, repair: bool) -> Iterator[FsckFinding]:
    """SQLite's own check; a damaged index is moved aside and rebuilt."""
    path = recordings / INDEX
    if not path.exists():
        yield FsckFinding(FsckKind.BAD_INDEX, INDEX, "missing", repair)
        return
    try:
        with closing(Index.open_for_reading(path)) as index:
            problems = index.problems()
    except sqlite3.DatabaseError as error:
        problems = [str(error)]
    if not problems:
        return
    if repair:
        for name in _OURS:
            if (recordings / name).exists():
                shutil.move(recordings / name, recordings / f"{name}.damaged")
    yield FsckFinding(FsckKind.BAD_INDEX, INDEX, "; ".join(problems), repair)


def _key(directory: Path) -> Signer | None:
    """The recorder's key where it is readable. Unsigned segments are signed when evidence is asked for."""
    try:
        return read_key(directory)
    except (OSError, ValueError):
        return None


class _DirectoryCheck:
    def __init__(self, recordings: Path, files: Files, *, repair: bool, verify: bool, alone: bool) -> None:
        self._recordings = recordings
        self._files = files
        self._repair = repair
        self._verify = verify
        self._alone = alone
        self._signer = _key(recordings.parent) if repair else None
        self._keys = read_keys(recordings.parent)
        self.segments = 0
        self.signed: Counter[str] = Counter()

    def run(self, index: Index) -> Iterator[FsckFinding]:
        yield from self._unsettled(index)
        open_now = {self._path(stream, start_us) for stream, start_us in index.open_segments()}
        streams = {path.relative_to(self._recordings).parts for path in self._recordings.glob("*/*/*") if path.is_dir()}
        for stream in sorted(set(index.streams()) | {RecordedStream(*parts) for parts in streams}):
            yield from self._stream(index, stream, open_now)
        for path in sorted(self._recordings.iterdir()):
            if path.is_file() and path.name not in _OURS:
                yield FsckFinding(FsckKind.FOREIGN, path.name, "not ours")

    def _unsettled(self, index: Index) -> Iterator[FsckFinding]:
        """Interrupted procedures; only checked where no recorder runs, since a running one is carrying them out."""
        if not self._alone:
            return
        waiting = [(self._path(*item), "was open") for item in index.open_segments()]
        for segment in index.unsettled_segments():
            waiting.append((self._path(segment.stream, segment.start_us), segment.state.name.lower()))
        for path, detail in waiting:
            yield FsckFinding(FsckKind.UNSETTLED, str(path.relative_to(self._recordings)), detail, self._repair)
        if waiting and self._repair:
            recover(self._recordings, index, self._files, self._signer, self._keys)

    def _stream(self, index: Index, stream: RecordedStream, open_now: set[Path]) -> Iterator[FsckFinding]:
        rows = {self._path(stream, segment.start_us): segment for segment in index.segments_of(stream)}
        if index.runs_differ(stream):
            if self._repair:
                with index:
                    index.rebuild_runs(stream)
            yield FsckFinding(
                FsckKind.RUNS_DIFFER, str(stream.folder), "the timeline is not what they join to", self._repair
            )
        folder = self._recordings / stream.folder
        present = {path for path in folder.rglob("*") if path.is_file()} if folder.is_dir() else set()
        for path in sorted(present - open_now):
            yield from self._file(index, path, rows.get(path))
        for path in sorted(set(rows) - present):
            if rows[path].state is not SegmentState.CLOSED or self._moved_on(index, path, rows[path]):
                continue
            if self._repair:
                with index:
                    index.forget_segments([rows[path]])
            yield FsckFinding(FsckKind.MISSING_FILE, self._name(path), "a row names it", self._repair)

    def _file(self, index: Index, path: Path, row: Segment | None) -> Iterator[FsckFinding]:
        name = self._name(path)
        if path.name.endswith(NEW_SUFFIX):
            if self._alone:
                if self._repair:
                    self._files.unlink(path)
                yield FsckFinding(FsckKind.LEFTOVER, name, "of an interrupted replacement", self._repair)
            return
        parsed = parse_path(path.relative_to(self._recordings))
        if parsed is None:
            yield FsckFinding(FsckKind.FOREIGN, name, "not ours")
            return
        self.segments += 1
        try:
            found = scan(path, parsed[0], verify=self._verify)
        except FileNotFoundError:
            return  # retention was here meanwhile
        if (row is not None and row.state is not SegmentState.CLOSED) or self._moved_on(index, path, row):
            return
        if found is not None:
            found = self._judged(found, row)
            if found.segment.signed is Signing.ALTERED and self._verify:  # it keeps its row, and every byte
                whole = scan(path, parsed[0], verify=False) or found
                found = whole._replace(segment=whole.segment._replace(signed=Signing.ALTERED))
            yield from self._signature(name, found)
        if found is None:
            if self._repair and row is not None:
                with index:
                    index.forget_segments([row])
            yield FsckFinding(FsckKind.NO_FOOTAGE, name, "nothing in it can be played; the file is left as it is")
        elif row is None:
            if self._repair:
                finished = finish(self._recordings, self._files, *parsed, OpenSeals(), keys=self._keys)
                with index:
                    settle(index, *parsed, finished)
            yield FsckFinding(FsckKind.UNKNOWN_FILE, name, f"{found.segment.frames} pictures", self._repair)
        else:
            yield from self._compare(index, path, row, found)

    def _judged(self, found: SegmentScan, row: Segment | None) -> SegmentScan:
        """With what the file is, by its signature and its row."""
        return found._replace(segment=found.segment._replace(signed=judge(found, row, self._keys)))

    def _signature(self, name: str, found: SegmentScan) -> Iterator[FsckFinding]:
        proof = found.proof
        if found.segment.signed is Signing.UNVOUCHED:
            detail = "left open by a power cut, and the index knows too little of it to vouch for it"
            yield FsckFinding(FsckKind.UNVOUCHED, name, detail)
        elif found.segment.signed is not Signing.ALTERED:
            self.signed[proof.key_id if proof else ""] += 1
        elif proof is None:
            detail = "not signed, and not what was recorded without a signature; the file is left as it is"
            yield FsckFinding(FsckKind.BAD_SIGNATURE, name, detail)
        elif self._keys and proof.public not in self._keys:
            detail = f"signed by {proof.key_id}, which is no key of this recorder's; the file is left as it is"
            yield FsckFinding(FsckKind.BAD_SIGNATURE, name, detail)
        else:
            detail = f"not what {proof.key_id} signed; the file is left as it is"
            yield FsckFinding(FsckKind.BAD_SIGNATURE, name, detail)

    def _compare(self, index: Index, path: Path, row: Segment, found: SegmentScan) -> Iterator[FsckFinding]:
        name = self._name(path)
        altered = found.segment.signed is Signing.ALTERED
        if found.file_bytes > found.sealed_bytes:
            if self._repair and not altered:
                fd = self._files.open(path)
                self._files.truncate(fd, found.sealed_bytes)
                self._files.sync_data(fd)
                self._files.close(fd)
            detail = f"{found.file_bytes - found.sealed_bytes} bytes behind the last fragment whose seal is right"
            yield FsckFinding(FsckKind.TAIL, name, detail, self._repair and not altered)
        said = found.segment._replace(retimed=row.retimed)
        if altered and found.proof is not None:
            said = said._replace(signed=row.signed)  # the file tells it by itself
        differing = [key for key in Segment._fields if getattr(said, key) != getattr(row, key)]
        gops_differ = index.packed_gops(row.stream, row.start_us) != found.gops
        if differing or gops_differ:
            if self._repair:
                with index:
                    index.forget_segments([row])
                    index.put_segment(said, found.gops)
            detail = ", ".join([*differing, *(["keyframe index"] if gops_differ else [])])
            yield FsckFinding(FsckKind.ROW_DIFFERS, name, f"in {detail}", self._repair)

    def _moved_on(self, index: Index, path: Path, row: Segment | None) -> bool:
        """Whether a recorder that runs has changed what is known of the file since the row was read."""
        if self._alone:
            return False
        parsed = parse_path(path.relative_to(self._recordings))
        assert parsed is not None
        stream, start_us = parsed
        now = index.segments_starting(stream, start_us, start_us + 1000)
        is_open = path in {self._path(*item) for item in index.open_segments()}
        return is_open or now != ([row] if row else [])

    def _path(self, stream: RecordedStream, start_us: int) -> Path:
        return self._recordings / segment_path(stream, start_us)

    def _name(self, path: Path) -> str:
        return str(path.relative_to(self._recordings))
