"""Session descriptions (RFC 4566, RFC 8866) as RTSP servers give them, parsed leniently.

A description is read as far as it can be: lines that mean nothing are skipped, a payload type without an rtpmap is
taken by its number (RFC 3551, 6), or by what its format parameters say.
"""

import binascii
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

MAX_SECTIONS: Final = 64
MAX_FORMATS: Final = 64


class SdpError(ValueError):
    """The text is no session description."""


class RtpFormat(NamedTuple):
    """One payload type of a media section."""

    payload_type: int
    encoding: str
    """The encoding name in lower case: ``h264``, ``mpeg4-generic``; empty where nothing tells."""
    clock_rate_hz: int
    channels: int
    parameters: Mapping[str, str]
    """Of ``a=fmtp``; names in lower case."""


@dataclass(frozen=True, slots=True)
class SdpMedia:
    """One media section."""

    kind: str
    """``video``, ``audio``, ``application`` …"""
    protocol: str
    formats: tuple[RtpFormat, ...]
    control: str = ""

    def format_of(self, payload_type: int) -> RtpFormat | None:
        """The format that ``payload_type`` is declared as."""
        return next((known for known in self.formats if known.payload_type == payload_type), None)


@dataclass(frozen=True, slots=True)
class SessionDescription:
    """A description's media sections, and the session's control attribute."""

    media: tuple[SdpMedia, ...]
    control: str = ""
    broken: bool = False
    """A media line could not be read: the description may be cut."""


_STATIC: Final = {
    0: ("pcmu", 8000), 3: ("gsm", 8000), 4: ("g723", 8000), 8: ("pcma", 8000), 9: ("g722", 8000), 10: ("l16", 44_100),
    11: ("l16", 44_100), 14: ("mpa", 90_000), 18: ("g729", 8000), 26: ("jpeg", 90_000), 31: ("h261", 90_000),
    32: ("mpv", 90_000), 33: ("mp2t", 90_000), 34: ("h263", 90_000),
}  # fmt: skip
"""RFC 3551, tables 4 and 5."""


@dataclass(slots=True)
class _Section:
    kind: str
    protocol: str
    payload_types: list[int]
    rtpmaps: dict[int, str] = field(default_factory=dict)
    fmtps: dict[int, str] = field(default_factory=dict)
    control: str = ""

    def media(self) -> SdpMedia:
        formats = tuple(self._format(payload_type) for payload_type in self.payload_types)
        return SdpMedia(self.kind, self.protocol, formats, self.control)

    def _format(self, payload_type: int) -> RtpFormat:
        parameters = parse_parameters(self.fmtps.get(payload_type, ""))
        encoding, _, rest = self.rtpmaps.get(payload_type, "").partition("/")
        encoding = encoding.strip().lower()
        rate, _, channels = rest.partition("/")
        if not encoding:
            encoding, clock_rate = _STATIC.get(payload_type) or _guessed(self.kind, parameters)
            return RtpFormat(payload_type, encoding, clock_rate, 1, parameters)
        clock_rate = _number(rate) or _STATIC.get(payload_type, ("", 0))[1]
        if not clock_rate:
            clock_rate = 90_000 if self.kind == "video" else 8000
        return RtpFormat(payload_type, encoding, clock_rate, _number(channels) or 1, parameters)


def _guessed(kind: str, parameters: Mapping[str, str]) -> tuple[str, int]:
    if kind == "video":
        if "sprop-parameter-sets" in parameters or "packetization-mode" in parameters:
            return "h264", 90_000
        if any(name in parameters for name in ("sprop-vps", "sprop-sps", "sprop-pps")):
            return "h265", 90_000
    return "", 90_000 if kind == "video" else 8000


def _number(text: str) -> int:
    text = text.strip()
    return int(text[:9]) if text.isascii() and text.isdigit() else 0


def parse_parameters(text: str) -> dict[str, str]:
    """The ``name=value`` pairs of an fmtp attribute; names in lower case."""
    found: dict[str, str] = {}
    for part in text.split(";"):
        name, _, value = part.partition("=")
        if name.strip():
            found.setdefault(name.strip().lower(), value.strip())
    return found


def parse_sdp(body: bytes) -> SessionDescription:
    """The description in ``body``. Raises `SdpError` where there is not one line of a description."""
    text = body.decode("utf-8", "replace").lstrip("\ufeff\0 \r\n\t")
    sections: list[_Section] = []
    session_control = ""
    lines = 0
    broken = False
    for raw in text.replace("\r", "\n").split("\n"):
        line = raw.strip("\0 \t")
        if line[1:2] != "=" or not line[0].isalpha():
            continue
        lines += 1
        kind, value = line[0], line[2:].strip()
        if kind == "m":
            if len(sections) == MAX_SECTIONS:
                break
            section = _media_line(value)
            broken = broken or section is None
            if section is not None:
                sections.append(section)
        elif kind == "a":
            name, _, attribute = value.partition(":")
            name, attribute = name.strip().lower(), attribute.strip()
            if not sections:
                session_control = attribute if name == "control" else session_control
            elif name == "control":
                sections[-1].control = attribute
            elif name in ("rtpmap", "fmtp"):
                number, _, rest = attribute.partition(" ")
                if number.isascii() and number.isdigit():
                    mapped = sections[-1].rtpmaps if name == "rtpmap" else sections[-1].fmtps
                    mapped.setdefault(int(number[:4]), rest.strip())
    if not lines:
        raise SdpError("the description has no line of a session description")
    return SessionDescription(tuple(section.media() for section in sections), session_control, broken)


def _media_line(value: str) -> _Section | None:
    words = value.split()
    if len(words) < 3:
        return None
    kind, *rest = words
    payload_types = [
        int(text) for text in rest[2:] if text.isascii() and text.isdigit() and len(text) <= 3 and int(text) < 128
    ]
    return _Section(kind.lower(), rest[1].upper(), list(dict.fromkeys(payload_types))[:MAX_FORMATS])


def decode_sets(text: str) -> list[bytes]:
    """The parameter sets of a ``sprop-…`` parameter, in base64 behind commas; what cannot be read is left out."""
    found = []
    for part in text.split(","):
        part = part.strip().strip('"')
        try:
            unit = b64decode(part + "=" * (-len(part) % 4))
        except (binascii.Error, ValueError):
            continue
        if unit:
            found.append(unit)
    return found


def encode_sets(units: Iterable[bytes]) -> str:
    """Parameter sets as a ``sprop-…`` parameter has them."""
    return ",".join(b64encode(unit).decode() for unit in units)
