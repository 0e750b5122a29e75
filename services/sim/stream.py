"""One profile of one simulated camera: the tracks, faults and clients of one RTSP URL."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from services.sim.faults import Fault, Faults
from services.sim.packetize import Reel
from services.sim.specs import StreamSpec
from services.sim.track import SimulatedTrack


class Watcher(Protocol):
    """A connection that asked for this stream."""

    def close(self, *, reset: bool) -> None:
        """Ends it; ``reset``: with RST, as a host does that has crashed."""


class SimulatedStream:
    """The profile's tracks, faults and clients."""

    def __init__(self, number: int, camera: str, profile: str, spec: StreamSpec) -> None:
        self.number = number
        self.camera = camera
        self.profile = profile
        self.spec = spec
        self.faults = Faults()
        self.tracks: tuple[SimulatedTrack, ...] = ()
        """Empty until the clips are loaded."""
        self.watchers: set[Watcher] = set()
        self.ready = asyncio.Event()

    def start(self, reels: Sequence[Reel], began: float) -> None:
        """Starts the tracks; frame 0 was at the loop time ``began``."""
        cname = f"{self.camera}@pantau-sim"
        self.tracks = tuple(SimulatedTrack(self.number, cname, reel, self.faults, began) for reel in reels)
        self.ready.set()

    def stop(self) -> None:
        """Ends every client and timer."""
        for track in self.tracks:
            track.stop()
        self.drop_clients()

    def set_fault(self, fault: Fault, value: float | None = None) -> None:
        """Makes a fault hold, or a one-shot fault happen. `Fault.RESOLUTION` also needs `change_reel`."""
        chosen = self.faults.set(fault, value)
        if fault is Fault.REFUSE:
            self.drop_clients(reset=True)
        elif fault is Fault.DROP:
            self.drop_clients()
            if not chosen:
                self.faults.clear(Fault.DROP)
        elif fault is Fault.CLOCK_JUMP:
            for track in self.tracks:
                track.jump_timestamps(chosen)
        elif fault is Fault.HUGE_FRAME:
            for track in self.tracks:
                track.send_huge_frame(int(chosen))

    def change_reel(self, reel: Reel) -> None:
        """Changes the clip of the video track, from its next keyframe on."""
        self.tracks[0].change_reel(reel)

    def drop_clients(self, *, reset: bool = False) -> None:
        """Ends all connections that asked for this stream."""
        for watcher in tuple(self.watchers):
            watcher.close(reset=reset)
