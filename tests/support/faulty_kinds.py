"""What a faulty camera is: a fault, the camera that has it, and what a reader is to make of it."""

import base64
import hashlib
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from services.contracts.models import Reason
from tests.support.scripted_camera import (
    Asked,
    Codec,
    RtpPacket,
    Script,
    ScriptedCamera,
    answer,
    packets,
)

Section = Literal["Dialogue", "Framing", "Payload", "Loss", "Refused"]
USER: Final = "admin"
PASSWORD: Final = "p@ss word"
VIDEO: Final = "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
SOUND_SDP: Final = "m=audio 0 RTP/AVP 0\r\na=control:track1\r\n"
_BURST: Final = 24
"""Packets."""
H265_SDP: Final = "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H265/90000\r\na=control:track1\r\n"


Change = Callable[[list[RtpPacket]], list[RtpPacket]]


@dataclass(frozen=True)
class Plays:
    """Every picture comes through, exactly and undamaged, but for what is said here."""

    from_picture: int = 0
    """The first that can."""
    least_share: float = 1.0
    """Of the pictures, that must come through whole."""
    damage: bool = False
    """Packets are missing: pictures with a hole are marked and the losses counted, the others are exact."""
    codec: Codec = "h264"
    then: Codec | None = None
    """The codec of the second half, where it is another."""
    slices: int = 1
    openings: int = 1
    """Times that tracks are told: again where the codec changes."""
    pictures: Callable[[], Sequence[tuple[bytes, ...]]] | None = None
    """What is sent, where it is not `pictures` of codec and slices."""


@dataclass(frozen=True)
class FaultyCamera:
    """One fault."""

    name: str
    section: Section
    what: str
    """The camera …"""
    make: Callable[[], ScriptedCamera]
    outcome: Plays | Reason
    source: dict[str, Any] = field(default_factory=dict)
    """Fields of `Source` that differ from their defaults."""
    connections: int = 1

    @property
    def outcome_text(self) -> str:
        """For the reference."""
        if isinstance(self.outcome, Reason):
            return f"refused: `{self.outcome}`"
        if self.outcome.damage:
            return "plays; what is missing is counted, and pictures with a hole are marked"
        if self.outcome.least_share < 1:
            return f"plays, at least {self.outcome.least_share:.0%} of the pictures"
        return "plays"


def scripted(**script: Script) -> Callable[[], ScriptedCamera]:
    """A camera that answers some methods oddly."""
    return lambda: ScriptedCamera(script=script)


def status(text: str, *headers: str) -> Script:
    return lambda _camera, asked: answer(asked, text, *headers)


def silent(_camera: ScriptedCamera, _asked: Asked) -> None:
    return None


def based(base: str | None) -> Callable[[], ScriptedCamera]:
    return lambda: ScriptedCamera(base=base)


def controlled(control: str, path: str) -> Callable[[], ScriptedCamera]:
    """A camera that takes a SETUP of ``path`` (a pattern) alone."""

    def set_up(camera: ScriptedCamera, asked: Asked) -> bytes:
        return (
            camera.set_up(asked) if re.fullmatch(rf"rtsp://[^/]+{path}", asked.url) else answer(asked, "404 Not Found")
        )

    def make() -> ScriptedCamera:
        return ScriptedCamera(sdp=ScriptedCamera.sdp.replace("track1", control), script={"SETUP": set_up})

    return make


def transported(transport: str, *, channel: int = 0) -> Callable[[], ScriptedCamera]:
    def set_up(camera: ScriptedCamera, asked: Asked) -> bytes:
        return camera.set_up(asked, transport)

    return lambda: ScriptedCamera(script={"SETUP": set_up}, channel=channel)


def sending(
    change: Callable[[list[RtpPacket]], list[RtpPacket]],
    codec: Codec = "h264",
    *,
    slices: int = 1,
    limit: int = 60,
    **more: Any,
) -> Callable[[], ScriptedCamera]:
    """A camera whose packets are changed."""

    def make() -> ScriptedCamera:
        sdp = H265_SDP if codec == "h265" else ScriptedCamera.sdp
        return ScriptedCamera(sends=change(packets(codec, slices=slices, limit=limit)), **{"sdp": sdp, **more})

    return make


def each(change: Callable[[RtpPacket], RtpPacket]) -> Change:
    return lambda found: [change(packet) for packet in found]


def shuffled(found: list[RtpPacket], apart: float) -> list[RtpPacket]:
    """In another order, packets so far from their place; they cross the borders of pictures.

    They are sent in bursts without a hole between them: where a camera has no turn while a hole is open, it is a loss.
    """
    rng = random.Random(12)
    sent = [found[0]]
    for begin in range(1, len(found), _BURST):
        order = sorted(range(begin, min(begin + _BURST, len(found))), key=lambda at: at + rng.uniform(0, apart))
        sent += [replace(found[at], picture=found[begin].picture) for at in order]
    return sent


def framing(frame: Callable[[ScriptedCamera, int, bytes], bytes]) -> Callable[[], ScriptedCamera]:
    return lambda: ScriptedCamera(frame=frame)


# authentication


def guarded(challenges: Callable[[int], list[str]], algorithm: str = "md5", *, each_request: bool = False) -> Script:
    """Takes what answers the last challenge: Basic, or Digest without qop."""
    issued = [0]

    def script(camera: ScriptedCamera, asked: Asked) -> bytes:
        given = asked.header("authorization")
        if given and _is_right(asked, given, issued[0], algorithm):
            if each_request:
                issued[0] += 1
            return camera.good(asked)
        issued[0] += 1
        lines = [f"WWW-Authenticate: {challenge}" for challenge in challenges(issued[0])]
        return answer(asked, "401 Unauthorized", *lines)

    return script


def _is_right(asked: Asked, given: str, issued: int, algorithm: str) -> bool:
    if given.startswith("Basic "):
        return algorithm == "basic" and base64.b64decode(given[6:]).decode() == f"{USER}:{PASSWORD}"
    found = dict(re.findall(r'(\w+)="([^"]*)"', given))

    def digest(text: str) -> str:
        return hashlib.new(algorithm, text.encode(), usedforsecurity=False).hexdigest()

    first, second = digest(f"{USER}:cam:{PASSWORD}"), digest(f"{asked.method}:{found.get('uri')}")
    right = digest(f"{first}:n{issued}:{second}")
    return found.get("nonce") == f"n{issued}" and found.get("response") == right


def with_password(
    challenges: Callable[[int], list[str]], algorithm: str = "md5", **more: Any
) -> Callable[[], ScriptedCamera]:
    def make() -> ScriptedCamera:
        guard = guarded(challenges, algorithm, **more)
        return ScriptedCamera(script=dict.fromkeys(("OPTIONS", "DESCRIBE", "SETUP", "PLAY", "GET_PARAMETER"), guard))

    return make


CREDENTIALS: Final = {"username": USER, "password": PASSWORD}
WRONG: Final = {"username": USER, "password": "wrong"}
SHA_256: Final = 'Digest realm="cam", nonce="n{}", algorithm=SHA-256'
DIGEST: Final = 'Digest realm="cam", nonce="n{}"'
