"""Which reader process has which camera. Pure: names and numbers in, names and numbers out."""

from collections.abc import Iterable, Mapping

from services.contracts.models import Id


class Placement:
    """Cameras over numbered processes, at most ``limit`` in each. Process 0 is always there, so that one is warm."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._processes: dict[int, list[Id]] = {0: []}
        self._next = 1

    def found(self, placed: Mapping[int, Iterable[Id]]) -> None:
        """Takes over processes that were there before, with the cameras that they have."""
        for number, cameras in placed.items():
            self._processes[number] = list(cameras)
            self._next = max(self._next, number + 1)

    @property
    def processes(self) -> dict[int, tuple[Id, ...]]:
        """Process → its cameras."""
        return {number: tuple(cameras) for number, cameras in self._processes.items()}

    def update(self, cameras: Iterable[Id]) -> None:
        """Takes what is assigned now. A camera stays where it is; a new one goes to the fullest process with room.

        The fullest, because a process that was split off for a crash (`split`) is the emptiest.
        """
        wanted = dict.fromkeys(cameras)
        for number, placed in list(self._processes.items()):
            placed[:] = [camera for camera in placed if camera in wanted]
            for camera in placed:
                del wanted[camera]
            if not placed and number:
                del self._processes[number]
        for camera in wanted:
            roomy = [number for number, placed in self._processes.items() if len(placed) < self._limit]
            number = max(roomy, key=lambda n: (len(self._processes[n]), -n)) if roomy else self._new()
            self._processes[number].append(camera)

    def split(self, number: int) -> None:
        """The process has crashed: half of its cameras go to a new one.

        If one of them is the cause, it is alone with its trouble after a few crashes.
        """
        placed = self._processes.get(number, [])
        if len(placed) > 1:
            half = len(placed) // 2
            self._processes[self._new()] = placed[half:]
            del placed[half:]

    def _new(self) -> int:
        number = self._next
        self._next += 1
        self._processes[number] = []
        return number
