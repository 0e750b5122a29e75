"""Inboxes that C fills, and a connection's received bytes as C looks at them."""

from itertools import accumulate, pairwise
from mmap import mmap
from typing import Any, Final

from services.contracts.frames import INBOX_PAYLOAD_BYTES, PictureInbox, PictureRun
from services.mesh.kernel.library import ffi

_LEAST_INBOXES: Final = 64
MOST_INBOXES: Final = 1 << 20
"""A client counts its subscriptions from its start on, so the table grows although few inboxes are in it: to 8 MB."""


class KernelInbox(PictureInbox):
    """As `PictureInbox`. Its pictures are copied once where they come, and once more, together, where they are taken.

    Its memory is fixed; pages that no payload reaches cost none.
    """

    def __init__(self, kernel: Any) -> None:
        """``kernel``: the library that fills it."""
        super().__init__()
        self.kernel = kernel
        self.inbox = inbox = ffi.new("mk_inbox *")
        self._payloads = memoryview(mmap(-1, INBOX_PAYLOAD_BYTES))
        inbox.payloads, inbox.payloads_room = ffi.from_buffer("uint8_t[]", self._payloads), INBOX_PAYLOAD_BYTES
        self._columns = [
            *(memoryview(ffi.buffer(column)).cast("q") for column in (inbox.pts_90k, inbox.dts_90k, inbox.capture_us)),
            *(memoryview(ffi.buffer(column)).cast("I") for column in (inbox.uncertainty_us, inbox.sizes)),
        ]
        self._bytes = [memoryview(ffi.buffer(column)) for column in (inbox.flags, inbox.clocks)]

    def put(self, message: bytes) -> bool:
        return bool(self.kernel.mk_put(self.inbox, message, len(message)))

    def take(self) -> PictureRun | None:
        inbox = self.inbox
        count = inbox.count
        if not count:
            return None
        pts_90k, dts_90k, capture_us, uncertainty_us, sizes = [column[:count].tolist() for column in self._columns]
        flags, clocks = [bytes(column[:count]) for column in self._bytes]
        data = memoryview(bytes(self._payloads[: inbox.payloads_bytes]))
        payloads = [data[begin:end] for begin, end in pairwise(accumulate(sizes, initial=0))]
        inbox.count = inbox.payloads_bytes = 0
        return PictureRun(
            inbox.codec, inbox.epoch, inbox.first, payloads, flags, pts_90k, dts_90k, capture_us, uncertainty_us, clocks
        )

    @property
    def newest(self) -> tuple[int, int]:
        inbox = self.inbox
        return (inbox.epoch, inbox.first + inbox.count - 1) if inbox.count else (-1, -1)


class KernelInboxes:
    """The inboxes of one client, by subscription id, for all of its connections, one after another."""

    def __init__(self) -> None:
        self._known: dict[int, KernelInbox] = {}
        self._pointers = ffi.new("mk_inbox *[]", _LEAST_INBOXES)

    def add(self, subscription: int, inbox: KernelInbox) -> None:
        """What comes for that subscription goes there from now on, where it may stand there. What comes for one past
        `MOST_INBOXES` goes to Python."""
        if subscription >= MOST_INBOXES:
            return
        self._known[subscription] = inbox
        if subscription >= len(self._pointers):
            before, self._pointers = self._pointers, ffi.new("mk_inbox *[]", min(2 * subscription, MOST_INBOXES))
            ffi.memmove(self._pointers, before, ffi.sizeof(before))
        self._pointers[subscription] = inbox.inbox

    def forget(self, subscription: int) -> None:
        """Nothing more goes there."""
        if self._known.pop(subscription, None) is not None:
            self._pointers[subscription] = ffi.NULL

    def splitter(self, buffer: bytearray) -> "KernelSplitter":
        """Takes out of ``buffer``."""
        return KernelSplitter(self, buffer)

    def show(self, stream: Any) -> Any:
        """Shows a ``mk_stream`` its inboxes. Returns the library that fills them; None where there are none."""
        stream.inboxes, stream.inboxes_count = self._pointers, len(self._pointers)
        return next(iter(self._known.values())).kernel if self._known else None


class KernelSplitter:
    """What C takes out of one connection's buffer."""

    def __init__(self, inboxes: KernelInboxes, buffer: bytearray) -> None:
        self._inboxes = inboxes
        self._stream = stream = ffi.new("mk_stream *")
        self._buffer = stream.buffer = ffi.from_buffer("uint8_t[]", buffer)

    def split(self, begin: int, end: int) -> int:
        """Has pictures that lie in ``begin`` to ``end`` taken into their inboxes; returns where the next message begins
        that is not."""
        stream = self._stream
        kernel = self._inboxes.show(stream)
        if kernel is None:
            return begin
        stream.begin, stream.end = begin, end
        kernel.mk_split(stream)
        return int(stream.begin)
