"""The viewers of a feed that are sent every frame of it as it comes: one call of the send kernel serves them all.

A viewer joins after a frame that went out in the ordinary way, and leaves as soon as anything happens to its slot; then
its next frame goes the ordinary way again. What the kernel does for a viewer is what `RtpVideoTrack.send_live` does, or
nothing: where anything waits, where the bucket has too little, where the source's clock stepped back.

Where all of a feed's sinks are such viewers, the kernel also takes the feed's frames as they come (`lend`).
"""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final, Generic, NamedTuple, TypeVar

from services.media.output_order import Placement
from services.media.rtp import HEADER_BYTES, abs_send_time
from services.wall.relay.engine.kernel_batch import KernelBatch, StreamArray
from services.wall.relay.engine.kernel_feed import KernelFeed, TakingCall
from services.wall.relay.kernel.structs import LOOK, NOT_TAKEN, SLOW
from services.wall.relay.sending.frame import Frame, Shape
from services.wall.relay.sending.slot import Slot
from services.wall.relay.sending.track import SteadyWay

Sink = TypeVar("Sink")
FRAMES_TO_KEYFRAME: Final = 15
"""So many frames behind a keyframe nothing from before it is sent again: a receiver that has the keyframe needs none of
it, and one that lacks packets of it has asked for them by then."""


class _Call(NamedTuple, Generic[Sink]):
    """Those that one call serves: they share a socket and the shape of their packets."""

    batch: KernelBatch
    way: SteadyWay
    array: StreamArray
    members: Sequence[tuple[Slot, Sink]]

    def taking(self) -> TakingCall:
        """For frames that C takes, which are no keyframes."""
        extension_bytes, tag_bytes = self.way.shapes[False]
        return TakingCall(self.batch, self.array, HEADER_BYTES + extension_bytes, tag_bytes)


class SteadyViewers(Generic[Sink]):
    """One feed's."""

    __slots__ = ("_calls", "_codec", "_gops", "_loan", "_members", "_others", "_taking")

    def __init__(self) -> None:
        self._codec = 0
        """Of the frame by which the last one joined: its payload type stands in the streams."""
        self._members: dict[Slot, Sink] = {}
        self._calls: list[_Call[Sink]] | None = []
        self._others: tuple[Sink, ...] | None = None
        self._taking: Sequence[TakingCall] = ()
        """The calls, as C knows them."""
        self._loan: KernelFeed | None = None
        self._gops: deque[list[int]] = deque([[]])
        """The numbers of the frames that C has taken, in a list for each keyframe that it was lent to behind: those of
        the newest, and those before that are not dropped yet."""

    def __len__(self) -> int:
        return len(self._members)

    def join(self, slot: Slot, sink: Sink, frame: Frame) -> None:
        """Behind ``frame`` the slot is sent all frames here; ``sink`` is who would give it them otherwise."""
        self._codec = frame.codec
        if slot not in self._members:
            self._members[slot] = sink
            slot.steady = self
            self._changed()

    def leave(self, slot: Slot) -> None:
        """``slot`` is sent nothing here any more."""
        if self._members.pop(slot, None) is not None:
            slot.steady = None
            self._changed()

    def _changed(self) -> None:
        self._calls = self._others = self._loan = None

    def sinks_changed(self) -> None:
        """The feed has other sinks than before."""
        self.end_loan()
        self._others = None

    def others(self, sinks: set[Sink]) -> tuple[Sink, ...]:
        """Those of a feed's sinks that are not served here."""
        if self._others is None:
            self._others = tuple(sinks.difference(self._members.values()))
        return self._others

    def send_frame(self, frame: Frame, now: float) -> Sequence[Sink]:
        """Sends the next frame; returns the sinks that have to be given it in the ordinary way."""
        # Of a damaged picture the page is told, and another codec has another payload type.
        if frame.damaged or frame.codec != self._codec:
            return tuple(self._members.values())
        if not self._members or frame.placement is Placement.DROPPABLE:
            return ()
        calls = self._calls if self._calls is not None else self._group()
        unit, keyframe, sent24 = frame.unit, frame.keyframe, abs_send_time(now)
        shift = unit.pts_90k - unit.dts_90k
        rest: list[Sink] = []
        for call in calls:
            batch, way, array, _ = call
            shape: Shape = way.shapes[keyframe]
            layout = frame.layouts.get(shape) or frame.layout(shape, way.lay_out)
            way.sent_layouts.keep(layout, now)
            left = batch.send_frame(layout, array, now, unit.dts_90k, shift, sent24, keyframe=keyframe)
            if left:
                rest += _look_at(frame, ((call, place) for place in left), now)
        return rest

    # What C takes by itself.

    def lend(self, sinks: set[Sink], frame: Frame, room_bytes: int) -> None:
        """C takes the frames that follow ``frame``, if all of ``sinks`` are served here: until anything changes here,
        `end_loan`, or the GOP has no room for more."""
        if not self._members or frame.codec != self._codec:
            return
        calls = self._calls if self._calls is not None else self._group()
        if not calls or self.others(sinks):
            return
        if self._loan is None:
            self._loan = KernelFeed(calls[0].way.sent_layouts.serials)
        self._loan.lend(self._taking, frame.unit.codec, frame.unit.order, room_bytes)
        if frame.keyframe and self._gops[-1]:
            self._gops.append([])

    def end_loan(self) -> None:
        """C takes nothing more before it is lent to again."""
        if self._loan is not None:
            self._loan.end_loan()

    def take(self, message: bytes, now: float) -> int:
        """Gives C the feed's next message; a ``pk_taking``. `look_at_taken` is to follow where that says so."""
        loan = self._loan
        if loan is None or not (taken := loan.take(message, now)):
            return NOT_TAKEN
        assert self._calls
        layouts, gops = self._calls[0].way.sent_layouts, self._gops
        gops[-1].append(layouts.add_taken(message, now))
        if len(gops) > 1 and sum(map(len, gops)) - len(gops[0]) >= FRAMES_TO_KEYFRAME:
            layouts.drop_taken(gops.popleft())
        return taken

    def look_at_taken(self, frame: Frame, now: float) -> Sequence[Sink]:
        """Looks at those who were not simply sent ``frame``, which C has just taken; as `send_frame`."""
        loan, calls = self._loan, self._calls
        assert loan is not None
        assert calls is not None
        for call in calls:
            call.batch.count()
        return _look_at(frame, [(calls[number], place) for number, place in loan.left()], now)

    def _group(self) -> list[_Call[Sink]]:
        """The members by socket and shape."""
        found: dict[tuple[int, tuple[Shape, Shape]], list[tuple[Slot, Sink, SteadyWay]]] = {}
        for slot, sink in tuple(self._members.items()):
            way = slot.track.steady_way()
            if way is None:  # its socket is gone
                slot.leave_steady()
            else:
                found.setdefault((id(way.batch), way.shapes), []).append((slot, sink, way))
        self._calls = [
            _Call(
                group[0][2].batch,
                group[0][2],
                StreamArray([slot.track.stream for slot, _, _ in group]),
                [(slot, sink) for slot, sink, _ in group],
            )
            for group in found.values()
        ]
        self._taking = tuple(call.taking() for call in self._calls)
        return self._calls


def _look_at(frame: Frame, left: Iterable[tuple[_Call[Sink], int]], now: float) -> list[Sink]:
    """Looks at those who were not simply sent ``frame``, by their call and place; who is to be given it otherwise."""
    rest: list[Sink] = []
    for call, place in left:
        slot, sink = call.members[place]
        status = call.array.streams[place].status
        if status == LOOK:
            slot.look_at_sent(frame, now)
        elif status == SLOW:
            rest.append(sink)
        else:
            slot.track.on_refused()
    return rest
