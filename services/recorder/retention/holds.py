"""Holds: which footage incidents keep from retention. Pure."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple, Protocol

from services.contracts.models import Incident, IncidentStatus
from services.recorder.storage.paths import RecordedStream

REFRESH_SECONDS: Final = 0.1


class Hold(NamedTuple):
    """A camera's footage of a range is kept."""

    incident: str
    from_us: int
    to_us: int | None
    """None: still going on."""


class FootageSpan(Protocol):
    """A segment, or a copy of one."""

    @property
    def stream(self) -> RecordedStream: ...
    @property
    def start_us(self) -> int: ...
    @property
    def end_us(self) -> int: ...


class Holds:
    """All holds at one moment."""

    def __init__(self, incidents: Iterable[Incident], now_us: int) -> None:
        self._by_camera: dict[str, list[Hold]] = {}
        for incident in incidents:
            if _holds(incident, now_us):
                for camera in incident.cameras:
                    hold = Hold(incident.id, incident.from_us, incident.to_us)
                    self._by_camera.setdefault(camera, []).append(hold)

    def of(self, camera: str) -> Sequence[Hold]:
        """A camera's holds."""
        return self._by_camera.get(camera, ())

    def holds(self, item: FootageSpan) -> bool:
        """Whether any of a segment's footage is held."""
        return self.held(item.stream.camera, item.start_us, item.end_us)

    def held(self, camera: str, from_us: int, to_us: int) -> bool:
        """Whether any of this footage is held."""
        return any(
            hold.from_us < to_us and (hold.to_us is None or hold.to_us > from_us)
            for hold in self._by_camera.get(camera, ())
        )


class CurrentHolds:
    """The present holds, at most `REFRESH_SECONDS` old. Belongs to one thread at a time.

    A retention pass may take minutes, and an incident that is opened meanwhile holds its footage too (I7).
    """

    def __init__(
        self, incidents: Callable[[], Iterable[Incident]], now_us: Callable[[], int], monotonic: Callable[[], float]
    ) -> None:
        self._incidents = incidents
        self._now_us = now_us
        self._monotonic = monotonic
        self._read_at = float("-inf")
        self._holds = Holds((), 0)

    def held(self, camera: str, from_us: int, to_us: int) -> bool:
        now = self._monotonic()
        if now - self._read_at >= REFRESH_SECONDS:
            self._holds = Holds(self._incidents(), self._now_us())
            self._read_at = now
        return self._holds.held(camera, from_us, to_us)


def _holds(incident: Incident, now_us: int) -> bool:
    """An incident holds while it is open, and after it was closed until its release; without a release for ever."""
    if incident.status is IncidentStatus.OPEN:
        return True
    return incident.release_us is None or incident.release_us > now_us
