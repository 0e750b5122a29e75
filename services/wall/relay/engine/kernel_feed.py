"""A feed's usual frames, which C takes from the bus message and sends to all of the feed's viewers by itself.

C is lent what the next frame has to follow. It takes a frame whole, or changes nothing and leaves it to Python; which
keyframes are, and frames that are damaged, that begin a run or come behind a hole.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

from services.contracts.frames import Codec
from services.wall.relay.engine.kernel_batch import KernelBatch, StreamArray
from services.wall.relay.kernel.structs import LIMITS, ffi


class TakingCall(NamedTuple):
    """Those that C sends to in one call: they share a socket and the shape of their packets."""

    batch: KernelBatch
    array: StreamArray
    header_bytes: int
    tag_bytes: int


class KernelFeed:
    """One feed's loan."""

    __slots__ = ("_calls", "_feed", "_held", "_serials", "_take", "_taking")

    def __init__(self, serials: Any) -> None:
        """``serials``: a ``uint32_t``, the relay's count of frames that C has taken. Each has a number by it."""
        self._serials = serials
        self._feed = ffi.new("pk_feed *")
        self._feed.work, self._feed.serials = _work(), serials
        self._calls: Any = None
        self._held: list[tuple[int, int]] = []
        """Of each of C's calls: which of ``_taking`` it serves, and from which place on."""
        self._taking: Sequence[TakingCall] = ()
        self._take: Any = None

    def lend(self, taking: Sequence[TakingCall], codec: Codec, order: tuple[int, int], room_bytes: int) -> None:
        """C takes what follows the frame of this order, as long as the GOP has room for it.

        ``taking``: at least one; the same object while they are the same.
        """
        feed = self._feed
        if taking is not self._taking:
            self._set_calls(taking)
        feed.codec, feed.h265, (feed.epoch, feed.sequence) = codec, codec is Codec.HEVC, order
        feed.room_bytes, feed.lent = max(0, room_bytes), True

    def _set_calls(self, taking: Sequence[TakingCall]) -> None:
        feed = self._feed
        feed.lent = False
        self._taking, self._held, made = taking, [], []
        for number, call in enumerate(taking):
            for begin, fields in call.batch.calls(call.array):
                made.append({**fields, "room": call.header_bytes, "tag": call.tag_bytes})
                self._held.append((number, begin))
        self._calls = feed.calls = ffi.new("pk_call[]", made)
        feed.calls_count = len(made)
        self._take = taking[0].batch.take

    def end_loan(self) -> None:
        """C takes nothing more, and holds no stream's pointer that it would use."""
        self._feed.lent = False

    def take(self, message: bytes, now: float) -> int:
        """Gives C the next message; a ``pk_taking``."""
        return int(self._take(self._feed, message, len(message), now))

    def left(self) -> list[tuple[int, int]]:
        """Who was not simply sent the last frame: which of the calls, and the place in its array."""
        found: list[tuple[int, int]] = []
        for call, (number, begin) in zip(self._calls, self._held, strict=True):
            found += [(number, begin + call.left[n]) for n in range(call.others)]
        return found


@cache
def _work() -> Any:
    """Where the packets of one frame are laid out. Pages that no frame reaches cost no memory."""
    return ffi.new("uint64_t[]", LIMITS["PK_WORK_BYTES"] // 8)
