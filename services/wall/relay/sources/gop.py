"""The newest GOP of one camera profile, whole or not offered at all. Pure.

A decoder makes rubbish of a stream with a hole. After a hole nothing is passed on until it is mended by ingest's copy
of the GOP, or by the next keyframe (R5).
"""

from collections.abc import Sequence
from enum import Enum
from itertools import pairwise
from typing import Final

from services.contracts.frames import decode, order_of
from services.wall.relay.sending.frame import Frame

MAX_BYTES: Final = 24 * 1024 * 1024
"""Of payloads and `FRAME_BYTES` each; a GOP that is longer is not kept, and neither is what is held behind a hole."""
FRAME_BYTES: Final = 1024
"""About what a frame takes beside its payload."""


class FrameVerdict(Enum):
    """What to do with a frame that has just come."""

    SHOW = "show"
    """The next one: pass it on."""
    RESTART = "restart"
    """A keyframe that begins anew: another run, another ingest."""
    OLD = "old"
    HELD = "held"
    """Behind a hole: kept until that is mended."""
    HOLE = "hole"
    """Held, and the first to show that something is missing: ask for the GOP."""


class GopBuffer:
    """Is given frames in the order of their arrival, and keeps the newest GOP."""

    __slots__ = ("_bytes", "_frames", "_held", "_held_bytes", "_last", "_overflown", "_taken", "lost", "still")

    def __init__(self) -> None:
        self._frames: list[Frame] = []
        self._taken: list[bytes] = []
        """The messages of frames behind these, which nobody has asked for (`add_taken`)."""
        self.still: Frame | None = None
        """The newest keyframe, where what follows it is not kept: a picture of some time ago."""
        self.lost = 0
        """Frames that never came; it only grows."""
        self._last: tuple[int, int] | None = None
        """The order of the newest frame of these; see `_order`."""
        self._held: list[Frame] | None = []
        """Frames behind a hole; None while there is no hole. At the beginning all is hole."""
        self._held_bytes = 0
        self._bytes = 0
        self._overflown = False

    @property
    def frames(self) -> list[Frame]:
        """The newest GOP, keyframe first; empty while there is none that is whole."""
        self._fetch()
        return self._frames

    def _fetch(self) -> None:
        taken, self._taken = self._taken, []
        for message in taken:
            self._append(Frame(decode(message)))

    @property
    def _order(self) -> tuple[int, int] | None:
        """Of the newest frame; None before there is one."""
        return order_of(self._taken[-1]) if self._taken else self._last

    @property
    def room_bytes(self) -> int:
        """For so much more the GOP is kept, payloads and `FRAME_BYTES` each."""
        self._fetch()
        return 0 if self._overflown else MAX_BYTES - self._bytes

    def add_taken(self, message: bytes) -> None:
        """Takes a frame that follows, and for which there is room."""
        self._taken.append(message)

    @property
    def whole(self) -> bool:
        """Whether frames flow without a hole."""
        return self._held is None

    def has(self, frame: Frame) -> bool:
        """Whether the frame, or a later one, has been passed on, and nothing is missing."""
        last = self._order
        return self.whole and last is not None and frame.unit.order <= last

    def accept_frame(self, frame: Frame) -> FrameVerdict:
        """Takes a frame from the bus."""
        order, last = frame.unit.order, self._order
        newest = self._held[-1].unit.order if self._held else last
        if newest is not None and order <= newest:
            return FrameVerdict.OLD
        # A new epoch whose numbers go on is the same ingest: its service was restarted, the camera never closed.
        next_one = last is not None and order[1] == last[1] + 1
        anew = last is None or (order[0] != last[0] and not next_one) or frame.unit.discontinuity
        if frame.keyframe:
            if not anew and last is not None:
                self.lost += max(0, order[1] - last[1] - 1 - len(self._held or ()))
            self._begin([frame])
            return FrameVerdict.RESTART if anew else FrameVerdict.SHOW
        if self._held is not None:
            self._hold(frame)
            return FrameVerdict.HELD
        assert last is not None
        self._fetch()
        if anew or not next_one:
            self._held, self._held_bytes = [], 0
            self._hold(frame)
            return FrameVerdict.HOLE
        self._append(frame)
        return FrameVerdict.SHOW

    def mend_hole(self, gop: Sequence[Frame]) -> tuple[list[Frame], bool] | None:
        """Takes the ingest's copy of the GOP; what to show now, and whether that begins anew with a keyframe.

        None where it does not help: nothing was missing, or it does not reach to what is held.
        """
        if self._held is None or not gop or not gop[0].keyframe:
            return None
        joined = list(gop)
        for frame in self._held:
            order, end = frame.unit.order, joined[-1].unit.order
            if order <= end:
                continue
            if order != (end[0], end[1] + 1):
                return None
            joined.append(frame)
        orders = [frame.unit.order for frame in joined]
        if any(after != (before[0], before[1] + 1) for before, after in pairwise(orders)):
            return None
        last = self._order
        if last is not None and joined[-1].unit.order <= last:
            return None
        follows = last is not None and joined[0].unit.order <= (last[0], last[1] + 1) and last[0] == gop[0].unit.epoch
        self._begin(joined)
        if follows:
            return [frame for frame in joined if last is None or frame.unit.order > last], False
        return joined, True

    def _begin(self, frames: list[Frame]) -> None:
        self._held = self.still = None
        self._frames, self._taken = [], []
        self._bytes = 0
        self._overflown = False
        for frame in frames:
            self._append(frame)

    def _append(self, frame: Frame) -> None:
        self._last = frame.unit.order
        if self._overflown:
            return
        self._bytes += frame.size_bytes + FRAME_BYTES
        if self._bytes > MAX_BYTES:
            self._overflown = True
            self.still = self._frames[0] if self._frames else frame
            self._frames = []
            return
        self._frames.append(frame)

    def _hold(self, frame: Frame) -> None:
        assert self._held is not None
        self._held_bytes += frame.size_bytes + FRAME_BYTES
        if self._held_bytes > MAX_BYTES:
            self._held.clear()
            self._held_bytes = frame.size_bytes + FRAME_BYTES
        self._held.append(frame)
