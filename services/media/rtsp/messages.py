"""RTSP 1.0 messages (RFC 2326, 4 to 7): heads parsed and written, and the Transport and Session headers."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

VERSION: Final = "RTSP/1.0"
STATUS_TEXTS: Final = {
    200: "OK", 301: "Moved Permanently", 302: "Moved Temporarily", 303: "See Other", 400: "Bad Request",
    401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
    453: "Not Enough Bandwidth", 454: "Session Not Found", 455: "Method Not Valid in This State",
    457: "Invalid Range", 459: "Aggregate Operation Not Allowed", 461: "Unsupported Transport",
    500: "Internal Server Error", 501: "Not Implemented", 503: "Service Unavailable",
    505: "RTSP Version Not Supported",
}  # fmt: skip
_STATUS_LINE: Final = re.compile(r"RTSP/\d+\.\d+ +(\d{3})(?: |$)", re.ASCII)
_REQUEST_LINE: Final = re.compile(r"([A-Z_]+) +(\S+) +(RTSP/\d+\.\d+)\s*$", re.ASCII)
_NUMBER: Final = re.compile(r"\d{1,9}", re.ASCII)


class RtspSyntaxError(ValueError):
    """The bytes are no RTSP message that is taken here. Its text says why and names no secret."""


class RtspHeaders:
    """Header fields in their order; names are told apart without regard to case, and may stand several times."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Mapping[str, str] | list[tuple[str, str]] | None = None) -> None:
        items = fields.items() if isinstance(fields, Mapping) else fields or ()
        self._fields = [(name.strip().lower(), value.strip()) for name, value in items]

    def get(self, name: str, default: str = "") -> str:
        """The first value of ``name``."""
        return next((value for known, value in self._fields if known == name), default)

    def all(self, name: str) -> list[str]:
        """Each value of ``name``."""
        return [value for known, value in self._fields if known == name]

    def __contains__(self, name: str) -> bool:
        return any(known == name for known, _ in self._fields)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._fields)


@dataclass(frozen=True, slots=True)
class RtspRequest:
    """A request, whichever side sent it."""

    method: str
    url: str
    headers: RtspHeaders = field(default_factory=RtspHeaders)
    body: bytes = b""
    version: str = VERSION

    def pack(self) -> bytes:
        """As it goes onto the wire."""
        return _pack(f"{self.method} {self.url} {self.version}", self.headers, self.body)


@dataclass(frozen=True, slots=True)
class RtspResponse:
    """A response, whichever side sent it."""

    status: int
    headers: RtspHeaders = field(default_factory=RtspHeaders)
    body: bytes = b""

    def pack(self) -> bytes:
        """As it goes onto the wire."""
        return _pack(f"{VERSION} {self.status} {STATUS_TEXTS.get(self.status, 'Status')}", self.headers, self.body)


RtspMessage = RtspRequest | RtspResponse


def _pack(first_line: str, headers: RtspHeaders, body: bytes) -> bytes:
    lines = [first_line, *(f"{_titled(name)}: {value}" for name, value in headers)]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    # What the other side sent and is sent back (a session, a nonce) must not begin a line of its own.
    lines = [line.replace("\r", " ").replace("\n", " ") for line in lines]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape") + body


def _titled(name: str) -> str:
    # Some cameras tell names apart by case, although RFC 2326, 4.2 forbids it.
    special = {"cseq": "CSeq", "www-authenticate": "WWW-Authenticate", "rtp-info": "RTP-Info"}
    return special.get(name) or name.title()


def parse_head(head: bytes) -> RtspMessage:
    """The message whose head (without the empty line) this is, still without a body. Raises `RtspSyntaxError`.

    Lenient in what cameras get wrong: bare line feeds, bytes that are no UTF-8, lines without a colon, folded lines.
    """
    first, *rest = head.decode("utf-8", "surrogateescape").replace("\r\n", "\n").split("\n")
    fields: list[tuple[str, str]] = []
    for line in rest:
        if line[:1] in (" ", "\t") and fields:
            fields[-1] = fields[-1][0], f"{fields[-1][1]} {line.strip()}"
            continue
        name, colon, value = line.partition(":")
        if colon:
            fields.append((name, value))
    headers = RtspHeaders(fields)
    if match := _STATUS_LINE.match(first):
        return RtspResponse(int(match[1]), headers)
    if match := _REQUEST_LINE.match(first):
        return RtspRequest(match[1], match[2], headers, version=match[3])
    raise RtspSyntaxError("the first line is neither a request nor a status")


@dataclass(frozen=True, slots=True)
class TransportOption:
    """One alternative of a Transport header (RFC 2326, 12.39)."""

    protocol: str
    """In upper case: ``RTP/AVP/TCP``, ``RTP/AVP``."""
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def tcp(self) -> bool:
        """Whether its protocol names TCP."""
        return self.protocol.endswith("/TCP")

    @property
    def multicast(self) -> bool:
        """Whether it is for a group."""
        return "multicast" in self.parameters

    def pair(self, name: str) -> tuple[int, int] | None:
        """``client_port=5000-5001`` or ``interleaved=0-1`` as numbers; a lone number means itself and the next."""
        first, _, second = self.parameters.get(name, "").partition("-")
        if not _NUMBER.fullmatch(first.strip()):
            return None
        low = int(first)
        high = int(second) if _NUMBER.fullmatch(second.strip()) else low + 1
        limit = 255 if name == "interleaved" else 65535
        return (low, high) if max(low, high) <= limit else None

    @property
    def ssrc(self) -> int | None:
        """The sender's SSRC, where the answer names one that can be read."""
        try:
            return int(self.parameters.get("ssrc", ""), 16) & 0xFFFFFFFF
        except ValueError:
            return None


def parse_transports(header: str) -> list[TransportOption]:
    """The alternatives of a Transport header, in order."""
    options = []
    for alternative in header.split(","):
        protocol, *parts = (part.strip() for part in alternative.split(";"))
        if protocol:
            parameters = {name.strip().lower(): value.strip() for name, _, value in (p.partition("=") for p in parts)}
            options.append(TransportOption(protocol.upper(), parameters))
    return options


def parse_session(header: str) -> tuple[str, float | None]:
    """The session's id and its time-out in seconds, None where it names none (RFC 2326, 12.37)."""
    identifier, *parameters = (part.strip() for part in header.split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        match = _NUMBER.match(value.strip())
        if name.strip().lower() == "timeout" and match:
            return identifier, float(match[0])
    return identifier, None
