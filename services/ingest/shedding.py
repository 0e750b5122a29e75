"""What a worker gives up while it has more to do than it can, step by step, and takes back afterwards. Pure.

In this order: the small streams that viewers have open; cameras that are not recorded; recorded ones; each by priority,
the lowest first. A step is a tenth of the cameras, so that the load tells whether it was enough before the next one.
At least a quarter of the cameras is always read: of three times what it carries a worker keeps a third.
"""

from collections.abc import Collection, Mapping
from math import ceil
from typing import Final, Literal, NamedTuple

from services.contracts.models import Id
from services.ingest.overload import CALM, FULL_LOAD

STEP_SHARE: Final = 0.1
URGENT_STEP_SHARE: Final = 0.3
"""The same where the worker is about to lose its lease, and with it all of its cameras."""
STEP_LOOKS: Final = 2
"""Looks between two steps: the load is measured from one to the next."""
BACK_LOOKS: Final = 5
"""So many looks in a row there must be room before something is taken back."""
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
        self._with_room = 0

    def look(
        self, cameras: Mapping[Id, SheddableCamera], *, overloaded: bool, cpu: float, urgent: bool = False
    ) -> None:
        """Takes what the worker reads, and its load since the look before. ``urgent``: larger steps are needed."""
        for camera in self.shed.keys() - cameras.keys():
            del self.shed[camera]
        while self._cameras_shed() > _most(len(cameras)):
            self._take_back()  # others have moved away
        self._since_step += 1
        if overloaded:
            self._with_room = 0
            if self._since_step > STEP_LOOKS:
                self._give_up(cameras, URGENT_STEP_SHARE if urgent else STEP_SHARE)
        elif self.shed and cpu + _cost(cpu, len(cameras) - self._cameras_shed()) < FULL_LOAD * CALM:
            self._with_room += 1
            if self._with_room >= BACK_LOOKS:
                self._take_back()
        else:
            self._with_room = 0

    def _give_up(self, cameras: Mapping[Id, SheddableCamera], share: float) -> None:
        step = max(1, round(len(cameras) * share))
        self._since_step = 0
        by_rank = sorted(cameras, key=lambda camera: (cameras[camera].recorded, cameras[camera].priority, camera))
        if subs := [camera for camera in by_rank if cameras[camera].sub_open and camera not in self.shed]:
            self.shed |= dict.fromkeys(subs[:step], "sub")
            return
        step = min(step, _most(len(cameras)) - self._cameras_shed())
        for camera in [camera for camera in by_rank if self.shed.get(camera) != "camera"][: max(0, step)]:
            self.shed.pop(camera, None)
            self.shed[camera] = "camera"

    def _take_back(self) -> None:
        """The one that was given up last, and cameras before their small streams."""
        self._with_room = 0
        camera = next((name for name in reversed(self.shed) if self.shed[name] == "camera"), next(reversed(self.shed)))
        del self.shed[camera]

    def _cameras_shed(self) -> int:
        return sum(kind == "camera" for kind in self.shed.values())


def _most(cameras: int) -> int:
    """How many of the cameras may be given up whole."""
    return cameras - ceil(cameras * KEPT_SHARE)


def _cost(cpu: float, cameras: int) -> float:
    """What one camera more will cost."""
    return cpu / max(1, cameras)


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
