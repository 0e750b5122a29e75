"""Whether a camera delivers, as the registry observes it."""

from typing import Final

from services.contracts.models import Camera, CameraState, Status
from services.wall.front.context import Front
from services.wall.front.http.errors import NotLiveError

RETRY_SECONDS: Final = 2
"""After which a client may ask again for a camera that is not live."""


def not_live(camera: Camera, state: CameraState | None) -> str | None:
    """Why the camera delivers nothing just now, for a person; None where it is live."""
    if not camera.enabled:
        return f"{camera.name} is disabled"
    if state is None:
        return f"nothing has been heard of {camera.name} yet"
    if state.status in (Status.ONLINE, Status.DEGRADED):
        return None
    why = f": {state.detail}" if state.detail else ""
    return f"{camera.name} is {state.status} ({state.reason}){why}"


def require_live(front: Front, camera: Camera) -> None:
    """Raises `NotLiveError` with ``Retry-After`` where the camera delivers nothing."""
    if reason := not_live(camera, front.states.get(camera.id)):
        raise NotLiveError(f"{reason}; try again shortly", retry_after_seconds=RETRY_SECONDS)
