"""The viewers of a feed that are sent every frame of it as it comes: one call of the send kernel serves them all.

A viewer joins after a frame that went out in the ordinary way, and leaves as soon as anything happens to its slot; then
its next frame goes the ordinary way again. What the kernel does for a viewer is what `RtpVideoTrack.send_live` does, or
nothing: where anything waits, where the bucket has too little, where the source's clock stepped back.
"""

from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

from services.media.output_order import Placement
from services.media.rtp import abs_send_time
from services.wall.relay.engine.kernel_batch import KernelBatch, StreamArray
from services.wall.relay.kernel.structs import LOOK, SLOW
from services.wall.relay.sending.frame import Frame, Shape
from services.wall.relay.sending.slot import Slot
from services.wall.relay.sending.track import SteadyWay

Sink = TypeVar("Sink")


class _Call(NamedTuple, Generic[Sink]):
    """Those that one call serves: they share a socket and the shape of their packets."""

    batch: KernelBatch
    way: SteadyWay
    array: StreamArray
    members: Sequence[tuple[Slot, Sink]]


class SteadyViewers(Generic[Sink]):
    """One feed's."""

    __slots__ = ("_calls", "_codec", "_members", "_others")

    def __init__(self) -> None:
        self._codec = 0
        """Of the frame by which the last one joined: its payload type stands in the streams."""
        self._members: dict[Slot, Sink] = {}
        self._calls: list[_Call[Sink]] | None = []
        self._others: tuple[Sink, ...] | None = None

    def __len__(self) -> int:
        return len(self._members)

    def join(self, slot: Slot, sink: Sink, frame: Frame) -> None:
        """Behind ``frame`` the slot is sent all frames here; ``sink`` is who would give it them otherwise."""
        self._codec = frame.codec
        if slot not in self._members:
            self._members[slot] = sink
            slot.steady = self
            self._calls = self._others = None

    def leave(self, slot: Slot) -> None:
        """``slot`` is sent nothing here any more."""
        if self._members.pop(slot, None) is not None:
            slot.steady = None
            self._calls = self._others = None

    def sinks_changed(self) -> None:
        """The feed has other sinks than before."""
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
        for batch, way, array, members in calls:
            shape: Shape = way.shapes[keyframe]
            layout = frame.layouts.get(shape) or frame.layout(shape, way.lay_out)
            way.sent_layouts.keep(layout, now)
            for place in batch.send_frame(layout, array, now, unit.dts_90k, shift, sent24, keyframe=keyframe):
                slot, sink = members[place]
                status = array.streams[place].status
                if status == LOOK:
                    slot.look_at_sent(frame, now)
                elif status == SLOW:
                    rest.append(sink)
                else:
                    slot.track.on_refused()
        return rest

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
        return self._calls
