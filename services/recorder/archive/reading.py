"""Reading a stored object as if it were a file: many small reads become few ranged requests. Pure but for ``fetch``."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

Fetch = Callable[[int, int], bytes]
"""``fetch(offset, size)``: exactly those bytes, within the object."""

BLOCK_BYTES: Final = 256 * 1024
MAX_AHEAD_BLOCKS: Final = 16
_KEPT_BLOCKS: Final = 64


class RangeReader:
    """`read` is a `services.media.mp4.reader.ReadAt`. Whoever reads on gets ever larger requests, up to 4 MiB; whoever
    jumps gets a block."""

    def __init__(self, fetch: Fetch, size_bytes: int) -> None:
        self._fetch = fetch
        self._size = size_bytes
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._ahead = 1
        self._next = -1
        """The block behind the last request."""

    def read(self, at: int, size: int) -> bytes:
        """Up to ``size`` bytes from ``at``; fewer only at the end."""
        end = min(at + size, self._size)
        if at >= end:
            return b""
        first, last = at // BLOCK_BYTES, (end - 1) // BLOCK_BYTES
        parts = [self._block(number, last) for number in range(first, last + 1)]
        start = at - first * BLOCK_BYTES
        return (parts[0] if len(parts) == 1 else b"".join(parts))[start : start + end - at]

    def _block(self, number: int, wanted_last: int) -> bytes:
        found = self._blocks.get(number)
        if found is None:
            self._ahead = min(self._ahead * 2, MAX_AHEAD_BLOCKS) if number == self._next else 1
            count = max(self._ahead, min(wanted_last - number + 1, MAX_AHEAD_BLOCKS))
            self._load(number, count)
            found = self._blocks[number]
        self._blocks.move_to_end(number)
        return found

    def _load(self, number: int, count: int) -> None:
        at = number * BLOCK_BYTES
        data = self._fetch(at, min(count * BLOCK_BYTES, self._size - at))
        for start in range(0, len(data), BLOCK_BYTES):
            self._blocks[number + start // BLOCK_BYTES] = data[start : start + BLOCK_BYTES]
        while len(self._blocks) > _KEPT_BLOCKS:
            self._blocks.popitem(last=False)
        self._next = number + count
