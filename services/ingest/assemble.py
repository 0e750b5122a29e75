"""From a source's packets to the mesh's access units: framing, parameter sets, keyframes, and holding back.

Nothing is handed on before a decoder could begin with it, and parameter sets stand in front of every keyframe, wherever
the source had them: in its description, in the stream, or in both.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

from services.ingest.adts import is_adts, split_adts
from services.ingest.reader import Track
from services.media import h264, h265, jpeg
from services.media.nal import (
    START_CODE,
    BitReader,
    BitstreamError,
    join_length_prefixed,
    split_annex_b,
    split_length_prefixed,
    unescape,
)
from services.mesh.frames import Codec

MAX_NAL_UNITS: Final = 4096
"""More start codes in one access unit are garbage; splitting them would hold up every other camera."""
_LEAST_UNIT_BYTES: Final = 4


class Shape(NamedTuple):
    """What the parameter sets or headers say of the pictures."""

    width_px: int = 0
    height_px: int = 0
    frame_rate: float | None = None
    reorder: int | None = 0
    """Pictures that may precede an earlier one when shown; None: unsaid."""


class Unit(NamedTuple):
    """One access unit, ready for the bus but for its times."""

    payload: bytes
    keyframe: bool
    disposable: bool = False
    new_parameters: bool = False
    """The parameters differ from those of the keyframe before: a new run begins."""
    extradata: bytes = b""
    slice: bytes = b""
    """The first slice, for `Assembler.is_b_picture`."""


class Assembler(Protocol):
    """Assembles one track of one run."""

    shape: Shape

    def assemble(self, data: bytes) -> Sequence[Unit]:
        """The access units in a packet: none while holding back. Raises `BitstreamError` for a broken packet."""

    def is_b_picture(self, unit: Unit) -> bool:
        """Whether ``unit`` may by right be shown before one that came earlier."""


def assembler(track: Track) -> Assembler:
    """The assembler for ``track``."""
    if track.codec is Codec.H264:
        return H264Assembler(track.extradata)
    if track.codec is Codec.HEVC:
        return HevcAssembler(track.extradata)
    if track.codec is Codec.MJPEG:
        return JpegAssembler()
    return AudioAssembler(track)


class JpegAssembler:
    """MJPEG: every picture stands alone."""

    def __init__(self) -> None:
        self.shape = Shape()

    def assemble(self, data: bytes) -> Sequence[Unit]:
        """See `Assembler.assemble`."""
        width, height = jpeg.size_px(data)
        new = (width, height) != (self.shape.width_px, self.shape.height_px)
        changed = new and self.shape.width_px != 0
        if new:
            self.shape = Shape(width, height)
        return (Unit(data, keyframe=True, new_parameters=changed),)

    def is_b_picture(self, unit: Unit) -> bool:
        """MJPEG has none."""
        return False


class AudioAssembler:
    """Audio: every frame stands alone. AAC is freed of ADTS headers."""

    def __init__(self, track: Track) -> None:
        self.shape = Shape()
        self._aac = track.codec is Codec.AAC
        self._config = track.extradata if self._aac else b""

    def assemble(self, data: bytes) -> Sequence[Unit]:
        """See `Assembler.assemble`."""
        if not self._aac:
            return (Unit(data, keyframe=True),)
        if not is_adts(data):
            if not self._config:
                raise BitstreamError("AAC without an AudioSpecificConfig")
            return (Unit(data, keyframe=True, extradata=self._config),)
        units = []
        for frame in split_adts(data):
            changed = self._config not in (b"", frame.config)
            self._config = frame.config
            units.append(Unit(frame.payload, keyframe=True, new_parameters=changed, extradata=frame.config))
        return units

    def is_b_picture(self, unit: Unit) -> bool:
        """Audio has none."""
        return False


class _Sets:
    """The parameter sets in force, by kind and id, in the order in which a decoder wants them."""

    def __init__(self) -> None:
        self._sets: dict[tuple[int, int], bytes] = {}

    def learn(self, found: dict[tuple[int, int], bytes], *, complete: bool) -> None:
        """Takes what an access unit brought: with all kinds in it, it replaces what was known."""
        if complete:
            self._sets = {}
        self._sets.update(found)

    def of_kind(self, kind: int) -> tuple[bytes, ...]:
        """Those of one NAL unit type."""
        return tuple(unit for (unit_kind, _), unit in self._sets.items() if unit_kind == kind)

    def ordered(self) -> list[bytes]:
        """VPS, SPS, PPS: their NAL unit types grow in this order in both codecs."""
        return [unit for _, unit in sorted(self._sets.items(), key=lambda item: item[0])]


class _NalAssembler:
    """What H.264 and H.265 have in common."""

    kinds: tuple[int, ...]
    """NAL unit types of the parameter sets that a decoder needs."""
    sps_kind: int
    dropped: frozenset[int]
    """Delimiters and filler: nothing that a decoder needs."""

    def __init__(self, extradata: bytes) -> None:
        self.shape = Shape(reorder=None)
        self._sets = _Sets()
        self._length_size = 0
        self._holding = True
        self._active_sps: tuple[bytes, ...] = ()
        if extradata:
            self._declared(extradata)

    def _declared(self, extradata: bytes) -> None:
        try:
            if extradata[0] == 1:
                units, self._length_size = self._parse_record(extradata)
            else:
                units = split_annex_b(extradata)
            self._learn(units)
        except BitstreamError:
            # What a source declares may be wrong while its stream is well: the stream's own parameter sets count.
            return

    def assemble(self, data: bytes) -> Sequence[Unit]:
        """See `Assembler.assemble`."""
        # A length of one byte is no NAL unit's: whatever was declared, this is a start code.
        if self._length_size and not data.startswith(START_CODE):
            units = split_length_prefixed(data, self._length_size)
        elif len(data) > MAX_NAL_UNITS * _LEAST_UNIT_BYTES and data.count(b"\0\0\1") > MAX_NAL_UNITS:
            raise BitstreamError(f"an access unit of more than {MAX_NAL_UNITS} NAL units")
        else:
            units = split_annex_b(data)
        kept, has_sets, first_slice = [], False, b""
        for unit in units:
            kind = self._kind(unit)
            if kind in self.dropped:
                continue
            has_sets = has_sets or kind in self.kinds
            if not first_slice and self._is_vcl(unit):
                first_slice = unit
            kept.append(unit)
        if has_sets:
            self._learn(kept)
        if not first_slice:
            return ()
        keyframe = self._is_keyframe(kept)
        if not keyframe:
            if self._holding or self._undecodable(kept):
                return ()
            return (Unit(join_length_prefixed(kept), False, self._is_disposable(kept), slice=first_slice),)

        sps = self._sets.of_kind(self.sps_kind)
        if not all(self._sets.of_kind(kind) for kind in self.kinds):
            return ()
        changed = bool(self._active_sps) and sps != self._active_sps
        if sps != self._active_sps:
            self.shape = self._shape(sps[0])
            self._active_sps = sps
        self._begin(kept, self._holding or changed)
        self._holding = False
        picture = [unit for unit in kept if self._kind(unit) not in self.kinds]
        payload = join_length_prefixed(self._sets.ordered() + picture)
        return (Unit(payload, True, new_parameters=changed, slice=first_slice),)

    def _learn(self, units: Sequence[bytes]) -> None:
        found: dict[tuple[int, int], bytes] = {}
        for unit in units:
            kind = self._kind(unit)
            if kind in self.kinds:
                try:
                    if kind == self.sps_kind:
                        self._shape(unit)  # one that cannot be read must not replace one that can
                    found[kind, self._set_id(kind, unit)] = unit
                except BitstreamError:
                    continue
        self._sets.learn(found, complete={kind for kind, _ in found} == set(self.kinds))

    def _kind(self, unit: bytes) -> int:
        raise NotImplementedError

    def _is_vcl(self, unit: bytes) -> bool:
        raise NotImplementedError

    def _is_keyframe(self, units: Sequence[bytes]) -> bool:
        raise NotImplementedError

    def _is_disposable(self, units: Sequence[bytes]) -> bool:
        raise NotImplementedError

    def _set_id(self, kind: int, unit: bytes) -> int:
        raise NotImplementedError

    def _shape(self, sps: bytes) -> Shape:
        raise NotImplementedError

    def _parse_record(self, record: bytes) -> tuple[list[bytes], int]:
        raise NotImplementedError

    def _undecodable(self, units: Sequence[bytes]) -> bool:
        return False

    def _begin(self, units: Sequence[bytes], first: bool) -> None:
        """A keyframe is handed on; ``first`` says that nothing before it can be referred to."""


class H264Assembler(_NalAssembler):
    """H.264 from Annex B or length-prefixed packets."""

    kinds = (h264.NalType.SPS, h264.NalType.PPS)
    sps_kind = h264.NalType.SPS
    dropped = frozenset((h264.NalType.AUD, h264.NalType.FILLER))

    def is_b_picture(self, unit: Unit) -> bool:
        """See `Assembler.is_b_picture`."""
        try:
            return self.shape.reorder != 0 and h264.slice_type(unit.slice) == "B"
        except BitstreamError:
            return False

    def _kind(self, unit: bytes) -> int:
        return unit[0] & 0x1F

    def _is_vcl(self, unit: bytes) -> bool:
        return h264.is_vcl(unit)

    def _is_keyframe(self, units: Sequence[bytes]) -> bool:
        return h264.is_keyframe(units)

    def _is_disposable(self, units: Sequence[bytes]) -> bool:
        return h264.is_disposable(units)

    def _set_id(self, kind: int, unit: bytes) -> int:
        return BitReader(unescape(unit[4:12] if kind == self.sps_kind else unit[1:9])).ue()

    def _shape(self, sps: bytes) -> Shape:
        found = h264.parse_sps(sps)
        # Baseline has no B-slices (A.2.1).
        reorder = 0 if found.profile_idc == 66 else found.reorder_frames
        return Shape(found.width_px, found.height_px, found.frame_rate, reorder)

    def _parse_record(self, record: bytes) -> tuple[list[bytes], int]:
        sets, length_size = h264.parse_avcc(record)
        return [*sets.sps, *sets.pps], length_size


class HevcAssembler(_NalAssembler):
    """H.265 from Annex B or length-prefixed packets."""

    kinds = (h265.NalType.VPS, h265.NalType.SPS, h265.NalType.PPS)
    sps_kind = h265.NalType.SPS
    dropped = frozenset((h265.NalType.AUD, 38))  # 38: filler data

    def __init__(self, extradata: bytes) -> None:
        self._sub_layers = 1
        self._skip_leading = False
        super().__init__(extradata)

    def is_b_picture(self, unit: Unit) -> bool:
        """See `Assembler.is_b_picture`. Which slices are B says nothing in H.265; whether pictures reorder, the SPS."""
        return self.shape.reorder != 0

    def _kind(self, unit: bytes) -> int:
        return h265.nal_type(unit)

    def _is_vcl(self, unit: bytes) -> bool:
        return h265.is_vcl(unit)

    def _is_keyframe(self, units: Sequence[bytes]) -> bool:
        return h265.is_keyframe(units)

    def _is_disposable(self, units: Sequence[bytes]) -> bool:
        return h265.is_disposable(units, self._sub_layers)

    def _undecodable(self, units: Sequence[bytes]) -> bool:
        return self._skip_leading and h265.is_skipped_leading(units)

    def _begin(self, units: Sequence[bytes], first: bool) -> None:
        self._skip_leading = first

    def _set_id(self, kind: int, unit: bytes) -> int:
        if kind == h265.NalType.VPS:
            if len(unit) < 3:
                raise BitstreamError("a video parameter set ends too early")
            return unit[2] >> 4
        if kind == h265.NalType.PPS:
            return BitReader(unescape(unit[2:10])).ue()
        return 0  # sources send one SPS; reading its id would mean reading past all sub-layers' levels

    def _shape(self, sps: bytes) -> Shape:
        found = h265.parse_sps(sps)
        self._sub_layers = found.sub_layers
        return Shape(found.width_px, found.height_px, None, found.reorder_frames)

    def _parse_record(self, record: bytes) -> tuple[list[bytes], int]:
        sets, length_size = h265.parse_hvcc(record)
        return [*sets.vps, *sets.sps, *sets.pps], length_size
