"""``/api/v1/probe``: what a camera offers, before it is saved. Ingest opens it; nothing of it is kept."""

from base64 import b64encode
from typing import Final

from aiohttp import web
from pydantic import BaseModel, Field

from services.contracts import subjects
from services.contracts.catalogue import NamesSources
from services.contracts.frames import Codec
from services.contracts.models import Credentials, Id, Profile, ProfileName, Reason
from services.contracts.probe import PROBE_SECONDS, ProbedStream, ProbeQuestion, ProbeReply
from services.mesh.rpc import call as ask
from services.wall.front.context import FrontRequest
from services.wall.front.http.errors import FieldError, FieldsError
from services.wall.front.http.route import json_response
from services.wall.front.pictures.picture_cache import PictureError

STILL_WIDTH_PX: Final = 640


class ProbeInput(NamesSources):
    """What to look at; URLs may carry ``user:password@``, as a camera's may."""

    profiles: dict[ProfileName, Profile] = Field(description="`main`, and `sub` where its address is known.")
    credentials: Credentials | None = None
    camera: Id | None = Field(
        default=None, description="The camera that is being changed: its kept credentials serve where none are given."
    )


class ProbedStreamView(BaseModel):
    """One address and what it offers."""

    url: str
    reason: Reason
    """Why there is no picture; `none`: there is one."""
    detail: str
    codec: str
    width_px: int
    height_px: int
    frame_rate: float
    bitrate_bps: int
    audio_codec: str
    still: str
    """A JPEG in Base64; empty where there is none."""


class ProbeView(BaseModel):
    """What was found."""

    main: ProbedStreamView
    sub: ProbedStreamView | None = None
    """The given sub profile, else one that was found; None: neither."""


async def probe_source(request: FrontRequest) -> web.Response:
    """Opens the addresses once each and tells what they offer, or why nothing came."""
    body = await request.json(ProbeInput)
    main = body.profiles.get("main")
    if main is None:
        raise FieldsError([FieldError("profiles.main", "must be given")])
    question = ProbeQuestion(main=main, sub=body.profiles.get("sub"), credentials=body.credentials, camera=body.camera)
    subject = subjects.rpc(request.front.home, "ingest", "probe")
    reply = await ask(
        request.front.bus, subject, question, ProbeReply, actor=request.actor, timeout_seconds=PROBE_SECONDS
    )
    sub = None if reply.sub is None else await _view(request, reply.sub)
    return json_response(ProbeView(main=await _view(request, reply.main), sub=sub))


async def _view(request: FrontRequest, stream: ProbedStream) -> ProbedStreamView:
    still = b""
    if stream.keyframe:
        try:
            codec = Codec.of(stream.codec)
            still = await request.front.snapshots.decode_still(codec, stream.keyframe, STILL_WIDTH_PX)
        except PictureError:
            still = b""  # what it is made of is told all the same
    figures = stream.model_dump(exclude={"keyframe"})
    return ProbedStreamView(**figures, still=b64encode(still).decode())
