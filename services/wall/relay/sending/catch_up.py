"""The instant picture: what of a slot's replayed GOP goes out when, and what may follow it. Pure: times are handed in.

A slot that begins is sent the cached GOP: its first picture, then the rest, then live frames. Browsers show no picture
of a frame that has ten more behind it in the decoder. Where several slots begin together, the rest of each therefore
stands back until the page has seen the first pictures of all (R6; docs/decisions/0008).

How far a slot's replay is (`Phase`), and whether what waits in its lane is held back:

| from | when | to |
|---|---|---|
| any | the slot is aimed elsewhere, or what waits is dropped | none |
| any | a replay begins | first |
| first | its first frame is out | unseen; what waits is held |
| unseen | not seen for `UNSEEN_SECONDS` | unseen; the next frame goes out, what is behind it is held |
| unseen | the page has seen the first frame | rest; what waits is held while any slot is first or unseen |
| first, unseen | more of the same replay comes | no change; it waits behind the first frame |
| none, rest | more of the same replay comes | rest; what waits is held while any slot is unseen |
| rest, held | no slot is first or unseen, or the time to stand back is over | rest; what waits goes out |
| unseen | the time to stand back is over | rest; what waits goes out |
| unseen, rest | nothing waits any more | the viewer has caught up; rest: none |
| any but none | a live keyframe comes while its frames wait | none: they are dropped, the viewer has caught up |

The time to stand back begins when a first frame is out: as long as the source gave it where no other slot is unseen,
and `STAND_BACK_SECONDS` from the second one on. Not every receiver says what it has seen (R7).

What may follow (`whole`, `by_keyframes`):

| from | when | to |
|---|---|---|
| any | the slot is aimed elsewhere, or a frame is left out | a keyframe |
| any | a replay begins that ends with the present | any frame |
| any | a replay begins of one picture alone | a keyframe |
| a keyframe | it is sent | any frame |
| any | another profile begins to stand in | keyframes alone, for `STAND_IN_SECONDS` |
| keyframes alone | that time is over, or the awaited profile is there or cannot come | a replay of what is shown then |

What a request for a keyframe (PLI, FIR) is answered with:

| when | answer |
|---|---|
| frames of a replay wait | none; they begin with a keyframe |
| the last replay began less than `REPLAY_PAUSE_SECONDS` ago, or than it takes to decode | none; see there |
| nothing was sent for `STILL_SECONDS`, and one such request was answered since | none; see `STILL_SECONDS` |
| else | a replay |
"""

from collections.abc import Sequence
from enum import Enum
from typing import Final

STAND_BACK_SECONDS: Final = 0.6
UNSEEN_SECONDS: Final = 0.1
"""A browser now and then shows no frame that nothing follows, and misses no packets that were lost last."""
STAND_IN_SECONDS: Final = 3.0
"""Sixteen whole mains are more than a browser on two cores decodes. They would hold up the subs that they stand in
for."""
REPLAY_PAUSE_SECONDS: Final = 1.0
"""Browsers ask every 180 ms until a keyframe is decoded, and without end where they can make nothing of a stream. That
must not multiply what is sent: a GOP of a minute that is sent once more is decoded later still."""
DECODE_SECONDS: Final = 0.004
"""What a busy browser takes for a frame."""
STILL_SECONDS: Final = 2.0
"""Chromium asks for a keyframe when nothing came for 3 s, although it may have all. The first such request is answered,
since the last packet may have been lost; every answer would bring the next request."""


class Phase(Enum):
    """How far a slot's replay is."""

    NONE = "none"
    """Nothing of one waits, and its first picture was seen."""
    FIRST = "first"
    """Its first frame is on its way out."""
    UNSEEN = "unseen"
    """Its first frame is out. The page has not said that it shows it."""
    REST = "rest"
    """What leads on from the first picture waits, or is on its way out."""


class CatchUps:
    """One connection's: which of them stand back."""

    __slots__ = ("_under_way", "_until")

    def __init__(self) -> None:
        self._under_way: dict[CatchUp, None] = {}
        """Those whose phase is not none, in the order in which they began."""
        self._until = float("-inf")
        """When nothing stands back any longer."""

    def enter(self, catch_up: "CatchUp", phase: Phase) -> None:
        """A slot's phase has changed."""
        if phase is Phase.NONE:
            self._under_way.pop(catch_up, None)
        else:
            self._under_way[catch_up] = None

    @property
    def any_unseen(self) -> bool:
        """Whether the first frame of a replay is out and perhaps not seen."""
        return any(each.phase is Phase.UNSEEN for each in self._under_way)

    @property
    def any_rest(self) -> bool:
        """Whether what leads on from a first picture is sent now."""
        return any(each.phase is Phase.REST and not each.held for each in self._under_way)

    def stand_back(self, now: float, first_seconds: float) -> None:
        """The first frame of one more replay is out; ``first_seconds``: the time that it is given to be seen."""
        unseen = sum(each.phase is Phase.UNSEEN for each in self._under_way)
        if unseen == 0:
            self._until = now + first_seconds
        elif unseen == 1:
            self._until = now + STAND_BACK_SECONDS

    def let_on(self, now: float) -> Sequence["CatchUp"]:
        """Those whose frames need not be held any longer. Ask whenever time has passed."""
        under_way = self._under_way
        if not under_way:
            return ()
        if now >= self._until or not any(each.phase in (Phase.FIRST, Phase.UNSEEN) for each in under_way):
            return [each for each in tuple(under_way) if each.let_on()]
        for each in under_way:  # one a turn
            if each.is_overdue(now):
                return (each,)
        return ()


class CatchUp:
    """One slot's."""

    __slots__ = (
        "_answered_still",
        "_first_seconds",
        "_group",
        "_next_at",
        "_pause_seconds",
        "_replayed_at",
        "_replayed_from",
        "_sent_at",
        "_stand_in_until",
        "by_keyframes",
        "held",
        "lane",
        "phase",
        "waiting",
        "whole",
    )

    def __init__(self, lane: int, group: CatchUps) -> None:
        self.lane = lane
        self.phase = Phase.NONE
        self.held = False
        """Whether what waits in the lane stands back."""
        self.waiting = False
        """Whether frames of a replay wait: the viewer has not caught up."""
        self.whole = False
        """Whether any frame may follow; else only a keyframe or a replay."""
        self.by_keyframes = False
        """Whether another profile stands in, of which keyframes alone are sent."""
        self._group = group
        self._first_seconds = 0.0
        self._next_at = 0.0
        """When an unseen slot is sent its next frame."""
        self._replayed_from = 0
        """The replay's first RTP timestamp."""
        self._replayed_at = float("-inf")
        self._pause_seconds = REPLAY_PAUSE_SECONDS
        self._sent_at = float("-inf")
        self._answered_still: float | None = None
        """`_sent_at` after the answer to a request that came while nothing was sent."""
        self._stand_in_until = float("-inf")

    def _enter(self, phase: Phase) -> None:
        self.phase = phase
        self._group.enter(self, phase)

    # What the slot tells.

    def aim(self) -> None:
        """The slot shows something else from now on."""
        self.drop()
        self.whole = self.by_keyframes = False
        self._replayed_at = float("-inf")

    def begin(self, first_rtp: int, now: float, first_seconds: float, *, whole: bool, frames: int = 1) -> None:
        """A replay of so many ``frames`` begins; nothing waits. ``whole``: it ends with the present, and any frame may
        follow.

        ``first_rtp`` is its first frame's RTP timestamp, ``first_seconds`` what a browser takes to show that frame
        where nothing else begins.
        """
        self._replayed_from, self._first_seconds = first_rtp, first_seconds
        self._pause_seconds = max(REPLAY_PAUSE_SECONDS, DECODE_SECONDS * frames)
        self._replayed_at = self._sent_at = now
        self.whole, self.waiting, self.held = whole, True, False
        self._enter(Phase.FIRST)

    def go_on(self, now: float, frames: int = 1) -> None:
        """So many ``frames`` more of the same replay wait, and any frame may follow them."""
        self._pause_seconds = max(REPLAY_PAUSE_SECONDS, DECODE_SECONDS * frames)
        self._replayed_at = self._sent_at = now
        self.whole = self.waiting = True
        if self.phase is Phase.FIRST:
            return
        self.held = self.held or self._group.any_unseen
        if self.phase is Phase.NONE:
            self._enter(Phase.REST)

    def drop(self) -> None:
        """What waits in the lane is dropped."""
        self.held = self.waiting = False
        self._enter(Phase.NONE)

    def frame_sent(self, now: float) -> None:
        """A live frame was sent, or waits behind what is in the lane."""
        self.whole = True
        self._sent_at = max(self._sent_at, now)

    def leave_out(self) -> None:
        """A frame is left out: nothing but a keyframe can be decoded after it."""
        self.whole = False

    def answers_request(self, now: float) -> bool:
        """Whether a request for a keyframe is to be answered with a replay."""
        if self.waiting or now - self._replayed_at < self._pause_seconds:
            return False
        return not self.is_still(now) or self._answered_still != self._sent_at

    def is_still(self, now: float) -> bool:
        """Whether nothing has been sent for long."""
        return now - self._sent_at > STILL_SECONDS

    def answered_while_still(self) -> None:
        """A request was answered although nothing had been sent for long: once is enough until something is."""
        self._answered_still = self._sent_at

    def stand_in(self, now: float) -> None:
        """Another profile is shown until the one that is wanted comes."""
        self.by_keyframes = True
        self._stand_in_until = now + STAND_IN_SECONDS

    def stand_in_is_over(self, now: float) -> bool:
        """Whether the wanted profile has been awaited for long enough."""
        return now >= self._stand_in_until

    def end_stand_in(self) -> None:
        """All frames of what is shown now are sent again."""
        self.by_keyframes = False

    # What sending tells.

    def frame_out(self, now: float, *, more: bool) -> bool:
        """A frame has left the lane whole; whether the viewer has caught up by it. ``more``: others wait behind it."""
        if self.phase is Phase.FIRST:
            self._group.stand_back(now, self._first_seconds)
            self._next_at = now + UNSEEN_SECONDS
            self._enter(Phase.UNSEEN)
        if self.phase is Phase.UNSEEN:
            self.held = more
        caught_up = self.waiting and not more
        if not more:
            self.waiting = False
            if self.phase is Phase.REST:
                self._enter(Phase.NONE)
        return caught_up

    def seen(self, rtp: int) -> None:
        """The page shows the frame of this RTP timestamp. One from before the present replay does not count."""
        if self.phase is Phase.UNSEEN and (rtp - self._replayed_from) & 0xFFFFFFFF < 1 << 31:
            self._enter(Phase.REST if self.waiting or self.held else Phase.NONE)

    # What the group asks.

    def let_on(self) -> bool:
        """Nothing stands back any longer; whether this one did."""
        held, self.held = self.held, False
        if self.phase is Phase.UNSEEN:
            self._enter(Phase.REST if self.waiting or held else Phase.NONE)
        return held

    def is_overdue(self, now: float) -> bool:
        """Whether the first frame has not been seen for too long. Then the next one is held no longer: release the
        lane."""
        if self.phase is not Phase.UNSEEN or not self.held or now < self._next_at:
            return False
        self._next_at = now + UNSEEN_SECONDS
        self.held = False
        return True
