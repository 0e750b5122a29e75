"""What a worker gives up while it has more to do than it can, step by step, and takes back afterwards. Pure.

In this order: the small streams that viewers have open; cameras that are not recorded; recorded ones; each by priority,
the lowest first. A step is a tenth of the cameras, so that the load tells whether it was enough before the next one.
At least a quarter of the cameras is always read: of three times what it carries a worker keeps a third. One that was so
late that it lost its lease publishes nothing, so it gives up more, until it has its lease again. At most a tenth of
those that are read comes back at once: of three times what it carries a tenth would be too much by far.

| look | what is done |
|---|---|
| overloaded, and pictures are lost or wait to be read | a step; none while less waits than at the look before |
| overloaded, and the loop so late that the lease is in danger | a step; no other where that one made it no sooner |
| neither, `BACK_LOOKS` in a row | some come back: half of the room that the CPU leaves, or 1, 2, 4, up to a tenth |

A worker that uses all of its CPU and keeps up with its cameras gives none up: the less CPU it has, the more it reads at
once, and the less each picture costs. For the same reason one that has given too much up may use all of it, and finds
out by taking back. A loop is also late where others leave it little CPU, with any number of cameras.

Where what came back was too much, the same are given up again, then twice as many, and so on. They come back later each
time, in halves of the way to what was too much.
"""

from collections.abc import Collection, Mapping
from math import ceil
from typing import Final, Literal, NamedTuple

from services.contracts.models import Id
from services.ingest.overload import CALM, FULL_LOAD, LATE_SECONDS, VERY_LATE_SECONDS, WorkerLoad

STEP_SHARE: Final = 0.1
EDGE_SHARE: Final = 0.025
"""Comes back at once where all of the CPU is used. That it was too much shows before anything is lost."""
URGENT_STEP_SHARE: Final = 0.3
"""The same where the worker loses pictures and is about to lose its lease, and with it all of its cameras."""
STEP_LOOKS: Final = 2
"""Looks between two steps: the load is measured from one to the next."""
BACK_LOOKS: Final = 5
"""So many looks in a row must be well before something is taken back."""
RELAPSE_LOOKS: Final = 20
"""Something is given up so soon after something was taken back: that was too much."""
MOST_BACK_LOOKS: Final = 160
"""Instead of `BACK_LOOKS`, which is doubled at each relapse."""
CATCHES_UP: Final = 0.95
"""At most so much of what waited at the look before waits now."""
SOONER: Final = 0.8
"""At most so late a loop is after a step that helped against its lateness."""
KEPT_SHARE: Final = 0.25
Shed = Literal["sub", "camera"]


class SheddableCamera(NamedTuple):
    """A camera of the worker."""

    recorded: bool
    priority: int
    sub_open: bool


class Shedding:
    """`look` at each report."""

    def __init__(self) -> None:
        self.shed: dict[Id, Shed] = {}
        """Camera → what is given up of it (``camera``: all), in the order in which it was."""
        self._since_step = STEP_LOOKS
        self._step = 0
        """So much was given up at the last one."""
        self._well = 0
        """Looks in a row at which cameras suffered from nothing that giving up more would mend."""
        self._late_seconds = float("inf")
        """At the last step, where that was too late."""
        self._timely = 0
        """Looks in a row at which the loop was not too late."""
        self._back_looks = BACK_LOOKS
        self._since_back = RELAPSE_LOOKS + 1
        self._taken_back = 0
        """So much at the last time."""
        self._too_many = float("inf")
        """Cameras that were read at the last relapse."""
        self._behind_seconds = 0.0
        self._cameras = 0
        """At the look before."""

    def look(self, cameras: Mapping[Id, SheddableCamera], load: WorkerLoad, *, overloaded: bool) -> None:
        """Takes what the worker reads, and its load since the look before."""
        catches_up = load.behind_seconds < self._behind_seconds * CATCHES_UP
        self._behind_seconds = load.behind_seconds
        for camera in self.shed.keys() - cameras.keys():
            del self.shed[camera]
        while len(cameras) < self._cameras and self._cameras_shed() > _most(len(cameras)):
            self._take_back()  # others have moved away
        self._cameras = len(cameras)
        self._since_step += 1
        self._since_back += 1
        late = self._is_late(load.late_seconds)
        suffers = load.loses or late
        if suffers:
            self._well = 0
            waits = catches_up and load.has_lease and not late
            if overloaded and self._since_step > STEP_LOOKS and not waits:
                self._give_up(cameras, load)
            return
        self._well += 1
        read = len(cameras) - self._cameras_shed()
        if self._since_back == RELAPSE_LOOKS:
            self._back_looks = BACK_LOOKS
            self._too_many = self._too_many if read < self._too_many else float("inf")
        near = LATE_SECONDS <= load.late_seconds < VERY_LATE_SECONDS  # more would cost it its lease
        if self.shed and self._well >= self._back_looks and not near:
            self._well = self._since_back = 0
            least = len(cameras) - _most(len(cameras))
            most = read * (STEP_SHARE if load.cpu < FULL_LOAD else EDGE_SHARE)
            grown = min(2 * self._taken_back, most) if self._too_many == float("inf") else 0
            room = min(max(_room(load.cpu, read), 2 * grown), self._too_many - read)
            self._taken_back = min(len(self.shed), max(1, least - read, int(room / 2)))
            for _ in range(self._taken_back):
                self._take_back()

    def _is_late(self, late_seconds: float) -> bool:
        """Whether the loop is too late, and giving up cameras may mend it."""
        if late_seconds >= VERY_LATE_SECONDS:
            self._timely = 0
            return late_seconds <= self._late_seconds * SOONER
        self._timely += 1
        if self._timely == RELAPSE_LOOKS:
            self._late_seconds = float("inf")
        return False

    def _give_up(self, cameras: Mapping[Id, SheddableCamera], load: WorkerLoad) -> None:
        too_late = load.late_seconds >= VERY_LATE_SECONDS
        if too_late:
            self._late_seconds = load.late_seconds
        step = max(1, round(len(cameras) * (URGENT_STEP_SHARE if too_late and load.loses else STEP_SHARE)))
        if self._since_back <= RELAPSE_LOOKS:
            self._too_many = len(cameras) - self._cameras_shed()
            step = min(step, self._taken_back)
            self._since_back = RELAPSE_LOOKS + 1
            self._back_looks = min(2 * self._back_looks, MOST_BACK_LOOKS)
        else:
            self._taken_back = 0
            if self._step and self._since_step <= RELAPSE_LOOKS:
                step = min(step, 2 * self._step)
        self._since_step, self._step = 0, step
        by_rank = sorted(cameras, key=lambda camera: (cameras[camera].recorded, cameras[camera].priority, camera))
        if subs := [camera for camera in by_rank if cameras[camera].sub_open and camera not in self.shed]:
            self.shed |= dict.fromkeys(subs[:step], "sub")
            return
        most = _most(len(cameras)) if load.has_lease else len(cameras) - 1
        step = min(step, most - self._cameras_shed())
        for camera in [camera for camera in by_rank if self.shed.get(camera) != "camera"][: max(0, step)]:
            self.shed.pop(camera, None)
            self.shed[camera] = "camera"

    def _take_back(self) -> None:
        """The one that was given up last, and cameras before their small streams."""
        camera = next((name for name in reversed(self.shed) if self.shed[name] == "camera"), next(reversed(self.shed)))
        del self.shed[camera]

    def _cameras_shed(self) -> int:
        return sum(kind == "camera" for kind in self.shed.values())


def _most(cameras: int) -> int:
    """How many of the cameras may be given up whole."""
    return cameras - ceil(cameras * KEPT_SHARE)


def _room(cpu: float, cameras: int) -> float:
    """How many more may be read, where each costs what those that are read do."""
    cost = max(cpu, 0.001) / max(1, cameras)
    return (FULL_LOAD * CALM - cpu) / cost


def shed_text(shed: Mapping[Id, Shed]) -> str:
    """For people; empty where nothing is given up."""
    counts = {kind: _count(shed.values(), kind) for kind in ("camera", "sub")}
    parts = []
    if counts["camera"]:
        parts.append(f"{counts['camera']} cameras are not read")
    if counts["sub"]:
        parts.append(f"{counts['sub']} small streams are closed")
    return ", ".join(parts)


def _count(values: Collection[Shed], kind: str) -> int:
    return sum(value == kind for value in values)
