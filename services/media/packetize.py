"""From an access unit to RTP payloads: RFC 6184 (H.264, packetization mode 1) and RFC 7798 (H.265).

Nothing is copied here: a payload is described as a few bytes of its own and spans of the access unit, so that whoever
lays packets out copies each byte once. Fragments have one fixed size, and only the last of a NAL unit is shorter (they
are not balanced): runs of equal packets are what UDP segmentation offload needs.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from services.media.nal import length_prefixed_spans

_H264_STAP_A: Final = 24
_H264_FU_A: Final = 28
_H265_AP: Final = 48
_H265_FU: Final = 49
_DROPPED_H264: Final = frozenset((9, 12))
"""Access unit delimiters and filler: of no use to a receiver that has packet boundaries and markers."""
_DROPPED_H265: Final = frozenset((35, 38))


class Payload(NamedTuple):
    """One packet's payload: ``head`` and then ``spans`` of the access unit, each behind its own prefix."""

    head: bytes
    spans: tuple[tuple[bytes, int, int], ...]
    """Prefix, begin, end."""
    size_bytes: int
    """What it takes on the wire behind the RTP header."""

    def assemble(self, unit: bytes) -> bytes:
        """The payload's bytes; ``unit`` is the access unit that it was made from."""
        if len(self.spans) == 1:
            prefix, begin, end = self.spans[0]
            return self.head + prefix + unit[begin:end]
        return self.head + b"".join([prefix + unit[begin:end] for prefix, begin, end in self.spans])


Packetizer = Callable[[bytes, int], list[Payload]]


def packetize_h264(unit: bytes, limit_bytes: int) -> list[Payload]:
    """The payloads, none larger than ``limit_bytes``, of an access unit with 4-byte NAL unit lengths.

    Neighbours that fit together travel in one STAP-A, what is too large in FU-As. Raises `BitstreamError`.
    """
    payloads: list[Payload] = []
    group: list[tuple[int, int]] = []
    group_bytes = 1
    for begin, end in length_prefixed_spans(unit):
        header = unit[begin]
        if header & 0x1F in _DROPPED_H264:
            continue
        size = end - begin
        if group and group_bytes + 2 + size > limit_bytes:
            payloads.append(_h264_group(unit, group))
            group, group_bytes = [], 1
        if size <= limit_bytes:
            group.append((begin, end))
            group_bytes += 2 + size
            continue
        indicator, kind = header & 0xE0 | _H264_FU_A, header & 0x1F
        _fragment(payloads, bytes((indicator,)), kind, begin + 1, end, limit_bytes)
    if group:
        payloads.append(_h264_group(unit, group))
    return payloads


def _fragment(payloads: list[Payload], indicator: bytes, kind: int, begin: int, end: int, limit_bytes: int) -> None:
    """Fragmentation units of one NAL unit, all as large as they may be but for the last: start bit, middle, end bit."""
    step = limit_bytes - len(indicator) - 1
    head, middle = indicator + bytes((0x80 | kind,)), indicator + bytes((kind,))
    for at in range(begin, end - step, step):
        payloads.append(Payload(head, ((b"", at, at + step),), limit_bytes))
        head = middle
    at = begin + (end - begin - 1) // step * step
    payloads.append(Payload(indicator + bytes((0x40 | kind,)), ((b"", at, end),), limit_bytes - step + end - at))


def _h264_group(unit: bytes, group: list[tuple[int, int]]) -> Payload:
    if len(group) == 1:
        return _alone(*group[0])
    # 5.7.1: F is the OR of all F bits, NRI the largest.
    forbidden = max(unit[begin] & 0x80 for begin, _ in group)
    importance = max(unit[begin] & 0x60 for begin, _ in group)
    return _together(bytes((forbidden | importance | _H264_STAP_A,)), group)


def packetize_h265(unit: bytes, limit_bytes: int) -> list[Payload]:
    """As `packetize_h264`, for H.265: aggregation packets and fragmentation units, without DONL fields."""
    payloads: list[Payload] = []
    group: list[tuple[int, int]] = []
    group_bytes = 2
    for begin, end in length_prefixed_spans(unit):
        kind = unit[begin] >> 1 & 0x3F
        size = end - begin
        if kind in _DROPPED_H265 or size < 3:
            continue
        if group and group_bytes + 2 + size > limit_bytes:
            payloads.append(_h265_group(unit, group))
            group, group_bytes = [], 2
        if size <= limit_bytes:
            group.append((begin, end))
            group_bytes += 2 + size
            continue
        indicator = bytes((unit[begin] & 0x81 | _H265_FU << 1, unit[begin + 1]))
        _fragment(payloads, indicator, kind, begin + 2, end, limit_bytes)
    if group:
        payloads.append(_h265_group(unit, group))
    return payloads


def _h265_group(unit: bytes, group: list[tuple[int, int]]) -> Payload:
    if len(group) == 1:
        return _alone(*group[0])
    # 4.4.2: F is the OR of all F bits; LayerId and TID are the lowest of all.
    forbidden = max(unit[begin] & 0x80 for begin, _ in group)
    layer = min((unit[begin] & 1) << 5 | unit[begin + 1] >> 3 for begin, _ in group)
    temporal = min(unit[begin + 1] & 7 for begin, _ in group)
    return _together(bytes((forbidden | _H265_AP << 1 | layer >> 5, layer << 3 & 0xF8 | temporal)), group)


def _alone(begin: int, end: int) -> Payload:
    return Payload(b"", ((b"", begin, end),), end - begin)


def _together(head: bytes, group: list[tuple[int, int]]) -> Payload:
    spans = tuple([((end - begin).to_bytes(2, "big"), begin, end) for begin, end in group])
    return Payload(head, spans, len(head) + sum([2 + end - begin for begin, end in group]))
