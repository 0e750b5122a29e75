"""The keyframe index of a segment: where decoding can begin, and how many bytes each GOP took, in a few bytes a GOP.

The blob is a version byte, then for each GOP five LEB128 integers: time since the GOP before, distance of the fragment
from that of the GOP before, bytes of the keyframe, bytes of the other pictures, number of pictures. Where a GOP has
damaged pictures the version is 2, and a sixth integer says how long they last.
"""

import base64
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from services.media.time import us_from_90k

RAW: Final = "gops"
"""The field of a thinned segment's description that keeps the numbers of the GOPs it was made from."""
_WHOLE: Final = 1
_WITH_DAMAGE: Final = 2
DAMAGE_SQL: Final = "substr(entries, 1, 1) = x'02'"
"""Whether a blob tells of damage; the condition of a partial index."""
_ROUNDING_US: Final = 50
"""Of times that follow each other."""


class Gop(NamedTuple):
    """One GOP of a segment."""

    time_90k: int
    """Presentation time of its keyframe since the segment's start."""
    fragment_offset: int
    """Where in the file the fragment begins that holds the keyframe."""
    key_bytes: int
    other_bytes: int
    frames: int
    """The keyframe included."""
    damaged_90k: int = 0
    """How long its damaged pictures last. They are its last ones: damage lasts until the next keyframe."""


def pack(gops: Iterable[Gop]) -> bytes:
    """The blob; times and offsets must not decrease."""
    gops = list(gops)
    fields, version = (6, _WITH_DAMAGE) if any(gop.damaged_90k for gop in gops) else (5, _WHOLE)
    out = bytearray((version,))
    time = offset = 0
    for gop in gops:
        for value in (gop.time_90k - time, gop.fragment_offset - offset, *gop[2:fields]):
            if value < 0:
                raise ValueError("the GOPs of a segment are not in order")
            while value > 0x7F:
                out.append(value & 0x7F | 0x80)
                value >>= 7
            out.append(value)
        time, offset = gop.time_90k, gop.fragment_offset
    return bytes(out)


def unpack(blob: bytes) -> list[Gop]:
    """The GOPs in ``blob``. Raises ``ValueError`` for what `pack` cannot have written."""
    fields = {_WHOLE: 5, _WITH_DAMAGE: 6}.get(blob[0], 0) if blob else 0
    if not fields:
        raise ValueError("not a keyframe index of a version that this code knows")
    values: list[int] = []
    value = shift = 0
    for byte in blob[1:]:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte & 0x80:
            continue
        values.append(value)
        value = shift = 0
    if shift or len(values) % fields:
        raise ValueError("a keyframe index is cut")
    gops = []
    time = offset = 0
    for at in range(0, len(values), fields):
        time += values[at]
        offset += values[at + 1]
        gops.append(Gop(time, offset, *values[at + 2 : at + fields]))
    return gops


def damaged_spans(gops: Sequence[Gop], start_us: int, end_us: int) -> list[tuple[int, int]]:
    """When the damaged pictures of a segment that lasts from ``start_us`` to ``end_us`` were taken."""
    spans: list[tuple[int, int]] = []
    for at, gop in enumerate(gops):
        if not gop.damaged_90k:
            continue
        until_us = start_us + us_from_90k(gops[at + 1].time_90k) if at + 1 < len(gops) else end_us
        from_us = max(until_us - us_from_90k(gop.damaged_90k), start_us + us_from_90k(gop.time_90k))
        if spans and from_us <= spans[-1][1] + _ROUNDING_US:
            spans[-1] = spans[-1][0], until_us
        else:
            spans.append((from_us, until_us))
    return spans


def pack_raw(found: Iterable[Gop]) -> str:
    """The GOPs that a segment had before it was thinned, without their places in the file."""
    return base64.b64encode(pack(gop._replace(fragment_offset=0) for gop in found)).decode()


def unpack_raw(info: Mapping[str, object]) -> list[Gop]:
    """What `pack_raw` left in a description, nothing where it was not there; raises ``ValueError`` for other things."""
    packed = info.get(RAW)
    return unpack(base64.b64decode(str(packed), validate=True)) if packed else []
