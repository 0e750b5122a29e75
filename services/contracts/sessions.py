"""Messages about a viewing session between front and relay, and through the front with the page.

A session is one PeerConnection with N slots. The page's messages arrive at the front's WebSocket as JSON and go to the
session's relay as a micro request; the relay's notices go out on the session's subject and the front passes them on.
Both sides use these models, so the WebSocket's protocol and the bus's are the same.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Final, Literal
from zlib import crc32

import msgpack
from pydantic import Field, TypeAdapter

from services.contracts.models import Id, Model, PrivacyMasks, ProfileName, Reason, UnixUs
from services.contracts.permissions import Right
from services.contracts.subjects import ROOT

MAX_SLOTS = 64


_MARK_DIGITS = 4


def carried(cameras: Iterable[str]) -> str:
    """Marks of cameras for a relay's lease (``detail["cameras"]``): short, and now and then alike for two of them."""
    return "".join(sorted({f"{crc32(camera.encode()) & 0xFFFF:0{_MARK_DIGITS}x}" for camera in cameras}))


def count_carried(cameras: Iterable[str], marks: str) -> int:
    """How many of ``cameras`` a relay carries that told ``marks``."""
    known = {marks[at : at + _MARK_DIGITS] for at in range(0, len(marks), _MARK_DIGITS)}
    return sum(carried((camera,)) in known for camera in set(cameras))


def notices(home: str, session: str) -> str:
    """The subject of a relay's notices to a session's front, which passes them on to the page."""
    return f"{ROOT}.{home}.session.{session}"


class Aim(Model):
    """Point a slot at a camera; no camera empties it."""

    type: Literal["aim"] = "aim"
    slot: int = Field(ge=0, lt=MAX_SLOTS)
    camera: Id | None = None
    profile: Literal["auto", "main", "sub"] = "auto"
    source: Literal["live", "recorded"] = "live"
    """A recorded slot follows the session's one clock."""


class Size(Model):
    """How large a tile is on the screen, in physical pixels: `auto` chooses by it. 0 × 0: not visible, send nothing."""

    type: Literal["size"] = "size"
    slot: int = Field(ge=0, lt=MAX_SLOTS)
    width_px: int = Field(ge=0, le=16384)
    height_px: int = Field(ge=0, le=16384)


class ClockControl(Model):
    """Steer the session's clock, and with it every recorded slot."""

    type: Literal["clock"] = "clock"
    action: Literal["play", "pause", "seek", "step"]
    at_us: UnixUs | None = None
    """Where to, for ``seek`` (and ``play``, when given): capture time, Unix µs."""
    rate: float = Field(default=1.0, ge=-64, le=64)
    """0.25 to 64 forwards; from 8 keyframes only; negative: backwards by keyframes."""
    step: Literal["frame", "-frame", "keyframe", "-keyframe"] = "frame"
    number: int = Field(default=0, ge=0, lt=1 << 53)
    """Counts up the page's commands, over all its sessions. A relay drops a command that is not newer than the last one
    it holds. 0: not numbered, always obeyed."""


class Lateness(Model):
    """How far the page's decoders are behind, once a second while anything recorded plays: of all recorded tiles the
    longest time from a picture's arrival to the screen. They are sent keyframes alone until it can keep up again."""

    type: Literal["lateness"] = "lateness"
    late_ms: float = Field(ge=0)


class Listen(Model):
    """Hear one slot's camera, or none."""

    type: Literal["listen"] = "listen"
    slot: int | None = Field(default=None, ge=0, lt=MAX_SLOTS)


class SeenFrame(Model):
    """A slot's frame, by its RTP timestamp."""

    slot: int = Field(ge=0, lt=MAX_SLOTS)
    rtp: int = Field(ge=0, lt=1 << 32)


class Seen(Model):
    """The first frames of catch-ups are on the screen. When several slots begin together, the rest of their catch-ups
    waits until all are seen, 0.6 s at most."""

    type: Literal["seen"] = "seen"
    frames: tuple[SeenFrame, ...] = Field(max_length=MAX_SLOTS)


Control = Annotated[Aim | Size | ClockControl | Lateness | Listen | Seen, Field(discriminator="type")]
CONTROL: TypeAdapter[Aim | Size | ClockControl | Lateness | Listen | Seen] = TypeAdapter(Control)


AIM_RIGHTS: Final[Mapping[str, Right]] = {"live": Right.LIVE, "recorded": Right.PLAYBACK}
"""What pointing a slot at a camera takes there, by the aim's source."""
MESSAGE_RIGHTS: Final[Mapping[str, Right]] = {"listen": Right.LIVE}
"""The same for hearing one. All other messages steer one's own session and name no camera."""


class SessionOpen(Model):
    """A front places a session on a relay."""

    session: Id
    offer: str
    """SDP (RFC 8866), as the client sent it."""
    kind: Literal["wall", "whep"] = "wall"
    aims: tuple[Aim, ...] = ()
    sizes: tuple[Size, ...] = ()
    """So that ``auto`` begins with the right profile."""
    client: str = ""
    """For the log: the signed-in person."""


class SessionOpened(Model):
    """The relay's answer."""

    session: Id
    relay: Id
    answer: str
    slots: int
    """How many video m-lines were accepted; slot n is the n-th of them."""


class SessionControl(Model):
    """One message of the page, on its way to the relay. An empty one only says that the page is still there.

    A front sends the page's messages in their order and may have several under way: the relay applies each before it
    first awaits.
    """

    session: Id
    control: Control | None = None
    attached: bool = False
    """A page's control socket has just opened: send one `SlotNotice` a slot, and a `ClockNotice` if one is recorded."""


class SessionClose(Model):
    """The page has closed the session, or is gone."""

    session: Id


class ConversionOpen(Model):
    """A relay that converts as much as it may asks another one to convert a profile of a camera."""

    site: Id
    camera: Id
    source: Literal["main", "sub", "audio"]
    result: Literal["h264", "masked", "opus"]
    masks: PrivacyMasks = ()
    """Of ``masked``."""


class SlotNotice(Model):
    """The content of a slot and its reason. Sent on each change."""

    type: Literal["slot"] = "slot"
    slot: int
    camera: Id | None
    source: Literal["live", "recorded"] = "live"
    state: Literal["empty", "opening", "catching-up", "live", "waiting", "playing", "paused", "gap"]
    """``opening``: nothing sent yet. ``catching-up``: the cached GOP is being replayed; live at RTP time ``live_rtp``.
    ``waiting``: no frames, see ``reason``. ``gap``: nothing was recorded at the clock's time."""
    profile: ProfileName | None = None
    reason: Reason = Reason.NONE
    detail: str = ""
    first_rtp: int | None = None
    """RTP time of the first frame that belongs to this aim, and to the moment that a recorded one was moved to."""
    live_rtp: int | None = None
    limited: Literal["none", "sub", "keyframes"] = "none"
    """The level that a slow link, or a page that decodes too slowly, was lowered to."""
    limited_by: Literal["link", "decoding", "site"] = "link"
    """``site``: the line to the camera's site has no room for its main (``wall.site_mbps``)."""
    transcoded: bool = False
    damaged: bool = False
    """Of the pictures shown just now some are marked as damaged: parts of them were lost on the way from the camera."""
    codec: str = ""
    width_px: int = 0
    height_px: int = 0
    until_us: int | None = None
    """In a ``gap``: when there is footage again; None where there is none after it."""


class FrameMark(Model):
    """Ties a slot's RTP timestamps to capture time: ``capture_us`` was sent as ``rtp``."""

    type: Literal["mark"] = "mark"
    slot: int
    rtp: int
    capture_us: int
    uncertainty_us: int
    clock: Literal["rtcp", "arrival"]

    def pack(self) -> bytes:
        """`Model.pack` without validation: it runs once a second for each slot, and all fields are plain."""
        packed: bytes = msgpack.packb(vars(self))
        return packed


class ClockNotice(Model):
    """The state of the session's clock. Sent on each change, and once a second while it runs."""

    type: Literal["clock"] = "clock"
    at_us: int
    rate: float
    playing: bool
    number: int = 0
    """Of the last numbered command that the relay holds. A page that has sent a newer one ignores the notice."""


class LinkNotice(Model):
    """The relay's view of the link, every 2 s."""

    type: Literal["link"] = "link"
    loss: float
    """Fraction of packets that the receiver reported lost in the last interval, before repair."""
    rtt_ms: float | None
    estimate_bps: int | None


class DrainNotice(Model):
    """This relay is going: connect anew (the front will place the session elsewhere)."""

    type: Literal["drain"] = "drain"


class ErrorNotice(Model):
    """A control message was refused."""

    type: Literal["error"] = "error"
    code: str
    message: str


Notice = Annotated[
    SlotNotice | FrameMark | ClockNotice | LinkNotice | DrainNotice | ErrorNotice, Field(discriminator="type")
]
NOTICE: TypeAdapter[SlotNotice | FrameMark | ClockNotice | LinkNotice | DrainNotice | ErrorNotice] = TypeAdapter(Notice)
