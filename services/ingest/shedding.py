"""What a worker gives up while it has more to do than it can, step by step, and takes back afterwards. Pure.

In this order: the small streams that viewers have open; cameras that are not recorded; recorded ones; each by priority,
the lowest first. A step is a tenth of the cameras, so that the load tells whether it was enough before the next one.
At least a quarter of the cameras is always read: of three times what it carries a worker keeps a third.

A worker that uses all of its CPU and keeps up with its cameras gives none up. What waited before a step is read
after it, and takes all of the CPU meanwhile: while less waits from look to look, the next step is not taken. Cameras
come back in halves of the room that the CPU leaves. Where that was too much, the same are given up again, and come back
later each time, in halves of the way to what was too much.
"""

from collections.abc import Collection, Mapping
from math import ceil
from typing import Final, Literal, NamedTuple

from services.contracts.models import Id
from services.ingest.overload import CALM, FULL_LOAD, NOT_BEHIND_SECONDS

STEP_SHARE: Final = 0.1
URGENT_STEP_SHARE: Final = 0.3
"""The same where the worker is about to lose its lease, and with it all of its cameras."""
STEP_LOOKS: Final = 2
"""Looks between two steps: the load is measured from one to the next."""
BACK_LOOKS: Final = 5
"""So many looks in a row there must be room before something is taken back."""
RELAPSE_LOOKS: Final = 20
"""Something is given up so soon after something was taken back: that was too much."""
MOST_BACK_LOOKS: Final = 160
"""Instead of `BACK_LOOKS`, which is doubled at each relapse."""
CATCHES_UP: Final = 0.95
"""At most so much of what waited at the look before waits now."""
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
        self._back_looks = BACK_LOOKS
        self._since_back = RELAPSE_LOOKS + 1
        self._taken_back = 0
        """So much at the last time."""
        self._too_many = float("inf")
        """Cameras that were read at the last relapse."""
        self._behind_seconds = 0.0

    def look(
        self,
        cameras: Mapping[Id, SheddableCamera],
        *,
        overloaded: bool,
        cpu: float,
        behind_seconds: float = 0.0,
        harms: bool = True,
        urgent: bool = False,
    ) -> None:
        """Takes what the worker reads, and its load since the look before. ``harms``: cameras suffer from it;
        ``urgent``: larger steps are needed."""
        catches_up = behind_seconds < self._behind_seconds * CATCHES_UP
        self._behind_seconds = behind_seconds
        for camera in self.shed.keys() - cameras.keys():
            del self.shed[camera]
        while self._cameras_shed() > _most(len(cameras)):
            self._take_back()  # others have moved away
        self._since_step += 1
        self._since_back += 1
        if overloaded:
            self._with_room = 0
            if harms and self._since_step > STEP_LOOKS and not catches_up:
                self._give_up(cameras, URGENT_STEP_SHARE if urgent else STEP_SHARE)
            return
        read = len(cameras) - self._cameras_shed()
        if self._since_back == RELAPSE_LOOKS:
            self._back_looks = BACK_LOOKS
            self._too_many = self._too_many if read < self._too_many else float("inf")
        room = _room(cpu, read)
        self._with_room = self._with_room + 1 if self.shed and room >= 1 and behind_seconds < NOT_BEHIND_SECONDS else 0
        if self._with_room >= self._back_looks:
            self._since_back = 0
            self._taken_back = min(len(self.shed), max(1, int(min(room, self._too_many - read) / 2)))
            for _ in range(self._taken_back):
                self._take_back()

    def _give_up(self, cameras: Mapping[Id, SheddableCamera], share: float) -> None:
        step = max(1, round(len(cameras) * share))
        self._since_step = 0
        if self._since_back <= RELAPSE_LOOKS:
            self._too_many = len(cameras) - self._cameras_shed()
            step = min(step, self._taken_back)
            self._since_back = RELAPSE_LOOKS + 1
            self._back_looks = min(2 * self._back_looks, MOST_BACK_LOOKS)
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
