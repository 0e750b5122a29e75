"""Which retention ladder a camera has."""

from services.contracts.ladder import Ladder, parse_ladder
from services.contracts.models import Camera
from services.mesh.buckets import Mirror
from services.mesh.log import get_logger
from services.recorder.settings import RecorderSettings

log = get_logger()


class CameraLadders:
    """The settings' ladders over the catalogue."""

    def __init__(self, settings: RecorderSettings, cameras: Mirror[Camera]) -> None:
        self._cameras = cameras
        self._default = parse_ladder(settings.retention)
        self._groups = {tag: parse_ladder(text) for tag, text in settings.retention_groups.items()}

    def of(self, camera: str) -> Ladder:
        """The camera's own, else that of its first tag that has one, else the default."""
        entry = self._cameras.get(camera)
        if entry is None:
            return self._default
        if entry.retention:
            try:
                return parse_ladder(entry.retention)
            except ValueError as error:
                log.warning("retention.bad_ladder", camera=camera, error=error)
        return next((self._groups[tag] for tag in entry.tags if tag in self._groups), self._default)
