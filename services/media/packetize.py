"""From an access unit to RTP payloads: RFC 6184 (H.264, packetization mode 1) and RFC 7798 (H.265).

Fragments have one fixed size, and only the last of a NAL unit is shorter (they are not balanced): runs of equal packets
are needed for UDP segmentation offload.
"""

from collections.abc import Callable
from typing import Final

from services.media.nal import length_prefixed_spans

_H264_STAP_A: Final = 24
_H264_FU_A: Final = 28
_H265_AP: Final = 48
_H265_FU: Final = 49
_DROPPED_H264: Final = frozenset((9, 12))
"""Access unit delimiters and filler: a receiver with packet boundaries and markers does not need them."""
_DROPPED_H265: Final = frozenset((35, 38))

Packetizer = Callable[[bytes, int], list[bytes]]


def packetize_h264(unit: bytes, limit_bytes: int) -> list[bytes]:
    """The payloads, none larger than ``limit_bytes``, of an access unit with 4-byte NAL unit lengths.

    Neighbours that fit together share a STAP-A; units over the limit become FU-As. Raises `BitstreamError`.
    """
    payloads: list[bytes] = []
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
        payloads += _fragments(unit, bytes((indicator,)), kind, begin + 1, end, limit_bytes)
    if group:
        payloads.append(_h264_group(unit, group))
    return payloads


def _fragments(unit: bytes, indicator: bytes, kind: int, begin: int, end: int, limit_bytes: int) -> list[bytes]:
    """Fragmentation units of one NAL unit, all of the largest size except the last: start bit, middle, end bit."""
    step = limit_bytes - len(indicator) - 1
    last = begin + (end - begin - 1) // step * step
    middle = indicator + bytes((kind,))
    return [
        indicator + bytes((0x80 | kind,)) + unit[begin : begin + step],
        *[middle + unit[at : at + step] for at in range(begin + step, last, step)],
        indicator + bytes((0x40 | kind,)) + unit[last:end],
    ]


def _h264_group(unit: bytes, group: list[tuple[int, int]]) -> bytes:
    if len(group) == 1:
        return unit[slice(*group[0])]
    # 5.7.1: F is the OR of all F bits, NRI the largest.
    forbidden = max(unit[begin] & 0x80 for begin, _ in group)
    importance = max(unit[begin] & 0x60 for begin, _ in group)
    return _together(unit, bytes((forbidden | importance | _H264_STAP_A,)), group)


def packetize_h265(unit: bytes, limit_bytes: int) -> list[bytes]:
    """As `packetize_h264`, for H.265: aggregation packets and fragmentation units, without DONL fields."""
    payloads: list[bytes] = []
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
        payloads += _fragments(unit, indicator, kind, begin + 2, end, limit_bytes)
    if group:
        payloads.append(_h265_group(unit, group))
    return payloads


def _h265_group(unit: bytes, group: list[tuple[int, int]]) -> bytes:
    if len(group) == 1:
        return unit[slice(*group[0])]
    # 4.4.2: F is the OR of all F bits; LayerId and TID are the lowest of all.
    forbidden = max(unit[begin] & 0x80 for begin, _ in group)
    layer = min((unit[begin] & 1) << 5 | unit[begin + 1] >> 3 for begin, _ in group)
    temporal = min(unit[begin + 1] & 7 for begin, _ in group)
    return _together(unit, bytes((forbidden | _H265_AP << 1 | layer >> 5, layer << 3 & 0xF8 | temporal)), group)


def _together(unit: bytes, head: bytes, group: list[tuple[int, int]]) -> bytes:
    return head + b"".join([(end - begin).to_bytes(2, "big") + unit[begin:end] for begin, end in group])
