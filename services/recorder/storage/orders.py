"""Orders of pictures as the index stores them: epoch (u32) and sequence (u64), one after another. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from struct import Struct
from typing import Final

from services.recorder.storage.proof import add_seal
from services.recorder.storage.rows import OpenSeals
from services.recorder.storage.scan import SegmentScan

_ORDER: Final = Struct(">IQ")
Order = tuple[int, int]


def pack(orders: Iterable[Order]) -> bytes:
    """The bytes."""
    return b"".join(_ORDER.pack(*order) for order in orders)


def unpack(data: bytes) -> list[Order]:
    """What `pack` packed."""
    return [(epoch, sequence) for epoch, sequence in _ORDER.iter_unpack(data)]


def newest(orders: Sequence[Order]) -> dict[int, int]:
    """Epoch → the highest sequence."""
    found: dict[int, int] = {}
    for epoch, sequence in orders:
        found[epoch] = max(sequence, found.get(epoch, -1))
    return found


def of_file(found: SegmentScan, seals: OpenSeals) -> Mapping[int, int]:
    """Up to where a file that was left open has pictures; empty where its seals are not those that the index knows.

    Of each seal that the index knows it also knows the order.
    """
    totals = list(accumulate(found.links, add_seal, initial=add_seal(b"", found.opening)))[1:]
    places = {total: at for at, total in enumerate(totals)}
    known = list(zip(seals.known, seals.orders, strict=False))
    return newest([order for total, order in known if total in places])
