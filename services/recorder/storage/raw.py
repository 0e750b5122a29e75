"""The raw numbers of a segment's GOPs, as its description keeps them once the pictures are thinned."""

import base64
from collections.abc import Iterable, Mapping
from typing import Final

from services.recorder.storage import gops
from services.recorder.storage.gops import Gop

RAW: Final = "gops"
"""The description's field."""


def pack_raw(found: Iterable[Gop]) -> str:
    """The GOPs that a segment had; where they were in the file does not matter any more."""
    return base64.b64encode(gops.pack(gop._replace(fragment_offset=0) for gop in found)).decode()


def unpack_raw(info: Mapping[str, object]) -> list[Gop]:
    """What `pack_raw` left in a description, nothing where it was not there; raises ``ValueError`` for other things."""
    packed = info.get(RAW)
    return gops.unpack(base64.b64decode(str(packed), validate=True)) if packed else []
