"""What a worker and its libav processes tell each other. Pure: bytes in, messages out.

From a reading process comes a stream of messages, each a head and a body. To the server of these processes go datagrams
of msgpack maps: ``{"read": number, "source": …}`` with a socket, or ``{"close": number, "now": bool}``.
"""

from collections.abc import Callable
from dataclasses import asdict
from enum import IntEnum
from struct import Struct
from typing import Any, Final

import msgpack

from services.contracts.frames import Codec
from services.contracts.models import Reason
from services.ingest.readers.source import Packet, ReaderEnd, RtpTransport, Source, Track

HEAD: Final = Struct("=BBHIqqqq")
"""Kind, damaged, lost packets, length of the body, pts, dts, arrival, sender-report time; `NO_TIME`: there is none."""
NO_TIME: Final = -(2**63)
MAX_BODY_BYTES: Final = 64 * 1024 * 1024


class LibavMessage(IntEnum):
    """What a message is."""

    ALIVE = 0
    """The process runs; it has no body."""
    OPENED = 1
    """``[tracks, transport, bursts]``."""
    VIDEO = 2
    AUDIO = 3
    END = 4
    """``[reason, detail]``."""


_VIDEO, _AUDIO = int(LibavMessage.VIDEO), int(LibavMessage.AUDIO)
_PACKETS: Final = (_VIDEO, _AUDIO)


def encode_packet(packet: Packet) -> bytes:
    """A packet's message; its data is one piece."""
    kind, data, pts, dts, arrival, rtcp, damaged, lost = packet
    if not isinstance(data, bytes):
        data = b"".join(data)
    head = HEAD.pack(
        _VIDEO if kind == "video" else _AUDIO, damaged, min(lost, 0xFFFF), len(data),
        NO_TIME if pts is None else pts, NO_TIME if dts is None else dts, arrival, NO_TIME if rtcp is None else rtcp,
    )  # fmt: skip
    return head + data


def encode_opened(tracks: tuple[Track, ...], transport: RtpTransport, *, bursts: bool) -> bytes:
    """Says that the source is open."""
    rows = [(track.kind, int(track.codec), *track[2:]) for track in tracks]
    return _control(LibavMessage.OPENED, msgpack.packb([rows, transport, bursts]))


def encode_end(end: ReaderEnd) -> bytes:
    """Says why the source is over."""
    return _control(LibavMessage.END, msgpack.packb([str(end.reason), end.detail]))


def encode_alive() -> bytes:
    """Says that the process runs."""
    return _control(LibavMessage.ALIVE, b"")


def _control(kind: LibavMessage, body: bytes) -> bytes:
    return HEAD.pack(kind, 0, 0, len(body), NO_TIME, NO_TIME, NO_TIME, NO_TIME) + body


def encode_read(number: int, source: Source) -> bytes:
    """Asks the server for a process that reads ``source``. It carries the password."""
    packed: bytes = msgpack.packb({"read": number, "source": asdict(source)})
    return packed


def encode_close(number: int, *, now: bool) -> bytes:
    """Asks the server to see that process ``number`` ends, ``now`` or when it has had a moment to close its source."""
    packed: bytes = msgpack.packb({"close": number, "now": now})
    return packed


def decode_request(data: bytes) -> tuple[int, Source | None, bool]:
    """What the server is asked for: the number, the source where it is to be read, and whether it is to end now."""
    request: dict[str, Any] = msgpack.unpackb(data)
    if "read" in request:
        fields = request["source"] | {"networks": tuple(request["source"]["networks"])}  # msgpack has lists alone
        return int(request["read"]), Source(**fields), False
    return int(request["close"]), None, bool(request["now"])


class LibavMessages:
    """Cuts the stream of a reading process into messages. Raises ``ValueError`` where it is no such stream."""

    def __init__(
        self,
        *,
        on_packet: Callable[[Packet], None],
        on_opened: Callable[[tuple[Track, ...], RtpTransport, bool], None],
        on_end: Callable[[ReaderEnd], None],
    ) -> None:
        self._on_packet = on_packet
        self._on_opened = on_opened
        self._on_end = on_end
        self._chunks: list[bytes] = []
        self._have = 0
        self._need = HEAD.size

    def feed(self, chunk: bytes) -> None:
        """Takes what came."""
        self._chunks.append(chunk)
        self._have += len(chunk)
        if self._have < self._need:
            return
        data = chunk if len(self._chunks) == 1 else b"".join(self._chunks)
        at, end = 0, len(data)
        self._need = HEAD.size
        while end - at >= HEAD.size:
            kind, damaged, lost, length, pts, dts, arrival, rtcp = HEAD.unpack_from(data, at)
            if length > MAX_BODY_BYTES:
                raise ValueError("not a libav process's message")
            body_at = at + HEAD.size
            if end - body_at < length:
                self._need = HEAD.size + length
                break
            at = body_at + length
            if kind in _PACKETS:
                self._on_packet(
                    Packet(
                        "video" if kind == _VIDEO else "audio",
                        data[body_at:at],
                        None if pts == NO_TIME else pts,
                        None if dts == NO_TIME else dts,
                        arrival,
                        None if rtcp == NO_TIME else rtcp,
                        bool(damaged),
                        lost,
                    )
                )
            else:
                self._control(kind, data[body_at:at])
        rest = data[at:]
        self._chunks = [rest] if rest else []
        self._have = len(rest)

    def _control(self, kind: int, body: bytes) -> None:
        if kind == LibavMessage.OPENED:
            self._on_opened(*_opened(body))
        elif kind == LibavMessage.END:
            self._on_end(_end(body))


def _opened(body: bytes) -> tuple[tuple[Track, ...], RtpTransport, bool]:
    try:
        rows, transport, bursts = msgpack.unpackb(body)
        return tuple(Track(kind, Codec(codec), *rest) for kind, codec, *rest in rows), transport, bursts
    except (TypeError, ValueError, msgpack.UnpackException) as error:
        raise ValueError("not a libav process's tracks") from error


def _end(body: bytes) -> ReaderEnd:
    try:
        reason, detail = msgpack.unpackb(body)
        return ReaderEnd(Reason(reason), detail)
    except (TypeError, ValueError, msgpack.UnpackException) as error:
        raise ValueError("not a libav process's end") from error
