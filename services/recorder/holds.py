"""Holds: which footage incidents keep from retention. Pure."""

from collections.abc import Iterable
from typing import NamedTuple

from services.mesh.models import Incident, IncidentStatus


class Hold(NamedTuple):
    """A camera's footage of a range is kept."""

    incident: str
    from_us: int
    to_us: int | None
    """None: still going on."""


class Holds:
    """All holds at one moment."""

    def __init__(self, incidents: Iterable[Incident], now_us: int) -> None:
        self._by_camera: dict[str, list[Hold]] = {}
        for incident in incidents:
            if _holds(incident, now_us):
                for camera in incident.cameras:
                    hold = Hold(incident.id, incident.from_us, incident.to_us)
                    self._by_camera.setdefault(camera, []).append(hold)

    def held(self, camera: str, from_us: int, to_us: int) -> bool:
        """Whether any of this footage is held."""
        return any(
            hold.from_us < to_us and (hold.to_us is None or hold.to_us > from_us)
            for hold in self._by_camera.get(camera, ())
        )


def _holds(incident: Incident, now_us: int) -> bool:
    """While it is open, and after it was closed until its release; without a release, it is not let go."""
    if incident.status is IncidentStatus.OPEN:
        return True
    return incident.release_us is None or incident.release_us > now_us
