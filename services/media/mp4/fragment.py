"""Movie fragments: ``prft`` + ``moof`` + ``mdat`` + seal, building and reading (ISO/IEC 14496-12, 8.8 and 8.16.5).

The seal is a ``uuid`` box of ours that ends a fragment: the SHA-256 over the seal before it (or the file's opening) and
the fragment's bytes. A correct seal proves that its fragment is complete, was written by us, and stands in its place.
"""

import hashlib
import struct
import sys
from array import array
from collections.abc import Iterable, Sequence
from struct import Struct
from typing import Final, NamedTuple
from uuid import UUID

from services.media.mp4.boxes import Mp4Error, box, children, first, full_box, u32, u64
from services.media.mp4.samples import Samples

SEAL_UUID: Final = UUID("0d7c3a52-93f1-5d5e-8a44-70616e746175").bytes
LINK_BYTES: Final = 32
SEAL_HEAD: Final = (8 + len(SEAL_UUID) + LINK_BYTES).to_bytes(4, "big") + b"uuid" + SEAL_UUID
"""The bytes before the link in a seal."""
NTP_EPOCH_SECONDS: Final = 2_208_988_800
"""From NTP's epoch to Unix's."""
_CAPTURE_TIME: Final = 24
"""``prft`` flags: the time is that of capture, and consistently so."""

SYNC: Final = 0x02000000
"""sample_depends_on = 2: no other sample is needed."""
NON_SYNC: Final = 0x01010000
"""sample_depends_on = 1 and sample_is_non_sync_sample."""
_NON_SYNC_BIT: Final = 0x00010000
DAMAGED: Final = 0x00000001
"""sample_degradation_priority = 1: something of the picture, or of one that it refers to, was lost before it was
recorded. Players pass over it; ISO/IEC 14496-12, 8.5.3 and 8.8.3.1."""
_PRIORITY_BITS: Final = 0x0000FFFF

# tfhd and trun flags (8.8.7, 8.8.8)
_DEFAULT_DURATION, _DEFAULT_SIZE, _DEFAULT_FLAGS, _BASE_IS_MOOF = 0x8, 0x10, 0x20, 0x20000
_BASE_DATA_OFFSET, _DESCRIPTION_INDEX = 0x1, 0x2
_DATA_OFFSET, _FIRST_FLAGS, _DURATION, _SIZE, _FLAGS, _COMPOSITION = 0x1, 0x4, 0x100, 0x200, 0x400, 0x800

_MAX_SAMPLES: Final = 1 << 20
"""Of a run; a fragment has a few seconds."""

_U32: Final = Struct(">I")
_REFERENCE: Final = Struct(">IIQ")
_REFERENCE_0: Final = Struct(">III")


class Sample(NamedTuple):
    """One sample to be written."""

    data: bytes | memoryview
    duration: int
    """In the track's timescale."""
    composition_offset: int = 0
    """Presentation less decoding time; negative for pictures shown before others that are decoded after them."""
    keyframe: bool = True
    damaged: bool = False
    """Recorded, and not to be taken for what the camera saw (`services.contracts.frames.Flags.DAMAGED`)."""


class TrackRun(NamedTuple):
    """A track's part in a fragment."""

    track_id: int
    base_time: int
    """Decoding time of the first sample, in the track's timescale."""
    samples: Sequence[Sample]


class FragmentInfo(NamedTuple):
    """The content of a fragment."""

    sequence_number: int
    runs: dict[int, Samples]
    """By track id."""


def build(sequence_number: int, capture_us: int, runs: Sequence[TrackRun]) -> list[bytes]:
    """A fragment without its seal, as buffers for one ``writev``: a header, and the samples' data, track after track.

    ``capture_us`` is the capture time of the first track's first sample in presentation.
    """
    runs = [run for run in runs if run.samples]
    if not runs:
        raise Mp4Error("a fragment without samples")
    columns = [describe(run) for run in runs]
    trafs = [_traf(run.track_id, samples) for run, samples in zip(runs, columns, strict=True)]
    moof_bytes = 8 + 16 + sum(map(len, trafs))
    data_at = moof_bytes + 8
    for traf, samples in zip(trafs, columns, strict=True):
        traf.place(data_at)
        data_at += samples.size_bytes
    mdat_bytes = data_at - moof_bytes
    if mdat_bytes > 0xFFFFFFFF:
        raise Mp4Error("a fragment of over 4 GiB")
    head = b"".join(
        (
            producer_reference(runs[0].track_id, capture_us, runs[0].base_time + runs[0].samples[0].composition_offset),
            box(b"moof", full_box(b"mfhd", 0, 0, _U32.pack(sequence_number)), *(traf.data for traf in trafs)),
            _U32.pack(mdat_bytes),
            b"mdat",
        )
    )
    # In one piece, it is hashed and written in one call each, without the interpreter's lock.
    return [head, b"".join([sample.data for run in runs for sample in run.samples])]


def describe(run: TrackRun) -> Samples:
    """What a reader will find of ``run``, with its data at 0; it has samples."""
    data, durations, composition_offsets, keyframes, damages = zip(*run.samples, strict=True)
    return Samples(
        0, run.base_time, array("I", map(len, data)), array("I", durations), array("i", composition_offsets),
        array("I", keyframes), array("I", damages),
    )  # fmt: skip


def link(previous: bytes, parts: Iterable[bytes]) -> bytes:
    """The chain's next link: SHA-256 over the previous link and the new bytes (an opening's previous link is empty)."""
    digest = hashlib.sha256(previous)
    for part in parts:
        digest.update(part)
    return digest.digest()


def seal(chain_link: bytes) -> bytes:
    """The box that ends a fragment."""
    return SEAL_HEAD + chain_link


def producer_reference(track_id: int, capture_us: int, media_time: int) -> bytes:
    """``prft``: the sample presented at ``media_time`` was captured at ``capture_us``."""
    seconds, micros = divmod(capture_us, 1_000_000)
    ntp = (seconds + NTP_EPOCH_SECONDS) % (1 << 32) << 32 | (micros << 32) // 1_000_000
    return full_box(
        b"prft", 1, _CAPTURE_TIME, _U32.pack(track_id), ntp.to_bytes(8, "big"), max(media_time, 0).to_bytes(8, "big")
    )


def parse_producer_reference(data: bytes) -> tuple[int, int]:
    """Capture time (Unix µs) and media time of the content of a ``prft`` box."""
    try:
        seconds, fraction, media_time = (_REFERENCE if data[0] == 1 else _REFERENCE_0).unpack_from(data, 8)
    except (IndexError, struct.error) as error:
        raise Mp4Error("a box ends too early") from error
    # Rounded up: the fraction was rounded down when it was written.
    return (seconds - NTP_EPOCH_SECONDS) * 1_000_000 - (-fraction * 1_000_000 >> 32), media_time


class _Traf:
    """A ``traf`` box."""

    def __init__(self, data: bytes, offset_at: int) -> None:
        self.data = data
        self._offset_at = offset_at

    def __len__(self) -> int:
        return len(self.data)

    def place(self, data_at: int) -> None:
        """Its data is so far from the beginning of the ``moof``."""
        at = self._offset_at
        self.data = self.data[:at] + _U32.pack(data_at) + self.data[at + _U32.size :]


def _traf(track_id: int, samples: Samples) -> _Traf:
    count = len(samples)
    flags = array("I", [
        (SYNC if keyframe else NON_SYNC) | DAMAGED * damaged
        for keyframe, damaged in zip(samples.keyframes, samples.damages, strict=True)
    ])  # fmt: skip
    head_flags, head = _BASE_IS_MOOF | _DEFAULT_FLAGS, [_U32.pack(track_id)]
    run_flags = _DATA_OFFSET | _SIZE
    columns = [samples.sizes_bytes]
    if samples.durations.count(samples.durations[0]) == count:
        head_flags |= _DEFAULT_DURATION
        head.append(_U32.pack(samples.durations[0]))
    else:
        run_flags |= _DURATION
        columns.insert(0, samples.durations)
    head.append(_U32.pack(flags[-1]))
    first_flags = b""
    if flags[1:].count(flags[-1]) < count - 1:
        run_flags |= _FLAGS
        columns.append(flags)
    elif flags[0] != flags[-1]:
        run_flags |= _FIRST_FLAGS
        first_flags = _U32.pack(flags[0])
    if any(samples.composition_offsets):
        run_flags |= _COMPOSITION
        columns.append(array("I", samples.composition_offsets.tobytes()))
    fields = array("I", bytes(4 * count * len(columns)))
    for index, column in enumerate(columns):
        fields[index :: len(columns)] = column
    if sys.byteorder == "little":
        fields.byteswap()
    behind = first_flags + fields.tobytes()
    traf = box(
        b"traf",
        full_box(b"tfhd", 0, head_flags, *head),
        full_box(b"tfdt", 1, 0, samples.time.to_bytes(8, "big")),
        full_box(b"trun", 1, run_flags, _U32.pack(count), _U32.pack(0), behind),
    )
    return _Traf(traf, len(traf) - len(behind) - _U32.size)


def parse_moof(moof: bytes) -> FragmentInfo:
    """Read the content of a ``moof`` box (without its header). Raises `Mp4Error`."""
    boxes = list(children(moof))
    number = u32(moof, first(boxes, b"mfhd").start + 4)
    runs: dict[int, Samples] = {}
    for traf in boxes:
        if traf.kind != b"traf":
            continue
        parts = list(children(moof, traf.start, traf.end))
        tfhd, tfdt = first(parts, b"tfhd"), first(parts, b"tfdt")
        flags, at = u32(moof, tfhd.start) & 0xFFFFFF, tfhd.start + 8
        if flags & _BASE_DATA_OFFSET or not flags & _BASE_IS_MOOF:
            raise Mp4Error("a fragment whose data is not addressed from its own beginning")
        at += 4 if flags & _DESCRIPTION_INDEX else 0
        defaults = []
        for bit in (_DEFAULT_DURATION, _DEFAULT_SIZE, _DEFAULT_FLAGS):
            defaults.append(u32(moof, at) if flags & bit else 0)
            at += 4 if flags & bit else 0
        time = u64(moof, tfdt.start + 4) if moof[tfdt.start] == 1 else u32(moof, tfdt.start + 4)
        track = u32(moof, tfhd.start + 4)
        for trun in parts:
            if trun.kind == b"trun":
                if track in runs:
                    raise Mp4Error("a fragment with more than one run of a track")
                runs[track] = _read_run(moof, trun.start, trun.end, defaults, time)
    return FragmentInfo(number, runs)


def _read_run(moof: bytes, start: int, end: int, defaults: Sequence[int], time: int) -> Samples:
    flags, count, at = u32(moof, start) & 0xFFFFFF, u32(moof, start + 4), start + 8
    if not flags & _DATA_OFFSET:
        raise Mp4Error("a run without a data offset")
    offset, at = u32(moof, at), at + 4
    first_flags = None
    if flags & _FIRST_FLAGS:
        first_flags, at = u32(moof, at), at + 4
    per_sample = [bit for bit in (_DURATION, _SIZE, _FLAGS, _COMPOSITION) if flags & bit]
    size_bytes = 4 * count * len(per_sample)
    if at + size_bytes > end or count > _MAX_SAMPLES:
        raise Mp4Error("a run is longer than its box")
    fields = array("I", moof[at : at + size_bytes])
    if sys.byteorder == "little":
        fields.byteswap()
    columns = {bit: fields[index :: len(per_sample)] for index, bit in enumerate(per_sample)}

    def column(bit: int, default: int) -> "array[int]":
        return columns[bit] if bit in columns else array("I", (default,)) * count

    if _FLAGS in columns:
        keyframes = array("I", map(_is_sync, columns[_FLAGS]))
        damages = array("I", map(_is_damaged, columns[_FLAGS]))
    else:
        keyframes = column(_FLAGS, _is_sync(defaults[2]))
        damages = column(_FLAGS, _is_damaged(defaults[2]))
    if first_flags is not None and count:
        keyframes[0], damages[0] = _is_sync(first_flags), _is_damaged(first_flags)
    compositions = array("i", column(_COMPOSITION, 0).tobytes())
    return Samples(
        offset, time, column(_SIZE, defaults[1]), column(_DURATION, defaults[0]), compositions, keyframes, damages
    )


def _is_sync(sample_flags: int) -> bool:
    return not sample_flags & _NON_SYNC_BIT


def _is_damaged(sample_flags: int) -> bool:
    return sample_flags & _PRIORITY_BITS == DAMAGED
