"""Asks the ingest worker for a camera's newest keyframe, by its ``want`` subject."""

from typing import Final

from services.contracts import subjects
from services.contracts.errors import NobodyThereError, NotFoundError, UnavailableError
from services.contracts.frames import AccessUnit, decode
from services.contracts.models import Camera, ProfileName, WantReply
from services.mesh.bus import Bus
from services.mesh.want import ask_want
from services.wall.front.http.errors import NotLiveError

OPENING_SECONDS: Final = 1
"""A client may ask again after so long for a camera that is being opened."""


async def newest_keyframe(bus: Bus, camera: Camera, profile: ProfileName) -> AccessUnit:
    """The keyframe that the profile's cached GOP begins with.

    Raises `NotLiveError` where the camera delivers nothing, `NotFoundError` where it has no such profile,
    `UnavailableError` where no ingest worker answers or no keyframe has come yet.
    """
    try:
        async with ask_want(bus, subjects.want(camera.site, profile, camera.bus_id)) as answer:
            _require_live(answer.reply, camera)
            async for message in answer:
                if (unit := decode(message)).keyframe:
                    return unit
    except NobodyThereError as error:
        raise UnavailableError(f"no ingest worker holds {camera.name} just now; try again shortly") from error
    except UnavailableError as error:
        raise UnavailableError(f"no picture of {camera.name} came: {error.message}") from error
    raise UnavailableError(f"no keyframe of {camera.name} has come yet")


def _require_live(reply: WantReply, camera: Camera) -> None:
    """Raises what an answer means that no frames follow."""
    if reply.status == "unknown-profile":
        raise NotFoundError(f"{camera.name} has no such profile")
    if reply.status != "live":
        why = f": {reply.detail}" if reply.detail else ""
        raise NotLiveError(
            f"{camera.name} delivers nothing just now ({reply.reason}){why}", retry_after_seconds=OPENING_SECONDS
        )
