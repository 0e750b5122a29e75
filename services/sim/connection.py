"""One RTSP connection: requests in, responses and interleaved packets out."""

import asyncio
import secrets
import socket
import struct
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias, cast
from urllib.parse import urlsplit

from services.media.rtsp.framing import RtspFramer
from services.media.rtsp.messages import (
    VERSION,
    RtspHeaders,
    RtspMessage,
    RtspRequest,
    RtspResponse,
    RtspSyntaxError,
    TransportOption,
    parse_transports,
)
from services.mesh.log import get_logger
from services.sim import sdp
from services.sim.auth import Authenticator
from services.sim.faults import Fault
from services.sim.stream import SimulatedStream
from services.sim.track import SimulatedTrack
from services.sim.transport import Counters, TcpSink, UdpPorts, UdpSink

log = get_logger()
SESSION_SECONDS: Final = 60
METHODS: Final = "OPTIONS, DESCRIBE, SETUP, PLAY, PAUSE, GET_PARAMETER, SET_PARAMETER, TEARDOWN"
HeaderFields = Mapping[str, str] | list[tuple[str, str]]
_Reply: TypeAlias = tuple[int, HeaderFields, bytes]
"""Status, headers and body."""
_LINGER_RESET: Final = struct.pack("ii", 1, 0)
_TRACK: Final = "trackid="


class RtspServerConnection(asyncio.Protocol):
    """Serves one client. A session belongs to its connection and ends with it, as on most cameras."""

    def __init__(
        self,
        find: Callable[[str, str], SimulatedStream | None],
        authenticator: Authenticator,
        udp: UdpPorts,
        counters: Counters,
        open_connections: set["RtspServerConnection"],
    ) -> None:
        self._find = find
        self._auth = authenticator
        self._udp = udp
        self._counters = counters
        self._open = open_connections
        self._framer = RtspFramer(self._on_message)
        self._transport: asyncio.Transport | None = None
        self._stream: SimulatedStream | None = None
        self._session = ""
        self._sinks: dict[SimulatedTrack, TcpSink | UdpSink] = {}
        self._playing = False
        self._timer: asyncio.TimerHandle | None = None
        self._heard = 0.0

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._open.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_session()
        if self._stream is not None:
            self._stream.watchers.discard(self)
        self._open.discard(self)
        self._transport = None

    def data_received(self, data: bytes) -> None:
        self._heard = asyncio.get_running_loop().time()
        try:
            self._framer.feed(data)
        except RtspSyntaxError as error:
            log.debug("sim.bad_request", error=str(error))
            self._respond(400, "0")
            self.close(reset=False)

    # stream.Watcher

    def close(self, *, reset: bool) -> None:
        """Ends the connection; ``reset``: with RST, unsent data lost."""
        transport = self._transport
        if transport is None:
            return
        if reset:
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RESET)
            transport.abort()
        else:
            transport.close()
        self._end_session()

    # requests

    def _on_message(self, message: RtspMessage) -> None:
        if isinstance(message, RtspRequest):
            self._handle(message)

    def _handle(self, request: RtspRequest) -> None:
        cseq = request.headers.get("cseq", "0")
        if request.version != VERSION:
            self._respond(505, cseq)
            return
        stream, track = self._resolve(request.url)
        if stream is not None:
            self._watch(stream)
            if Fault.REFUSE in stream.faults:
                self.close(reset=True)
                return
            if Fault.HANG in stream.faults:
                return
        if request.method == "OPTIONS":
            self._respond(200, cseq, {"Public": METHODS})
            return
        status, headers, body = self._answer(request, stream, track)
        self._respond(status, cseq, headers, body)
        if status == 200 and request.method == "PLAY":
            self._start()

    def _answer(self, request: RtspRequest, stream: SimulatedStream | None, track: int | None) -> _Reply:
        handlers = {
            "DESCRIBE": self._describe, "SETUP": self._setup, "PLAY": self._play, "PAUSE": self._pause,
            "GET_PARAMETER": self._parameter, "SET_PARAMETER": self._parameter, "TEARDOWN": self._teardown,
        }  # fmt: skip
        refused = stream is not None and Fault.UNAUTHORIZED in stream.faults
        if refused or not self._auth.accepts(request.method, request.headers.get("authorization")):
            return 401, [("WWW-Authenticate", challenge) for challenge in self._auth.challenges()], b""
        if request.method not in handlers:
            return 501, {"Public": METHODS}, b""
        if stream is None or Fault.NOT_FOUND in stream.faults:
            return 404, {}, b""
        if not stream.tracks:
            return 503, {"Retry-After": "1"}, b""
        given = request.headers.get("session", "").partition(";")[0]
        if given and given != self._session:
            return 454, {}, b""
        return handlers[request.method](request, stream, track)

    def _describe(self, request: RtspRequest, stream: SimulatedStream, _track: int | None) -> _Reply:
        address = self._local_address()
        clips = [track.clip for track in stream.tracks]
        text = sdp.describe(
            f"{stream.camera} {stream.profile}", address, clips, sprop=Fault.NO_SPROP not in stream.faults
        )
        if Fault.BROKEN_SDP in stream.faults:
            text = text[: text.index("m=video") + len("m=vid")]
        base = request.url.rstrip("/") + "/"
        return 200, {"Content-Base": base, "Content-Type": "application/sdp"}, text.encode()

    def _setup(self, request: RtspRequest, stream: SimulatedStream, track: int | None) -> _Reply:
        if track is None and len(stream.tracks) == 1:
            track = 0
        if track is None or track >= len(stream.tracks):
            return 404, {}, b""
        if self._playing:
            return 455, {}, b""
        for offer in parse_transports(request.headers.get("transport")):
            made = self._sink(stream, offer)
            if made is not None:
                sink, transport = made
                self._session = self._session or secrets.token_hex(8)
                self._sinks[stream.tracks[track]] = sink
                return 200, {"Transport": transport, "Session": f"{self._session};timeout={SESSION_SECONDS}"}, b""
        return 461, {}, b""

    def _sink(self, stream: SimulatedStream, offer: TransportOption) -> tuple[TcpSink | UdpSink, str] | None:
        assert self._transport is not None
        if offer.multicast or offer.protocol not in ("RTP/AVP", "RTP/AVP/UDP", "RTP/AVP/TCP"):
            return None
        if offer.tcp:
            channels = offer.pair("interleaved") or (2 * len(self._sinks), 2 * len(self._sinks) + 1)
            header = f"RTP/AVP/TCP;unicast;interleaved={channels[0]}-{channels[1]}"
            return TcpSink(self._transport, channels, self._counters), header
        ports = offer.pair("client_port")
        if ports is None:
            return None
        host = self._transport.get_extra_info("peername")[0]
        header = (
            f"RTP/AVP;unicast;client_port={ports[0]}-{ports[1]};server_port={self._udp.ports[0]}-{self._udp.ports[1]}"
        )
        return UdpSink(self._udp, host, ports, stream.faults), header

    def _play(self, request: RtspRequest, stream: SimulatedStream, _track: int | None) -> _Reply:
        if not self._sinks:
            return 455, {}, b""
        base = request.url.rstrip("/")
        info = []
        for index, track in enumerate(stream.tracks):
            if track in self._sinks:
                sequence, timestamp = track.position()
                info.append(f"url={base}/trackID={index};seq={sequence};rtptime={timestamp}")
        return 200, {"Session": self._session, "Range": "npt=now-", "RTP-Info": ",".join(info)}, b""

    def _pause(self, _request: RtspRequest, _stream: SimulatedStream, _track: int | None) -> _Reply:
        if not self._session:
            return 454, {}, b""
        self._stop()
        return 200, {"Session": self._session}, b""

    def _parameter(self, _request: RtspRequest, _stream: SimulatedStream, _track: int | None) -> _Reply:
        return 200, {"Session": self._session} if self._session else {}, b""

    def _teardown(self, _request: RtspRequest, _stream: SimulatedStream, _track: int | None) -> _Reply:
        if not self._session:
            return 454, {}, b""
        self._end_session()
        return 200, {}, b""

    # the session

    def _start(self) -> None:
        """The response to PLAY is written: packets may follow it."""
        if self._playing:
            return
        self._playing = True
        for track, sink in self._sinks.items():
            track.add_sink(sink)
        loop = asyncio.get_running_loop()
        stream = self._stream
        seconds = stream.faults.value(Fault.DROP) if stream is not None else None
        if seconds:
            self._timer = loop.call_later(seconds, lambda: self.close(reset=False))
        elif any(isinstance(sink, UdpSink) for sink in self._sinks.values()):
            self._timer = loop.call_later(SESSION_SECONDS, self._expire)

    def _expire(self) -> None:
        """Over UDP a client shows that it is alive with requests (RFC 2326 section 12.37)."""
        loop = asyncio.get_running_loop()
        left = self._heard + SESSION_SECONDS - loop.time()
        if left > 0:
            self._timer = loop.call_later(left, self._expire)
        else:
            self.close(reset=False)

    def _stop(self) -> None:
        self._playing = False
        for track, sink in self._sinks.items():
            track.discard_sink(sink)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end_session(self) -> None:
        self._stop()
        self._sinks.clear()
        self._session = ""

    def _watch(self, stream: SimulatedStream) -> None:
        if self._stream is not stream:
            if self._stream is not None:
                self._stream.watchers.discard(self)
                self._end_session()
            self._stream = stream
            stream.watchers.add(self)

    def _resolve(self, url: str) -> tuple[SimulatedStream | None, int | None]:
        """``rtsp://host/<camera>/<profile>[/trackID=n]`` → stream and track."""
        try:
            parts = [part for part in urlsplit(url).path.split("/") if part]
        except ValueError:
            return None, None
        track = None
        if len(parts) == 3 and parts[2].lower().startswith(_TRACK):
            number = parts.pop()[len(_TRACK) :]
            if not (number.isascii() and number.isdigit()):
                return None, None
            track = int(number)
        return (self._find(parts[0], parts[1]), track) if len(parts) == 2 else (None, None)

    def _local_address(self) -> str:
        assert self._transport is not None
        return str(self._transport.get_extra_info("sockname")[0])

    def _respond(
        self,
        status: int,
        cseq: str,
        headers: Mapping[str, str] | list[tuple[str, str]] | None = None,
        body: bytes = b"",
    ) -> None:
        fields = [("CSeq", cseq), ("Server", "pantau-sim"), *RtspHeaders(headers)]
        self._write(RtspResponse(status, RtspHeaders(fields), body).pack())

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)
