"""On which disk a stream's next segment goes. Pure.

A stream stays where it is while that disk has room, so that its footage lies together; else it goes where there is
the most room for each stream that writes there already.
"""

from collections.abc import Hashable, Mapping
from typing import NamedTuple, TypeVar

D = TypeVar("D", bound=Hashable)


class Room(NamedTuple):
    """A usable disk as seen now."""

    free_bytes: int
    """Above the floor that is kept free; negative when below it."""
    streams: int
    """That write to it."""


def choose(rooms: Mapping[D, Room], current: D | None) -> D | None:
    """The disk for the next segment; None where there is no usable one. A full disk is better than none."""
    if not rooms:
        return None
    if (
        current is not None
        and current in rooms
        and (rooms[current].free_bytes > 0 or all(room.free_bytes <= 0 for room in rooms.values()))
    ):
        return current
    return max(rooms, key=lambda disk: _share(rooms[disk]))


def _share(room: Room) -> float:
    return room.free_bytes / (room.streams + 1) if room.free_bytes > 0 else float(room.free_bytes)
