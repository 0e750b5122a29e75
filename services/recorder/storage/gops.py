"""The keyframe index of a segment: where decoding can begin, and how many bytes each GOP took, in a few bytes a GOP.

The blob is a version byte, then for each GOP five LEB128 integers: time since the GOP before, distance of the fragment
from that of the GOP before, bytes of the keyframe, bytes of the other pictures, number of pictures.
"""

import base64
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

RAW: Final = "gops"
"""The field of a thinned segment's description that keeps the numbers of the GOPs it was made from."""
_VERSION: Final = 1


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


def pack(gops: Iterable[Gop]) -> bytes:
    """The blob; times and offsets must not decrease."""
    out = bytearray((_VERSION,))
    time = offset = 0
    for gop in gops:
        for value in (gop.time_90k - time, gop.fragment_offset - offset, gop.key_bytes, gop.other_bytes, gop.frames):
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
    if not blob or blob[0] != _VERSION:
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
    if shift or len(values) % 5:
        raise ValueError("a keyframe index is cut")
    gops = []
    time = offset = 0
    for at in range(0, len(values), 5):
        time += values[at]
        offset += values[at + 1]
        gops.append(Gop(time, offset, *values[at + 2 : at + 5]))
    return gops


def pack_raw(found: Iterable[Gop]) -> str:
    """The GOPs that a segment had before it was thinned, without their places in the file."""
    return base64.b64encode(pack(gop._replace(fragment_offset=0) for gop in found)).decode()


def unpack_raw(info: Mapping[str, object]) -> list[Gop]:
    """What `pack_raw` left in a description, nothing where it was not there; raises ``ValueError`` for other things."""
    packed = info.get(RAW)
    return unpack(base64.b64decode(str(packed), validate=True)) if packed else []
