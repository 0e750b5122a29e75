"""The access-unit message: the one shape of a frame, live or recorded, everywhere in the mesh.

A msgpack array whose integers all have fixed width, so that it is packed and unpacked with `struct`:

    [version, flags, codec, epoch, sequence, pts_90k, dts_90k, capture_us, uncertainty_us, clock, extradata, payload]

The last two are ``bin 16`` and ``bin 32``. The payload of H.264 and H.265 is NAL units behind 4-byte big-endian lengths
(ISO/IEC 14496-15), with the parameter sets in front of every keyframe; of MJPEG one JPEG; of audio one frame. The
extradata of AAC is its AudioSpecificConfig; of G.711 four bytes of sample rate and one of channels, or nothing where
they are 8 kHz and one.
"""

from collections.abc import Sequence
from enum import IntEnum, IntFlag
from struct import Struct
from struct import error as struct_error
from typing import Final, NamedTuple

from services.contracts.errors import PantauError

VERSION: Final = 1
MAX_PAYLOAD_BYTES: Final = 8 * 1024 * 1024 - 4096
"""The largest payload that is published: nats-server's ``max_payload`` less room for the header."""


class FrameError(PantauError):
    """The bytes are not an access-unit message, or the frame does not fit into one."""

    code = "bad-frame"
    status = 502


class Codec(IntEnum):
    """Codecs under FFmpeg's names. The numbers are the wire's: never reused."""

    H264 = 1
    HEVC = 2
    MJPEG = 3
    PCM_ALAW = 16
    PCM_MULAW = 17
    AAC = 18
    OPUS = 19

    @property
    def ffmpeg_name(self) -> str:
        """As in `services.media.codecs`."""
        return self.name.lower()

    @classmethod
    def of(cls, ffmpeg_name: str) -> "Codec":
        """The codec of that name. Raises `KeyError`."""
        return cls[ffmpeg_name.upper()]

    @property
    def is_video(self) -> bool:
        """Video codecs come first in the numbering."""
        return self < 16


class Flags(IntFlag):
    """Facts that a consumer needs without reading the payload."""

    NONE = 0
    KEYFRAME = 1
    DISCONTINUITY = 2
    """First frame of a new run: the source was opened anew, or its parameters changed. Holes before it are no loss."""
    DISPOSABLE = 4
    """No other frame refers to this one (nal_ref_idc 0): it is dropped first when a viewer is slow."""
    DAMAGED = 8
    """Something of it was lost on its way from the camera, or of a frame that it may refer to: up to the next whole
    keyframe every frame is marked. It may decode, and is not to be taken for what the camera saw."""


# Plain integers: an enum's operators take microseconds, and these run for each frame.
_KEYFRAME: Final = int(Flags.KEYFRAME)
_DISCONTINUITY: Final = int(Flags.DISCONTINUITY)
_DAMAGED: Final = int(Flags.DAMAGED)


class CaptureClockSource(IntEnum):
    """Where a frame's capture time comes from."""

    ARRIVAL = 0
    RTCP = 1


class AccessUnit(NamedTuple):
    """One frame of one profile of one camera, in decoding order."""

    flags: Flags
    codec: Codec
    epoch: int
    """The assignment's epoch (u32): grows whenever a camera passes to another ingest."""
    sequence: int
    """Grows by one a frame within an epoch (u64); starts anywhere."""
    pts_90k: int
    """Presentation time, 90 kHz, monotonic in decoding order except for B-frames; its origin is arbitrary."""
    dts_90k: int
    """Decoding time, 90 kHz, strictly growing within a run."""
    capture_us: int
    """When the picture was taken: Unix time, UTC, microseconds."""
    uncertainty_us: int
    """Half-width of the interval around ``capture_us`` (u32)."""
    clock: CaptureClockSource
    payload: bytes
    extradata: bytes = b""

    @property
    def keyframe(self) -> bool:
        """Whether decoding can begin here."""
        return int(self.flags) & _KEYFRAME != 0

    @property
    def discontinuity(self) -> bool:
        """Whether a new run begins here."""
        return int(self.flags) & _DISCONTINUITY != 0

    @property
    def damaged(self) -> bool:
        """Whether it is marked as damaged."""
        return int(self.flags) & _DAMAGED != 0

    @property
    def order(self) -> tuple[int, int]:
        """The order of frames: it grows from frame to frame, over fail-overs, too."""
        return self.epoch, self.sequence


# fixarray(12), then each value behind its type byte: u8, u8, u8, u32, u64, i64, i64, i64, u32, u8, bin16 length.
_HEAD: Final = Struct(">BBBBBBBBIBQBqBqBqBIBBBH")
_PAYLOAD_HEAD: Final = Struct(">BI")
HEADER_BYTES: Final = _HEAD.size + _PAYLOAD_HEAD.size

_ARRAY12, _U8, _U32, _U64, _I64, _BIN16, _BIN32 = 0x9C, 0xCC, 0xCE, 0xCF, 0xD3, 0xC5, 0xC6
_CODECS: Final = {int(codec): codec for codec in Codec}
_PICTURE_CODECS: Final = frozenset(int(codec) for codec in Codec if codec.is_video)
_FLAGS: Final = tuple(Flags(bits) for bits in range(16))
_CLOCKS: Final = {int(clock): clock for clock in CaptureClockSource}


def encode(unit: AccessUnit) -> bytes:
    """The message for ``unit``. Raises `FrameError` as `encode_fields` does."""
    return encode_fields(*unit)


def encode_fields(
    flags: int, codec: int, epoch: int, sequence: int, pts: int, dts: int,
    capture: int, uncertainty: int, clock: int, payload: bytes, extradata: bytes = b"",
) -> bytes:  # fmt: skip
    """The message for an `AccessUnit` of these fields, which need not be made first: ingest has them apart.

    Raises `FrameError` where the payload is larger than `MAX_PAYLOAD_BYTES`; such a frame is not split.
    """
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise FrameError(f"a frame of {len(payload)} bytes is over the bus's limit of {MAX_PAYLOAD_BYTES}")
    head = _HEAD.pack(
        _ARRAY12, _U8, VERSION, _U8, flags, _U8, codec, _U32, epoch, _U64, sequence, _I64, pts, _I64, dts,
        _I64, capture, _U32, min(uncertainty, 0xFFFFFFFF), _U8, clock, _BIN16, len(extradata),
    )  # fmt: skip
    return b"".join((head, extradata, _PAYLOAD_HEAD.pack(_BIN32, len(payload)), payload))


def decode(message: bytes) -> AccessUnit:
    """The access unit in ``message``.

    Raises `FrameError` for bytes that `encode` does not write, and for an unknown version.
    """
    try:
        (array, _, version, _, flags, _, codec, _, epoch, _, sequence, _, pts, _, dts,
         _, capture, _, uncertainty, _, clock, _, extradata_length) = _HEAD.unpack_from(message)  # fmt: skip
        if array != _ARRAY12 or version != VERSION:
            raise FrameError(f"not an access-unit message of version {VERSION} (begins {message[:4].hex()})")
        payload_at = _HEAD.size + extradata_length
        kind, length = _PAYLOAD_HEAD.unpack_from(message, payload_at)
        if kind != _BIN32 or payload_at + _PAYLOAD_HEAD.size + length != len(message):
            raise FrameError(f"an access-unit message of {len(message)} bytes is cut or has a tail")
        return AccessUnit(
            _FLAGS[flags & 15], _CODECS[codec], epoch, sequence, pts, dts, capture, uncertainty, _CLOCKS[clock],
            message[payload_at + _PAYLOAD_HEAD.size :], message[_HEAD.size : payload_at],
        )  # fmt: skip
    except (struct_error, KeyError) as error:
        raise FrameError(f"not an access-unit message: {error}") from error


class PictureRun:
    """Pictures of a codec and an epoch that follow each other, by column. None is a keyframe or begins a run.

    A tenth of what an `AccessUnit` of each would cost.
    """

    __slots__ = (
        "capture_us", "clocks", "codec", "dts_90k", "epoch", "first", "flags", "payloads", "pts_90k", "uncertainty_us",
    )  # fmt: skip

    def __init__(
        self,
        codec: int,
        epoch: int,
        first: int,
        payloads: Sequence[memoryview],
        flags: Sequence[int],
        pts_90k: Sequence[int],
        dts_90k: Sequence[int],
        capture_us: Sequence[int],
        uncertainty_us: Sequence[int],
        clocks: Sequence[int],
    ) -> None:
        self.codec = codec
        self.epoch = epoch
        self.first = first
        """Sequence of the first picture."""
        self.payloads = payloads
        self.flags = flags
        self.pts_90k = pts_90k
        self.dts_90k = dts_90k
        self.capture_us = capture_us
        self.uncertainty_us = uncertainty_us
        self.clocks = clocks

    def __len__(self) -> int:
        return len(self.payloads)

    def order(self, at: int) -> tuple[int, int]:
        """As `AccessUnit.order`, of the picture at that place; -1 is the one before the first."""
        return self.epoch, self.first + at

    def unit(self, at: int) -> AccessUnit:
        """The picture at that place."""
        return AccessUnit(
            _FLAGS[self.flags[at] & 15], _CODECS[self.codec], self.epoch, self.first + at, self.pts_90k[at],
            self.dts_90k[at], self.capture_us[at], self.uncertainty_us[at], _CLOCKS[self.clocks[at]],
            bytes(self.payloads[at]),
        )  # fmt: skip

    def behind(self, count: int) -> "PictureRun":
        """It without its first ``count`` pictures."""
        return PictureRun(
            self.codec, self.epoch, self.first + count, self.payloads[count:], self.flags[count:], self.pts_90k[count:],
            self.dts_90k[count:], self.capture_us[count:], self.uncertainty_us[count:], self.clocks[count:],
        )  # fmt: skip

    @property
    def damaged(self) -> Sequence[bool]:
        """As `AccessUnit.damaged`, of each."""
        return [flags & _DAMAGED != 0 for flags in self.flags]


# What _HEAD and _PAYLOAD_HEAD hold together, without the type bytes, where there is no extradata.
_PICTURE: Final = Struct(">BxBxBxBxIxQxqxqxqxIxBxHBI")
INBOX_PICTURES: Final = 64
INBOX_PAYLOAD_BYTES: Final = 256 * 1024
_Row = tuple[memoryview, int, int, int, int, int, int]


class PictureInbox:
    """Pictures that have come and follow each other, until they are looked at together. None begins anything.

    `services.mesh.kernel.inbox` has one that C fills, with the same pictures.
    """

    def __init__(self) -> None:
        self._rows: list[_Row] = []
        self._payload_bytes = 0
        self._codec = self._epoch = self._first = 0

    def put(self, message: bytes) -> bool:
        """Takes an access-unit message, or returns False: it begins something, does not follow, has extradata, is one
        that `decode` refuses, or finds no room."""
        try:
            (array, version, flags, codec, epoch, sequence, pts, dts, capture, uncertainty, clock, extras, kind,
             length) = _PICTURE.unpack_from(message)  # fmt: skip
        except struct_error:
            return False
        if (
            array != _ARRAY12
            or version != VERSION
            or flags & (_KEYFRAME | _DISCONTINUITY)
            or codec not in _PICTURE_CODECS
            or clock not in _CLOCKS
            or extras
            or kind != _BIN32
            or length + HEADER_BYTES != len(message)
            or len(self._rows) == INBOX_PICTURES
            or length > INBOX_PAYLOAD_BYTES - self._payload_bytes
        ):
            return False
        if not self._rows:
            self._codec, self._epoch, self._first = codec, epoch, sequence
        elif (codec, epoch, sequence) != (self._codec, self._epoch, self._first + len(self._rows)):
            return False
        self._rows.append((memoryview(message)[HEADER_BYTES:], flags, pts, dts, capture, uncertainty, clock))
        self._payload_bytes += length
        return True

    def take(self) -> PictureRun | None:
        """All that it has, which it has no more; None: nothing."""
        rows, self._rows, self._payload_bytes = self._rows, [], 0
        if not rows:
            return None
        return PictureRun(self._codec, self._epoch, self._first, *zip(*rows, strict=True))

    @property
    def newest(self) -> tuple[int, int]:
        """As `AccessUnit.order`, of its last picture; (-1, -1) where it has none."""
        return (self._epoch, self._first + len(self._rows) - 1) if self._rows else (-1, -1)


_FLAGS_AT: Final = 4
_CODEC_AT: Final = 6
_FIRST_SOUND: Final = 16
_ORDER: Final = Struct(">IxQ")
_ORDER_AT: Final = 8
_CAPTURE: Final = Struct(">q")
_CAPTURE_AT: Final = 40


def is_picture(message: bytes) -> bool:
    """Whether a message that `encode` made is a picture's. It and the next three look at single bytes alone."""
    return message[_CODEC_AT] < _FIRST_SOUND


def begins_gop(message: bytes) -> bool:
    """Whether it is a keyframe's."""
    return message[_CODEC_AT] < _FIRST_SOUND and message[_FLAGS_AT] & _KEYFRAME != 0


def order_of(message: bytes) -> tuple[int, int]:
    """Its epoch and sequence."""
    epoch, sequence = _ORDER.unpack_from(message, _ORDER_AT)
    return epoch, sequence


def capture_us_of(message: bytes) -> int:
    """Its capture time."""
    return int(_CAPTURE.unpack_from(message, _CAPTURE_AT)[0])


class SequenceTracker:
    """Counts lost frames. It takes the order of each frame, as they arrive.

    ``lost`` counts the frames that were published in this run and never came.
    """

    __slots__ = ("_epoch", "_sequence", "lost")

    def __init__(self) -> None:
        self.lost = 0
        self._epoch = -1
        self._sequence = -1

    def accept(self, unit: AccessUnit) -> bool:
        """Whether ``unit`` is newer than all before; counts the hole before it."""
        if unit.order <= (self._epoch, self._sequence):
            return False
        if unit.epoch == self._epoch and not int(unit.flags) & _DISCONTINUITY:
            self.lost += unit.sequence - self._sequence - 1
        self._epoch, self._sequence = unit.order
        return True

    def accept_up_to(self, order: tuple[int, int]) -> None:
        """Frames came of which each follows the one before, the first of them the last that was accepted.

        ``order``: of the last of them.
        """
        self._epoch, self._sequence = order
