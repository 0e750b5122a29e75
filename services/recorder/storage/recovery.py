"""What happens at the start of a directory, before anything is recorded into it (docs/recording.md, Start)."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from services.mesh.log import get_logger
from services.recorder.storage import orders
from services.recorder.storage.files import Files, append_whole, sync_folders
from services.recorder.storage.index import Index
from services.recorder.storage.paths import NEW_SUFFIX, RecordedStream, hour_folder, parse_path, segment_path
from services.recorder.storage.proof import PROOF_BYTES, Proof, Signer
from services.recorder.storage.rows import OpenSeals, Segment, SegmentState, Signing
from services.recorder.storage.scan import SegmentScan, scan
from services.recorder.storage.share import WHOLE, Share
from services.recorder.storage.vouching import DOUBTFUL_90K, VOUCHED, judge, judge_open

log = get_logger()
_BATCH: Final = 64
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


def recover(
    recordings: Path,
    index: Index,
    files: Files,
    signer: Signer | None = None,
    keys: frozenset[str] = frozenset(),
    *,
    share: Share = WHOLE,
    closed: Callable[[Segment, Proof | None], None] = lambda _segment, _proof: None,
) -> Recovered:
    """Makes files and rows agree after any death. Raises ``OSError``, ``sqlite3.Error``.

    Segments that were never closed are signed by ``signer`` where their seals are those that the index stores; ``keys``
    are the public keys that this recorder ever had. ``closed`` is told of each segment that was left open. Of several
    processes each recovers its ``share``.
    """
    done = Recovered()
    # The process died, not the machine: everything written is there, and only the last write may be torn.
    same_boot = index.get_meta(share.boot_key) == boot_id() != ""
    power_cut = not same_boot
    tail_90k = DOUBTFUL_90K if power_cut else 0
    opened = [item for item in index.open_segments() if share.has(item[0].camera)]
    for start in range(0, len(opened), _BATCH):
        batch = opened[start : start + _BATCH]
        found = [
            finish(
                recordings,
                files,
                *item,
                index.open_seals(*item),
                tail_90k=tail_90k,
                signer=signer,
                keys=keys,
                power_cut=power_cut,
            )
            for item in batch
        ]
        with index:
            for (stream, start_us), each in zip(batch, found, strict=True):
                if each is not None:
                    index.put_positions(stream, orders.of_file(each, index.open_seals(stream, start_us)))
                settle(index, stream, start_us, each)
        for item in found:
            if item is not None:
                closed(item.segment, item.proof)
        done.finished += sum(item is not None for item in found)
        done.empty += sum(item is None for item in found)
    for segment in index.unsettled_segments() if share.is_first else ():
        if segment.state is SegmentState.DELETING:
            files.unlink(recordings / segment.path)
            with index:
                index.forget_segments([segment])
            done.removed += 1
        else:
            _settle(recordings, index, files, segment, keys)
            done.replaced += 1
    _take_in_unknown(recordings, index, files, done, keys, share=share, power_cut=power_cut)
    if done != Recovered():
        log.info("recordings.recovered", directory=str(recordings), **vars(done))
    return done


def finish(
    recordings: Path,
    files: Files,
    stream: RecordedStream,
    start_us: int,
    seals: OpenSeals,
    *,
    tail_90k: int | None = None,
    signer: Signer | None = None,
    keys: frozenset[str] = frozenset(),
    power_cut: bool = False,
) -> SegmentScan | None:
    """Completes a file that was left open: cuts its unsealed tail, signs it and makes it durable. `settle` writes its
    row.

    It is signed only where its last seal is one of ``seals``; else its row says that it is altered. A file without a
    sealed fragment is removed; the result is None then.
    """
    path = recordings / segment_path(stream, start_us)
    try:
        found = scan(path, stream, tail_90k=tail_90k)
    except FileNotFoundError:
        return None
    if found is None:
        files.unlink(path)
        return None
    fd = files.open(path)
    try:
        if found.file_bytes > found.sealed_bytes:
            files.truncate(fd, found.sealed_bytes)
        signing = judge_open(found, seals, keys, power_cut=power_cut)
        if signing not in VOUCHED:
            log.warning("recordings.altered", path=str(path), signing=signing.name.lower())
        found = found._replace(segment=found.segment._replace(signed=signing))
        if signing is Signing.NEVER and signer is not None:
            found = _sign(files, fd, found, signer)
        files.sync_data(fd)
    finally:
        files.close(fd)
    sync_folders(files, path.parent, recordings.parent)
    return found


def _sign(files: Files, fd: int, found: SegmentScan, signer: Signer) -> SegmentScan:
    """Appends the proof; where there is no room the segment stays without one."""
    made = signer.sign(found.statement().to_bytes())
    if not append_whole(files, fd, [made.to_box()], found.sealed_bytes):
        return found
    end = found.sealed_bytes + PROOF_BYTES
    segment = found.segment._replace(size_bytes=end, signed=Signing.SIGNED)
    return found._replace(segment=segment, sealed_bytes=end, file_bytes=end, proof=made)


def settle(index: Index, stream: RecordedStream, start_us: int, found: SegmentScan | None) -> None:
    """Writes down what `finish` found, within a transaction."""
    index.drop_open(stream, start_us)
    if found:
        index.put_segment(found.segment, found.gops)
        if found.gap:
            index.put_gap(found.gap)


def boot_id() -> str:
    """Differs after each start of the machine; empty where that cannot be told."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _settle(recordings: Path, index: Index, files: Files, segment: Segment, keys: frozenset[str]) -> None:
    """Ends an interrupted replacement. The file under the name is whole, old or new, and gives the row."""
    path = recordings / segment.path
    files.unlink(path.with_name(path.name + NEW_SUFFIX))
    try:
        found = scan(path, segment.stream, verify=False)
    except FileNotFoundError:
        found = None
    with index:
        index.forget_segments([segment])
        if found:
            row = found.segment._replace(start_us=segment.start_us, signed=judge(found, segment, keys))
            index.put_segment(row, found.gops)


def _take_in_unknown(
    recordings: Path,
    index: Index,
    files: Files,
    done: Recovered,
    keys: frozenset[str],
    *,
    share: Share,
    power_cut: bool,
) -> None:
    heartbeat_us = int(index.get_meta("heartbeat_us") or 0)
    if not heartbeat_us:
        return
    for stream_folder in recordings.glob("*/*/*"):
        stream = RecordedStream(*stream_folder.relative_to(recordings).parts)
        for hour in range(-1, 2):
            at_us = heartbeat_us + hour * _HOUR_US
            folder = recordings / hour_folder(stream, at_us)
            if not folder.is_dir():
                continue
            if share.is_first:
                for left in folder.glob(f"*{NEW_SUFFIX}"):
                    files.unlink(left)
            if share.has(stream.camera):
                done.unknown += _take_in(
                    recordings, index, files, folder, _names(index, stream, at_us), keys, power_cut=power_cut
                )


def _names(index: Index, stream: RecordedStream, at_us: int) -> set[str]:
    first_us = at_us // _HOUR_US * _HOUR_US
    rows = index.segments_starting(stream, first_us, first_us + _HOUR_US)
    return {segment.path.name for segment in rows}


def _take_in(
    recordings: Path,
    index: Index,
    files: Files,
    folder: Path,
    known: set[str],
    keys: frozenset[str],
    *,
    power_cut: bool,
) -> int:
    unknown = 0
    for path in sorted(folder.iterdir()):
        parsed = parse_path(path.relative_to(recordings))
        if parsed and path.name not in known:
            found = finish(recordings, files, *parsed, OpenSeals(), keys=keys, power_cut=power_cut)
            with index:
                settle(index, *parsed, found)
            unknown += 1
    return unknown
