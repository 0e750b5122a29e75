"""RTSP 1.0 messages (RFC 2326) as a server sees them, without sockets."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

REASONS: Final = {
    200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 405: "Method Not Allowed",
    454: "Session Not Found", 455: "Method Not Valid in This State", 461: "Unsupported Transport",
    501: "Not Implemented", 503: "Service Unavailable", 505: "RTSP Version Not Supported",
}  # fmt: skip
METHODS: Final = "OPTIONS, DESCRIBE, SETUP, PLAY, PAUSE, GET_PARAMETER, SET_PARAMETER, TEARDOWN"

_MAX_HEAD_BYTES: Final = 16_384
_MAX_BODY_BYTES: Final = 65_536


class RtspSyntaxError(Exception):
    """What came is no RTSP: the connection cannot be read any further."""


@dataclass(frozen=True, slots=True)
class RtspRequest:
    """One request; header names in lower case."""

    method: str
    url: str
    version: str
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Interleaved:
    """A binary packet from the client (its RTCP) in an interleaved connection."""

    channel: int
    data: bytes


class RtspRequestParser:
    """Feed it bytes as they come."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[RtspRequest | Interleaved]:
        """Each whole message so far; raises `RtspSyntaxError`."""
        self._buffer += data
        while (message := self._next()) is not None:
            yield message

    def _next(self) -> RtspRequest | Interleaved | None:
        buffer = self._buffer
        while buffer[:2] == b"\r\n":
            del buffer[:2]
        if buffer[:1] == b"$":
            if len(buffer) < 4 or len(buffer) < 4 + (size := int.from_bytes(buffer[2:4], "big")):
                return None
            packet = Interleaved(buffer[1], bytes(buffer[4 : 4 + size]))
            del buffer[: 4 + size]
            return packet
        end = buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(buffer) > _MAX_HEAD_BYTES:
                raise RtspSyntaxError("the head of a request is over 16 KiB")
            return None
        request, body_bytes = _parse_head(bytes(buffer[:end]))
        if len(buffer) < end + 4 + body_bytes:
            return None
        body = bytes(buffer[end + 4 : end + 4 + body_bytes])
        del buffer[: end + 4 + body_bytes]
        return RtspRequest(request.method, request.url, request.version, request.headers, body)


def _parse_head(head: bytes) -> tuple[RtspRequest, int]:
    try:
        first, *rest = head.decode("utf-8").split("\r\n")
    except UnicodeDecodeError as error:
        raise RtspSyntaxError("the head of a request is no UTF-8") from error
    parts = first.split(" ")
    if len(parts) != 3 or not parts[2].startswith("RTSP/") or not parts[0].isupper():
        raise RtspSyntaxError("a request line is a method, a URL and RTSP/1.0")
    headers: dict[str, str] = {}
    for line in rest:
        name, colon, value = line.partition(":")
        if not colon:
            raise RtspSyntaxError("a header line has no colon")
        headers[name.strip().lower()] = value.strip()
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit() and int(length) <= _MAX_BODY_BYTES):
        raise RtspSyntaxError("Content-Length is no number up to 65536")
    return RtspRequest(parts[0], parts[1], parts[2], headers), int(length)


def response(status: int, cseq: str, headers: Mapping[str, str] | None = None, body: bytes = b"") -> bytes:
    """A response as it goes onto the wire."""
    lines = [f"RTSP/1.0 {status} {REASONS[status]}", f"CSeq: {cseq}", "Server: pantau-sim"]
    lines += (f"{name}: {value}" for name, value in (headers or {}).items())
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


@dataclass(frozen=True, slots=True)
class TransportOffer:
    """One alternative of a Transport header (RFC 2326 section 12.39)."""

    tcp: bool
    parameters: Mapping[str, str] = field(default_factory=dict)

    def pair(self, name: str) -> tuple[int, int] | None:
        """``client_port=5000-5001`` or ``interleaved=0-1`` as numbers; a lone number means itself and the next."""
        first, _, second = self.parameters.get(name, "").partition("-")
        if not (first.isascii() and first.isdigit()):
            return None
        low = int(first)
        high = int(second) if second.isascii() and second.isdigit() else low + 1
        limit = 255 if name == "interleaved" else 65535
        return (low, high) if max(low, high) <= limit else None


def transport_offers(header: str) -> list[TransportOffer]:
    """The unicast alternatives that can be served, in the client's order."""
    offers = []
    for alternative in header.split(","):
        kind, *parts = (part.strip() for part in alternative.split(";"))
        parameters = {name.lower(): value for name, _, value in (part.partition("=") for part in parts)}
        if kind.upper() in ("RTP/AVP", "RTP/AVP/UDP", "RTP/AVP/TCP") and "multicast" not in parameters:
            offers.append(TransportOffer(kind.upper().endswith("TCP"), parameters))
    return offers
