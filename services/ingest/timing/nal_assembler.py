"""Assembling H.264 and H.265: framing, parameter sets, keyframes, and holding back."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Final

from services.ingest.timing.units import Shape, Unit
from services.media import h264, h265
from services.media.nal import (
    START_CODE,
    BitReader,
    BitstreamError,
    join_length_prefixed,
    split_annex_b,
    split_length_prefixed,
    unescape,
)

MAX_NAL_UNITS: Final = 4096
"""More start codes in one access unit are garbage; splitting them would hold up every other camera."""
_LEAST_UNIT_BYTES: Final = 4
_H264_SEI: Final = int(h264.NalType.SEI)
_RECOVERY_POINT: Final = b"\6"
_START: Final = b"\0\0\1"


class _Sets:
    """The parameter sets in force, by kind and id, in the order in which a decoder wants them."""

    def __init__(self) -> None:
        self._sets: dict[tuple[int, int], bytes] = {}

    def learn(self, found: dict[tuple[int, int], bytes], *, complete: bool) -> None:
        """Takes what an access unit brought: with all kinds in it, it replaces what was known."""
        if complete:
            self._sets = {}
        self._sets.update(found)

    def usual_payload(self) -> bytes:
        """All of them in `ordered`'s order, behind lengths; empty where they do not stand in it, or hold what a
        depacketizer would take for several NAL units. `learn` changes nothing when it gets them once more."""
        units = self.ordered()
        plain = list(self._sets.values()) == units and not any(_START in unit for unit in units)
        return join_length_prefixed(units) if plain else b""

    def of_kind(self, kind: int) -> tuple[bytes, ...]:
        """Those of one NAL unit type."""
        return tuple(unit for (unit_kind, _), unit in self._sets.items() if unit_kind == kind)

    def get(self, kind: int, identifier: int) -> bytes | None:
        """One of them."""
        return self._sets.get((kind, identifier))

    def ordered(self) -> list[bytes]:
        """VPS, SPS, PPS: their NAL unit types grow in this order in both codecs."""
        return [unit for _, unit in sorted(self._sets.items(), key=lambda item: item[0])]


class _NalAssembler(ABC):
    """What H.264 and H.265 have in common."""

    kinds: tuple[int, ...]
    """NAL unit types of the parameter sets that a decoder needs."""
    sps_kind: int
    dropped: frozenset[int]
    """Delimiters and filler: nothing that a decoder needs."""
    vcl: range
    """NAL unit types of slices."""
    keyframes: frozenset[int]
    """NAL unit types of slices with which decoding can begin."""

    def __init__(self, extradata: bytes) -> None:
        self.shape = Shape(reorder=None)
        self._sets = _Sets()
        self._length_size = 0
        self._holding = True
        self._active_sps: tuple[bytes, ...] = ()
        """The SPS that the last keyframe uses, and then all that stood in front of it."""
        self._usual_sets: bytes | None = None
        """None: not made yet."""
        self._set_kinds = frozenset(self.kinds)
        self._special = self._set_kinds | self.dropped | self.keyframes
        if extradata:
            self._declared(extradata)

    @property
    def holding(self) -> bool:
        """Whether nothing was handed on yet."""
        return self._holding

    @property
    def usual_sets(self) -> bytes:
        """The parameter sets in force behind their lengths, where the next keyframe that brings them, or none, changes
        nothing and stands behind them; else empty."""
        if self._usual_sets is None:
            sps = self._sets.of_kind(self.sps_kind)
            whole = len(sps) == 1 and all(self._sets.of_kind(kind) for kind in self.kinds)
            plain = whole and self._active_sps == sps * 2 and not self._may_have_fields(sps[0])
            self._usual_sets = self._sets.usual_payload() if plain else b""
        return self._usual_sets

    def took_keyframe(self) -> None:
        """One with the `usual_sets` was taken elsewhere."""
        self._begin(False)

    def _may_have_fields(self, sps: bytes) -> bool:
        """Whether two fields may be coded as one picture, with a first slice each."""
        return False

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

    def assemble(self, data: bytes | Sequence[bytes]) -> Sequence[Unit]:
        if not isinstance(data, bytes):
            units = list(data)
        # A length of one byte is no NAL unit's: this is a start code, also where lengths were declared.
        elif self._length_size and not data.startswith(START_CODE):
            units = split_length_prefixed(data, self._length_size)
        elif len(data) > MAX_NAL_UNITS * _LEAST_UNIT_BYTES and data.count(b"\0\0\1") > MAX_NAL_UNITS:
            raise BitstreamError(f"an access unit of more than {MAX_NAL_UNITS} NAL units")
        else:
            units = split_annex_b(data)
        kinds = self._kinds(units)
        if self._special.isdisjoint(kinds) and not self._recovers(units, kinds):
            return self._plain(units, kinds)

        kept = [unit for unit, kind in zip(units, kinds, strict=True) if kind not in self.dropped]
        if not self._set_kinds.isdisjoint(kinds):
            self._learn(kept)
        if not self._is_keyframe(kept):
            return self._plain(kept, self._kinds(kept))
        sps = self._sets.of_kind(self.sps_kind)
        if not all(self._sets.of_kind(kind) for kind in self.kinds):
            return ()
        active = (sps[0] if len(sps) == 1 else self._used_sps(kept) or sps[0], *sps)
        changed = bool(self._active_sps) and active != self._active_sps
        if active != self._active_sps:
            self.shape = self._shape(active[0])
            self._active_sps = active
            self._usual_sets = None
        self._begin(self._holding or changed)
        self._holding = False
        picture = [unit for unit in kept if self._kinds((unit,))[0] not in self.kinds]
        payload = join_length_prefixed(self._sets.ordered() + picture)
        return (Unit(payload, True, new_parameters=changed),)

    def _used_sps(self, units: Sequence[bytes]) -> bytes | None:
        """The SPS that the picture's first slice leads to by its PPS; None where it leads to none."""
        try:
            first = next(unit for unit, kind in zip(units, self._kinds(units), strict=True) if kind in self.vcl)
            pps = self._sets.get(self.kinds[-1], self._slice_pps_id(first))
            return self._sets.get(self.sps_kind, self._pps_ids(pps)[1]) if pps else None
        except (BitstreamError, StopIteration):
            return None

    def _plain(self, units: Sequence[bytes], kinds: Sequence[int]) -> Sequence[Unit]:
        """What is no keyframe. All slices of a picture agree on being referred to, so the first one tells."""
        for unit, kind in zip(units, kinds, strict=True):
            if kind in self.vcl:
                if self._holding or self._undecodable(unit):
                    return ()
                return (Unit(join_length_prefixed(units), False, self._is_disposable(unit), False, b"", unit),)
        return ()

    def _learn(self, units: Sequence[bytes]) -> None:
        found: dict[tuple[int, int], bytes] = {}
        for unit, kind in zip(units, self._kinds(units), strict=True):
            if kind in self.kinds:
                try:
                    if kind == self.sps_kind:
                        self._shape(unit)  # one that cannot be read must not replace one that can
                    found[kind, self._set_id(kind, unit)] = unit
                except BitstreamError:
                    continue
        self._usual_sets = None
        self._sets.learn(found, complete={kind for kind, _ in found} == set(self.kinds))

    @abstractmethod
    def _kinds(self, units: Sequence[bytes]) -> list[int]: ...

    def _recovers(self, units: Sequence[bytes], kinds: Sequence[int]) -> bool:
        """Whether something other than its NAL unit types may make this a keyframe."""
        return False

    @abstractmethod
    def _is_keyframe(self, units: Sequence[bytes]) -> bool: ...

    @abstractmethod
    def _is_disposable(self, first_slice: bytes) -> bool: ...

    @abstractmethod
    def _set_id(self, kind: int, unit: bytes) -> int: ...

    @abstractmethod
    def _pps_ids(self, pps: bytes) -> tuple[int, int]:
        """A PPS's own id and that of its SPS."""

    @abstractmethod
    def _slice_pps_id(self, first_slice: bytes) -> int: ...

    @abstractmethod
    def _shape(self, sps: bytes) -> Shape: ...

    @abstractmethod
    def _parse_record(self, record: bytes) -> tuple[list[bytes], int]: ...

    def _undecodable(self, first_slice: bytes) -> bool:
        return False

    @abstractmethod
    def _begin(self, first: bool) -> None:
        """A keyframe is handed on; ``first`` says that nothing before it can be referred to."""


class H264Assembler(_NalAssembler):
    """H.264 from Annex B or length-prefixed packets."""

    kinds = (h264.NalType.SPS, h264.NalType.PPS)
    sps_kind = h264.NalType.SPS
    dropped = frozenset((h264.NalType.AUD, h264.NalType.FILLER))
    vcl = range(1, 6)
    keyframes = frozenset((h264.NalType.IDR,))

    def is_b_picture(self, unit: Unit) -> bool:
        try:
            return self.shape.reorder != 0 and h264.slice_type(unit.slice) == "B"
        except BitstreamError:
            return False

    def _kinds(self, units: Sequence[bytes]) -> list[int]:
        return [unit[0] & 0x1F for unit in units]

    def _recovers(self, units: Sequence[bytes], kinds: Sequence[int]) -> bool:
        # A recovery point's payload type is 6; most SEI units hold no such byte and need not be parsed.
        for unit, kind in zip(units, kinds, strict=True):
            if kind == _H264_SEI and unit.find(_RECOVERY_POINT, 1) > 0 and h264.is_keyframe((unit,)):
                return True
        return False

    def _may_have_fields(self, sps: bytes) -> bool:
        return not h264.parse_sps(sps).frame_mbs_only

    def _is_keyframe(self, units: Sequence[bytes]) -> bool:
        return h264.is_keyframe(units) and any(h264.is_vcl(unit) for unit in units)

    def _is_disposable(self, first_slice: bytes) -> bool:
        return h264.ref_idc(first_slice) == 0

    def _set_id(self, kind: int, unit: bytes) -> int:
        return BitReader(unescape(unit[4:12])).ue() if kind == self.sps_kind else h264.pps_ids(unit)[0]

    def _pps_ids(self, pps: bytes) -> tuple[int, int]:
        return h264.pps_ids(pps)

    def _slice_pps_id(self, first_slice: bytes) -> int:
        return h264.slice_pps_id(first_slice)

    def _shape(self, sps: bytes) -> Shape:
        found = h264.parse_sps(sps)
        # Baseline has no B-slices (A.2.1).
        reorder = 0 if found.profile_idc == 66 else found.reorder_frames
        return Shape(found.width_px, found.height_px, found.frame_rate, reorder)

    def _parse_record(self, record: bytes) -> tuple[list[bytes], int]:
        sets, length_size = h264.parse_avcc(record)
        return [*sets.sps, *sets.pps], length_size

    def _begin(self, first: bool) -> None:
        """H.264 has no leading pictures that would have to be skipped."""


class HevcAssembler(_NalAssembler):
    """H.265 from Annex B or length-prefixed packets."""

    kinds = (h265.NalType.VPS, h265.NalType.SPS, h265.NalType.PPS)
    sps_kind = h265.NalType.SPS
    dropped = frozenset((h265.NalType.AUD, 38))  # 38: filler data
    vcl = range(32)
    keyframes = frozenset(range(h265.NalType.BLA_W_LP, h265.NalType.CRA + 1))

    def __init__(self, extradata: bytes) -> None:
        self._sub_layers = 1
        self._skip_leading = False
        super().__init__(extradata)

    def is_b_picture(self, unit: Unit) -> bool:
        """See `Assembler.is_b_picture`. Which slices are B says nothing in H.265; whether pictures reorder, the SPS."""
        return self.shape.reorder != 0

    def _kinds(self, units: Sequence[bytes]) -> list[int]:
        return [(unit[0] >> 1) & 0x3F for unit in units]

    def _is_keyframe(self, units: Sequence[bytes]) -> bool:
        return h265.is_keyframe(units)

    def _is_disposable(self, first_slice: bytes) -> bool:
        return h265.is_disposable((first_slice,), self._sub_layers)

    def _undecodable(self, first_slice: bytes) -> bool:
        return self._skip_leading and h265.is_skipped_leading((first_slice,))

    def _begin(self, first: bool) -> None:
        self._skip_leading = first

    def _set_id(self, kind: int, unit: bytes) -> int:
        if kind == h265.NalType.VPS:
            if len(unit) < 3:
                raise BitstreamError("a video parameter set ends too early")
            return unit[2] >> 4
        return h265.pps_ids(unit)[0] if kind == h265.NalType.PPS else h265.parse_sps(unit).identifier

    def _pps_ids(self, pps: bytes) -> tuple[int, int]:
        return h265.pps_ids(pps)

    def _slice_pps_id(self, first_slice: bytes) -> int:
        return h265.slice_pps_id(first_slice)

    def _shape(self, sps: bytes) -> Shape:
        found = h265.parse_sps(sps)
        self._sub_layers = found.sub_layers
        return Shape(found.width_px, found.height_px, None, found.reorder_frames)

    def _parse_record(self, record: bytes) -> tuple[list[bytes], int]:
        sets, length_size = h265.parse_hvcc(record)
        return [*sets.vps, *sets.sps, *sets.pps], length_size
