"""What happens at the start of a directory, before anything is recorded into it (docs/recording.md, Start)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from services.mesh.log import get_logger
from services.recorder.files import Files
from services.recorder.index import Index, Segment, State
from services.recorder.paths import NEW_SUFFIX, Stream, hour_folder, parse_path, segment_path
from services.recorder.scan import scan

log = get_logger()
_HOUR_US: Final = 3600 * 1_000_000


@dataclass
class Recovered:
    """What was found and done."""

    finished: int = 0
    """Open segments that were cut to their last seal and closed."""
    empty: int = 0
    """Open segments without footage, removed."""
    unknown: int = 0
    """Files without a row, taken in."""
    removed: int = 0
    """Removals that were finished."""
    replaced: int = 0
    """Replacements whose outcome was written down."""


def recover(recordings: Path, index: Index, files: Files) -> Recovered:
    """Brings files and rows together again after any death. Raises ``OSError``, ``sqlite3.Error``."""
    done = Recovered()
    for stream, start_us in index.open_segments():
        if finish(recordings, index, files, stream, start_us):
            done.finished += 1
        else:
            done.empty += 1
    for segment in index.select("state = ?", (State.DELETING,)):
        files.unlink(recordings / segment_path(segment.stream, segment.start_us))
        with index:
            index.forget([segment])
        done.removed += 1
    for segment in index.select("state = ?", (State.REPLACING,)):
        _settle(recordings, index, files, segment)
        done.replaced += 1
    _take_in_unknown(recordings, index, files, done)
    if done != Recovered():
        log.info("recordings.recovered", directory=str(recordings), **vars(done))
    return done


def finish(recordings: Path, index: Index, files: Files, stream: Stream, start_us: int) -> Segment | None:
    """Closes a file that was left open: cuts what is not sealed, or removes it, and returns None, where nothing is."""
    path = recordings / segment_path(stream, start_us)
    try:
        found = scan(path, stream)
    except FileNotFoundError:
        found = None
    if found is None:
        files.unlink(path)
        with index:
            index.drop_open(stream, start_us)
        return None
    fd = files.open(path)
    try:
        if found.file_bytes > found.sealed_bytes:
            files.truncate(fd, found.sealed_bytes)
        files.sync_data(fd)
    finally:
        files.close(fd)
    files.sync_folder(path.parent)
    with index:
        # The file's name has whole ms, the first fragment says the rest.
        index.drop_open(stream, start_us)
        index.put_segment(found.segment, found.gops)
        if found.gap:
            index.put_gap(found.gap)
    return found.segment


def _settle(recordings: Path, index: Index, files: Files, segment: Segment) -> None:
    """A replacement was under way: whichever file is there is whole, and says what it is."""
    path = recordings / segment_path(segment.stream, segment.start_us)
    files.unlink(path.with_name(path.name + NEW_SUFFIX))
    try:
        found = scan(path, segment.stream, verify=False)
    except FileNotFoundError:
        found = None
    with index:
        index.forget([segment])
        if found:
            index.put_segment(found.segment._replace(start_us=segment.start_us), found.gops)


def _take_in_unknown(recordings: Path, index: Index, files: Files, done: Recovered) -> None:
    heartbeat_us = int(index.get("heartbeat_us") or 0)
    if not heartbeat_us:
        return
    for stream_folder in recordings.glob("*/*/*"):
        stream = Stream(*stream_folder.relative_to(recordings).parts)
        for hour in range(-1, 2):
            at_us = heartbeat_us + hour * _HOUR_US
            folder = recordings / hour_folder(stream, at_us)
            if folder.is_dir():
                done.unknown += _take_in(recordings, index, files, folder, _names(index, stream, at_us))


def _names(index: Index, stream: Stream, at_us: int) -> set[str]:
    first_us = at_us // _HOUR_US * _HOUR_US
    rows = index.select(
        "stream_id = ? AND start_us >= ? AND start_us < ?",
        (index.find_stream(stream) or 0, first_us, first_us + _HOUR_US),
    )
    return {segment_path(stream, segment.start_us).name for segment in rows}


def _take_in(recordings: Path, index: Index, files: Files, folder: Path, known: set[str]) -> int:
    unknown = 0
    for path in sorted(folder.iterdir()):
        parsed = parse_path(path.relative_to(recordings))
        if path.name.endswith(NEW_SUFFIX):
            files.unlink(path)
        elif parsed and path.name not in known:
            finish(recordings, index, files, *parsed)
            unknown += 1
    return unknown
