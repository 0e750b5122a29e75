"""What this worker is to read: its assignments held against the catalogue. Pure: mirrors' contents in, plans out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from services.contracts.models import Assignment, Camera, Credentials, Id, Profile, ProfileName, ReaderName
from services.ingest.readers.source import Source

PREFIX: Final = "ingest."


@dataclass(frozen=True)
class CameraPlan:
    """A camera to be read. Profiles other than main wait until somebody wants them."""

    camera: Id
    site: Id
    epoch: int
    audio: bool
    profiles: dict[ProfileName, Profile]
    credentials: Credentials | None
    recorded: bool = True
    priority: int = 5

    def source(self, profile: ProfileName) -> Source:
        """What a reader needs to open a profile; audio comes along with main."""
        entry = self.profiles[profile]
        return Source(
            url=entry.url,
            transport=entry.transport,
            username=self.credentials.username if self.credentials else "",
            password=self.credentials.password if self.credentials else "",
            audio=self.audio and profile == "main",
        )

    def reader(self, profile: ProfileName) -> ReaderName:
        """What shall read a profile."""
        return self.profiles[profile].reader


def is_mine(assignment: Assignment, worker: Id, incarnation: int) -> bool:
    """Whether ``assignment`` names this worker.

    One that was made for an earlier incarnation of it counts: who is restarted goes on at once. One for a later
    incarnation means that another process goes by this name now.
    """
    mine = [index for index, name in enumerate(assignment.workers) if name == worker]
    return any(index >= len(assignment.incarnations) or assignment.incarnations[index] <= incarnation for index in mine)


def plans(
    worker: Id,
    incarnation: int,
    *,
    assignments: Mapping[str, tuple[Assignment, int]],
    cameras: Mapping[str, tuple[Camera, int]],
    credentials: Mapping[str, tuple[Credentials, int]],
) -> dict[Id, CameraPlan]:
    """Camera → what to read of it. Cameras that are disabled, or not (yet) in the catalogue, are left out."""
    found: dict[Id, CameraPlan] = {}
    for key, (assignment, revision) in assignments.items():
        if not key.startswith(PREFIX) or not is_mine(assignment, worker, incarnation):
            continue
        entry = cameras.get(assignment.camera)
        if entry is None or not entry[0].enabled:
            continue
        camera = entry[0]
        secret = credentials.get(camera.id)
        found[camera.id] = CameraPlan(
            camera=camera.id,
            site=camera.site,
            epoch=revision,
            audio=camera.audio,
            profiles=camera.profiles,
            credentials=secret[0] if secret else None,
            recorded=camera.record,
            priority=camera.priority,
        )
    return found
