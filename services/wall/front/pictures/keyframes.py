"""Asks the ingest worker for a camera's newest keyframe, by its ``want`` subject."""

import asyncio
from typing import Final

from pydantic import ValidationError

from services.contracts import subjects
from services.contracts.errors import NotFoundError, UnavailableError
from services.contracts.frames import AccessUnit, FrameError, decode
from services.contracts.models import Camera, ProfileName, WantReply
from services.mesh.bus import Bus, BusMessage
from services.wall.front.http.errors import NotLiveError

WANT_SECONDS: Final = 2.0
OPENING_SECONDS: Final = 1
"""A client may ask again after so long for a camera that is being opened."""


async def newest_keyframe(bus: Bus, camera: Camera, profile: ProfileName) -> AccessUnit:
    """The keyframe that the profile's cached GOP begins with.

    Raises `NotLiveError` where the camera delivers nothing, `NotFoundError` where it has no such profile,
    `UnavailableError` where no ingest worker answers or no keyframe has come yet.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[AccessUnit] = loop.create_future()
    status: WantReply | None = None

    async def collect(message: BusMessage) -> None:
        nonlocal status
        if answer.done():
            return
        try:
            if status is None:
                status = _status(message, camera)
            elif not message.data:
                answer.set_exception(UnavailableError(f"no keyframe of {camera.name} has come yet"))
            elif (unit := decode(message.data)).keyframe:
                answer.set_result(unit)
        except (NotLiveError, NotFoundError, UnavailableError, FrameError) as error:
            answer.set_exception(error)

    inbox = bus.new_inbox()
    subscription = await bus.subscribe(inbox, collect)
    try:
        await bus.publish(subjects.want(camera.site, profile, camera.id), b"", reply=inbox)
        async with asyncio.timeout(WANT_SECONDS):
            return await answer
    except TimeoutError as error:
        raise UnavailableError(f"no picture of {camera.name} came within {WANT_SECONDS:g} s") from error
    finally:
        await subscription.unsubscribe()


def _status(message: BusMessage, camera: Camera) -> WantReply:
    """What the first message of an answer says, where frames follow it; raises what it means otherwise."""
    if (message.headers or {}).get("Status") == "503":
        raise UnavailableError(f"no ingest worker holds {camera.name} just now; try again shortly")
    try:
        reply = WantReply.unpack(message.data)
    except (ValidationError, ValueError) as error:
        raise UnavailableError(f"the ingest worker of {camera.name} gave an answer that cannot be read") from error
    if reply.status == "unknown-profile":
        raise NotFoundError(f"{camera.name} has no such profile")
    if reply.status != "live":
        why = f": {reply.detail}" if reply.detail else ""
        raise NotLiveError(
            f"{camera.name} delivers nothing just now ({reply.reason}){why}", retry_after_seconds=OPENING_SECONDS
        )
    return reply
