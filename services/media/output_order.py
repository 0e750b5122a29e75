"""Which pictures of H.264 and H.265 are shown in another order than they are decoded. Pure.

Decoders for WebRTC show what they decode at once, and take a picture that comes out later for a failure: of a stream
with B-pictures they show a picture now and then and ask for keyframes without end. What `OutputOrder` finds out says
whether such pictures can be left out, or the stream has to be converted.

It goes by the order that slices tell (picture order count: H.264 8.2.1, H.265 8.3.1), not by time stamps, which some
sources write in decoding order.
"""

from enum import Enum
from typing import Final, NamedTuple, Protocol

from services.media import h264, h265
from services.media.nal import BitstreamError, length_prefixed_spans

FARTHEST_BACK: Final = 64
"""A picture is shown at most 16 pictures before one that was decoded earlier (A.3.1 and A.4.2), and counts grow by one
or two a picture. One that is farther back begins to count anew."""


class Placement(Enum):
    """Where a picture stands among those decoded before it."""

    IN_ORDER = "in-order"
    """It is shown after all of them."""
    DROPPABLE = "droppable"
    """It is shown before one of them, and no picture refers to it: without it the rest is in order."""
    REORDERED = "reordered"
    """It is shown before one of them, and others refer to it."""
    OPEN = "open"
    """A keyframe at which not every decoder begins: H.264 without an IDR picture, as in open GOPs; or pictures that are
    not 4:2:0 of 8 bits, which most decoders for WebRTC do not know."""


class _Picture(NamedTuple):
    order: int | None
    """The low bits of its picture order count; None where it is in order without one."""
    bits: int
    anchors: bool
    """Whether the next picture's count is told relative to its."""
    disposable: bool
    restarts: bool
    """Of a keyframe: whether every decoder begins at it."""


class _Reader(Protocol):
    """Reads pictures of one codec. Raises `BitstreamError`."""

    in_order: bool
    """Whether the parameter sets promise that pictures are shown as they are decoded."""

    @property
    def knows_sets(self) -> bool:
        """Whether it can read any picture."""

    def read_sets(self, units: list[bytes]) -> None:
        """A keyframe's NAL units."""

    def read(self, unit: bytes) -> _Picture | None:
        """A picture's first slice; None where its parameter sets are not known."""

    def is_slice(self, head: int) -> bool:
        """By a NAL unit's first byte."""


class OutputOrder:
    """Places one stream's pictures. It is given each once, in decoding order, from a keyframe on."""

    __slots__ = ("_anchor", "_codec", "_reader", "_top")

    def __init__(self) -> None:
        self._codec = ""
        self._reader: _Reader | None = None
        self._anchor = 0
        """The whole count of the picture that the next one is relative to."""
        self._top = 0
        """The largest count so far."""

    @property
    def is_settled(self) -> bool:
        """Whether every picture up to the next keyframe is in order: their slices need not be read."""
        reader = self._reader
        return reader is None or reader.in_order or not reader.knows_sets

    def place(self, codec: str, payload: bytes, *, keyframe: bool) -> Placement:
        """Places the next access unit, of FFmpeg's ``codec``. What cannot be read counts as in order."""
        if codec != self._codec:
            self._codec = codec
            self._reader = _Avc() if codec == "h264" else _Hevc() if codec == "hevc" else None
        reader = self._reader
        if reader is None:
            return Placement.IN_ORDER
        try:
            if keyframe:
                reader.read_sets([payload[start:end] for start, end in length_prefixed_spans(payload)])
            elif reader.in_order:
                return Placement.IN_ORDER
            for start, end in length_prefixed_spans(payload):
                if reader.is_slice(payload[start]):
                    picture = reader.read(payload[start:end][:_HEAD_BYTES])
                    return self._place(picture, keyframe=keyframe) if picture is not None else Placement.IN_ORDER
        except BitstreamError:
            pass
        return Placement.IN_ORDER

    def _place(self, picture: _Picture, *, keyframe: bool) -> Placement:
        if keyframe:
            self._anchor = self._top = picture.order or 0
            return Placement.IN_ORDER if picture.restarts else Placement.OPEN
        if picture.order is None:
            return Placement.IN_ORDER
        size = 1 << picture.bits
        step = (picture.order - self._anchor) % size
        count = self._anchor + (step - size if step > size // 2 else step)
        if picture.anchors:
            self._anchor = count
        if count >= self._top or self._top - count > FARTHEST_BACK:
            self._top = count
            return Placement.IN_ORDER
        return Placement.DROPPABLE if picture.disposable else Placement.REORDERED


def _is_common(sps: h264.Sps | h265.Sps) -> bool:
    """Whether pictures are of the kind that all decoders know: 4:2:0, 8 bits."""
    return (sps.chroma_format_idc, sps.bit_depth_luma, sps.bit_depth_chroma) == (1, 8, 8)


_HEAD_BYTES: Final = 32
"""More than a slice header's fields in use take."""


class _Avc:
    """H.264."""

    def __init__(self) -> None:
        self.in_order = False
        self._sets: list[bytes] = []
        self._by_pps: dict[int, h264.Sps] = {}
        self._common = True

    @property
    def knows_sets(self) -> bool:
        return bool(self._by_pps)

    def read_sets(self, units: list[bytes]) -> None:
        sets = [unit for unit in units if h264.is_parameter_set(unit)]
        if sets == self._sets:
            return
        self._sets = sets
        found = h264.parameter_sets(sets)
        by_id = {sps.identifier: sps for sps in map(h264.parse_sps, found.sps)}
        self._common = all(map(_is_common, by_id.values()))
        ids = map(h264.pps_ids, found.pps)
        self._by_pps = {pps: by_id[sps] for pps, sps in ids if sps in by_id}
        # E.2.1, max_num_reorder_frames; 8.2.1.3: with type 2 the order of output is that of decoding.
        self.in_order = bool(by_id) and all(s.reorder_frames == 0 or s.order_type == 2 for s in by_id.values())

    def is_slice(self, head: int) -> bool:
        return head & 0x1F in (h264.NalType.SLICE, h264.NalType.PARTITION_A, h264.NalType.IDR)

    def read(self, unit: bytes) -> _Picture | None:
        sps = self._by_pps.get(h264.slice_pps_id(unit))
        if sps is None:
            return None
        referred, idr = h264.ref_idc(unit) != 0, h264.nal_type(unit) == h264.NalType.IDR
        order = h264.slice_order(unit, sps) if sps.order_type == 0 else None
        return _Picture(order, sps.order_bits, referred, not referred, idr and self._common)


class _Hevc:
    """H.265."""

    def __init__(self) -> None:
        self.in_order = False
        self._sets: list[bytes] = []
        self._by_pps: dict[int, tuple[h265.Sps, h265.Pps]] = {}
        self._common = True

    @property
    def knows_sets(self) -> bool:
        return bool(self._by_pps)

    def read_sets(self, units: list[bytes]) -> None:
        sets = [unit for unit in units if h265.is_parameter_set(unit)]
        if sets == self._sets:
            return
        self._sets = sets
        found = h265.parameter_sets(sets)
        by_id = {sps.identifier: sps for sps in map(h265.parse_sps, found.sps)}
        self._common = all(map(_is_common, by_id.values()))
        every = map(h265.parse_pps, found.pps)
        self._by_pps = {pps.identifier: (by_id[pps.sps], pps) for pps in every if pps.sps in by_id}
        self.in_order = bool(by_id) and all(sps.reorder_frames == 0 for sps in by_id.values())

    def is_slice(self, head: int) -> bool:
        return head & 0x40 == 0

    def read(self, unit: bytes) -> _Picture | None:
        both = self._by_pps.get(h265.slice_pps_id(unit))
        if both is None:
            return None
        kind, layer = h265.nal_type(unit), h265.temporal_id(unit)
        referred = kind > _LAST_SUB_LAYER_KIND or kind % 2 == 1
        leading = h265.NalType.RADL_N <= kind <= h265.NalType.RASL_R
        disposable = not referred and layer == both[0].sub_layers - 1
        anchors = layer == 0 and referred and not leading
        return _Picture(h265.slice_order(unit, *both), both[0].order_bits, anchors, disposable, self._common)


_LAST_SUB_LAYER_KIND: Final = 14
"""RSV_VCL_N14: up to it even types are sub-layer non-reference pictures (table 7-1)."""
