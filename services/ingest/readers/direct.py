"""The reader for RTSP and RTSPS in the worker's own loop: over TCP interleaved, or over UDP.

All of the protocol is in `services.media` (`rtsp`, `sdp`, `rtp_receive`, `depacketize`); here are its sockets, its
timers, and what its verdicts mean for an operator.
"""

import asyncio
import errno
import os
import socket
import ssl
import time
from collections.abc import Sequence
from functools import cache, partial
from typing import Final, Literal, cast

from services.contracts.frames import Codec
from services.contracts.models import Reason
from services.contracts.source_urls import url_trouble
from services.ingest.kernel.engine import KernelEngine
from services.ingest.readers.networks import NotAllowedError, require_allowed, resolve
from services.ingest.readers.rtp_ports import RtpPorts
from services.ingest.readers.short_way import ShortWay
from services.ingest.readers.source import OPENING_SHARE, Kind, Outlet, Packet, ReaderEnd, Source, Track, UsualTaker
from services.ingest.readers.source_backlog import SourceBacklog
from services.media.codecs import NAME_BY_RTP_NAME
from services.media.depacketize.formats import encoding_of, is_readable
from services.media.depacketize.unit_sink import ArrivalClock
from services.media.rtp_receive import REORDER_SECONDS, RtpReceiver
from services.media.rtp_track import RtcpReceiver, RtpTrack, SharedReceiver
from services.media.rtsp.addresses import RtspAddress, RtspAddressError, parse_address
from services.media.rtsp.dialogue import (
    DialogueEnd,
    DialogueState,
    DialogueTrack,
    DialogueWishes,
    RtspDialogue,
    RtspFault,
)
from services.media.rtsp.framing import ChannelReceiver, RtspFramer
from services.media.rtsp.messages import RtspMessage, RtspSyntaxError

TICK_SECONDS: Final = 0.25
STEADY_SECONDS: Final = 1.0
"""So often is all looked at of a session whose pictures come the short way: until it falls silent."""
REPORT_SECONDS: Final = 5.0
"""Between receiver reports (RFC 3550, 6.2: 5 s at least). Some cameras take them for keep-alives."""
SETTLE_SECONDS: Final = 0.5
"""A description whose length is wrong has come when nothing followed for so long."""
UNREADABLE_SECONDS: Final = 4.0
"""RTP comes, and not one picture can be made of it for so long: another reader may."""
UNREADABLE_PACKETS: Final = 50
FEW_UNITS: Final = 3
QUIET_SECONDS: Final = 2.0
"""A source that has sent few pictures and then none for so long is asked whether it is there: it may be a slow one."""
MAX_UNSENT_BYTES: Final = 65_536
"""With so much that the camera does not take, it gets no reports."""
_TLS_CLOSE_SECONDS: Final = 1.0
_UNREACHABLE: Final = frozenset((errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN))
_CODECS: Final = {rtp_name.lower(): Codec.of(name) for rtp_name, name in NAME_BY_RTP_NAME.items()}
_FOR_LIBAV: Final = frozenset(("mp2t", "x-qt", "x-quicktime"))
"""Encodings that may hold video which the mesh can carry, and which libav unpacks."""
_REASONS: Final = {
    RtspFault.UNAUTHORIZED: Reason.UNAUTHORIZED,
    RtspFault.UNSUPPORTED_AUTH: Reason.UNSUPPORTED_AUTH,
    RtspFault.NOT_FOUND: Reason.NOT_FOUND,
    RtspFault.TOO_MANY_CLIENTS: Reason.TOO_MANY_CLIENTS,
    RtspFault.UNSUPPORTED_TRANSPORT: Reason.UNSUPPORTED_TRANSPORT,
    RtspFault.REJECTED: Reason.REJECTED,
    RtspFault.REDIRECT_LOOP: Reason.REDIRECT_LOOP,
    RtspFault.BAD_ANSWER: Reason.BAD_ANSWER,
    RtspFault.BAD_DESCRIPTION: Reason.BAD_STREAM,
    RtspFault.NO_VIDEO: Reason.BAD_STREAM,
    RtspFault.UNSUPPORTED_CODEC: Reason.UNSUPPORTED_CODEC,
    RtspFault.ENDED: Reason.CLOSED,
}
_CLOSED_BY_US: Final = ReaderEnd(Reason.NONE, "")


class DirectReader:
    """Reads RTSP. See `Reader`."""

    def __init__(self, engine: KernelEngine | None = None, backlog: SourceBacklog | None = None) -> None:
        """``engine`` reads what plays over TCP; None: the event loop does. ``backlog`` learns of the connections."""
        self._engine = engine
        self._backlog = backlog or SourceBacklog()

    async def run(self, source: Source, outlet: Outlet) -> ReaderEnd:
        try:
            if trouble := url_trouble(source.url):
                return ReaderEnd(Reason.BAD_ADDRESS, trouble)
            address = parse_address(source.url)
        except RtspAddressError as error:
            return ReaderEnd(Reason.BAD_ADDRESS, str(error))
        session = _DirectSession(source, address, outlet, self._engine, self._backlog)
        try:
            return await session.run()
        finally:
            session.close()


class _DirectSession:
    """One attempt: connected, spoken to, read."""

    def __init__(
        self, source: Source, address: RtspAddress, outlet: Outlet, engine: KernelEngine | None, backlog: SourceBacklog
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._source = source
        self._outlet = outlet
        self._over: asyncio.Future[ReaderEnd | None] = self._loop.create_future()
        """The verdict; None where another connection is to be made."""
        self._clock = ArrivalClock()
        wishes = DialogueWishes(
            transport=source.transport,
            audio=source.audio,
            username=source.username,
            password=source.password,
            is_readable=is_readable,
            open_ports=self._open_ports,
        )
        self._dialogue = RtspDialogue(address, wishes, on_track=self._on_track)
        self._framer = RtspFramer(self._on_message, self._on_stray)
        self._transport: asyncio.Transport | None = None
        self._connected = False
        """Whether the last connection was taken, where TLS is to begin on it."""
        self._tracks: dict[Kind, RtpTrack] = {}
        self._receivers: dict[int, list[ChannelReceiver]] = {}
        self._ports: list[tuple[RtpPorts, RtpTrack | None]] = []
        self._report_channels: dict[int, RtpTrack] = {}
        self._opened_at: float | None = None
        self._units = 0
        self._unit_at = 0.0
        self._heard_at = 0.0
        self._reports_due = 0.0
        self._ssrc = int.from_bytes(os.urandom(4), "big")
        self._engine = engine
        self._backlog = backlog
        self._short: ShortWay | None = None
        self._usual: UsualTaker | None = None
        self._picture_channel: int | None = None
        self._tick_at = 0.0
        self._steady_until = 0.0
        self._ticking: asyncio.TimerHandle | None = None
        self._reordering: asyncio.TimerHandle | None = None

    async def run(self) -> ReaderEnd:
        """Until the verdict."""
        deadline = self._loop.time() + OPENING_SHARE * self._source.open_seconds
        self._tick_later(deadline)
        while True:
            end = await self._connect(deadline)
            if end is None:
                self._dialogue.start(self._loop.time())
                self._write_output()
                end = await self._over
            if end is not None:
                return end
            self._begin_again()

    async def _connect(self, deadline: float) -> ReaderEnd | None:
        host, port, secure = self._dialogue.address.endpoint
        self._connected = False
        try:
            async with asyncio.timeout_at(deadline):
                await self._connect_to_one(await resolve(host, port, self._source.networks), host, port, secure)
        except NotAllowedError as error:
            return ReaderEnd(Reason.BAD_ADDRESS, str(error))
        except TimeoutError:
            if self._connected:
                return self._end(Reason.NO_ANSWER, "takes the connection and says nothing of TLS")
            return self._end(Reason.TIMEOUT, "does not take a connection in time")
        except socket.gaierror:
            return ReaderEnd(Reason.UNREACHABLE, f"the name {host} does not resolve")
        except ConnectionRefusedError:
            return ReaderEnd(Reason.REFUSED, f"nothing listens at {self._name}")
        except ssl.SSLCertVerificationError as error:
            return self._end(Reason.BAD_CERTIFICATE, f"has a certificate that is not trusted ({error.verify_message})")
        except ssl.SSLError as error:
            return self._end(Reason.BAD_ANSWER, f"does not agree on TLS ({error.reason or 'no reason given'})")
        except ConnectionError:
            return self._end(Reason.CLOSED, "closes the connection before it is open")
        except (OSError, UnicodeError) as error:
            number = error.errno if isinstance(error, OSError) else None
            why = f" ({os.strerror(number)})" if number in _UNREACHABLE and number else ""
            return ReaderEnd(Reason.UNREACHABLE, f"there is no way to {self._name}{why}")
        return None

    async def _connect_to_one(self, addresses: list[str], host: str, port: int, secure: bool) -> None:
        """Connects to the first of the addresses that takes it; raises what the last one raised."""
        for number, address in enumerate(addresses):
            try:
                if secure:
                    await self._connect_securely(address, host, port)
                else:
                    await self._loop.create_connection(lambda: RtspProtocol(self), address, port)
            except OSError:
                if number == len(addresses) - 1:
                    raise
            else:
                return

    async def _connect_securely(self, address: str, host: str, port: int) -> None:
        """In two steps, to tell who takes no connection from who does not answer on it."""
        self._connected = False
        connection = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        connection.setblocking(False)
        try:
            await self._loop.sock_connect(connection, (address, port))
            self._connected = True
            await self._loop.create_connection(
                lambda: RtspProtocol(self),
                sock=connection,
                ssl=_tls(self._source.verify, self._source.authorities),
                server_hostname=host,
                ssl_shutdown_timeout=_TLS_CLOSE_SECONDS,
            )
        except BaseException:
            connection.close()
            raise

    def _begin_again(self) -> None:
        """A redirect leads to another server, or the camera closed the connection behind its challenge."""
        self._drop_connection()
        if self._reordering is not None:
            self._reordering.cancel()
            self._reordering = None
        self._over = self._loop.create_future()
        self._framer = RtspFramer(self._on_message, self._on_stray)
        self._tracks.clear()
        self._receivers.clear()
        self._report_channels.clear()
        self._usual = self._picture_channel = None

    def close(self) -> None:
        """Ends the session, its timers and its tasks."""
        for timer in (self._ticking, self._reordering):
            if timer is not None:
                timer.cancel()
        if not self._over.done():
            self._over.set_result(_CLOSED_BY_US)
        self._dialogue.teardown()
        self._write_output()
        self._drop_connection()

    def _drop_connection(self) -> None:
        self._leave_short_way()
        transport, self._transport = self._transport, None
        if transport is not None:
            self._backlog.discard(transport)
            transport.close()
        for ports, _ in self._ports:
            self._backlog.discard(ports.rtp)
            ports.close()
        self._ports.clear()

    # verdicts

    @property
    def _name(self) -> str:
        address = self._dialogue.address
        host = f"[{address.host}]" if ":" in address.host else address.host
        return f"{host}:{address.port}" if address.explicit_port else host

    def _end(self, reason: Reason, what: str, *, unsuited: bool = False) -> ReaderEnd:
        return ReaderEnd(reason, f"{self._name} {what}", unsuited)

    def _finish(self, end: ReaderEnd | None) -> None:
        if not self._over.done():
            self._over.set_result(end)

    def _verdict(self, end: DialogueEnd) -> ReaderEnd:
        unsuited = end.fault is RtspFault.UNSUPPORTED_CODEC and not _FOR_LIBAV.isdisjoint(end.encodings)
        return self._end(_REASONS[end.fault], end.detail, unsuited=unsuited)

    # the connection, called by its protocol

    def connected(self, transport: asyncio.Transport) -> None:
        """The connection is there."""
        self._transport = transport
        self._backlog.add(transport)

    def room(self) -> memoryview:
        """Where the next bytes are to be written."""
        return self._framer.room()

    def received(self, count: int) -> None:
        """So many bytes were written into `room`."""
        self._before()
        try:
            self._framer.wrote(count)
        except RtspSyntaxError as error:
            self.misread(error)
        self._after()

    def misread(self, error: RtspSyntaxError) -> None:
        """The connection cannot be read any further."""
        reason = Reason.BAD_ANSWER if self._opened_at is None else Reason.BAD_STREAM
        self._finish(self._end(reason, f"sends what is no RTSP: {error}"))

    def lost(self, transport: asyncio.BaseTransport | None) -> None:
        """The connection is over, and its socket closed behind this."""
        if transport is not None:
            self._backlog.discard(transport)
        if transport is self._transport:
            self._leave_short_way()
        if transport is not self._transport or self._over.done():
            return
        for ports, _ in self._ports:
            ports.read_waiting()  # a loop that is late hears of the end before it has read what came in front of it
        for track in self._tracks.values():
            track.receiver.give_up()
            track.flush(float("inf"))
        if self._opened_at is None and self._dialogue.goes_on_after_loss():
            self._finish(None)
        elif self._opened_at is None and not self._dialogue.answers:
            self._finish(self._end(Reason.CLOSED, "closes the connection without an answer"))
        elif self._opened_at is None:
            what = f"closes the connection at {self._dialogue.state.value}"
            self._finish(self._end(Reason.CLOSED, what))
        else:
            self._finish(self._end(Reason.CLOSED, "closed the connection"))

    # the short way

    @property
    def reads_itself(self) -> bool:
        """Whether the kernel reads the connection, and the event loop does not."""
        return self._short is not None

    def _enter_short_way(self) -> None:
        transport, usual, channel, engine = self._transport, self._usual, self._picture_channel, self._engine
        if engine is None or usual is None or channel is None or self._source.is_secure or self._short is not None:
            return
        if transport is None or transport.is_closing() or self._over.done():
            return
        self._short = ShortWay(self, engine, self._framer, self._tracks["video"], usual, channel)
        transport.pause_reading()
        try:
            self._short.begin(transport.get_extra_info("socket").fileno())
        except OSError:
            self._short = self._usual = None
            transport.resume_reading()

    def _leave_short_way(self) -> None:
        short, self._short = self._short, None
        if short is not None:
            short.close()

    def read_again(self) -> None:
        """The event loop reads the connection, and finds its end."""
        self._leave_short_way()
        self._usual = None
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def heard_at(self, arrival_us: int) -> None:
        """Bytes came, and are about to be looked at."""
        self._clock.arrival_us = arrival_us
        self._heard_at = arrival_us / 1e6

    def looked(self) -> None:
        """They were looked at."""
        self._after()

    def took_usual(self, count: int, heard_at: float) -> None:
        """So many pictures went the short way, the last at ``heard_at``."""
        self._units += count
        self._unit_at = heard_at
        self._heard_at = max(self._heard_at, heard_at)

    def _before(self) -> None:
        self._clock.arrival_us = time.monotonic_ns() // 1000
        self._heard_at = self._loop.time()

    def _after(self) -> None:
        if self._dialogue.has_output:
            self._write_output()
        if self._reordering is None:
            for track in self._tracks.values():
                if track.receiver.waiting:
                    self._await_reordered()
                    return

    def _await_reordered(self) -> None:
        kept = [(track.receiver, track.receiver.newest_kept) for track in self._tracks.values()]
        self._reordering = self._loop.call_later(REORDER_SECONDS, self._give_up, kept)

    def _give_up(self, kept: list[tuple[RtpReceiver, int | None]]) -> None:
        """The holes in front of these packets were there `REORDER_SECONDS` ago."""
        self._reordering = None
        for receiver, newest in kept:
            if newest is not None:
                receiver.give_up(newest)
        self._after()

    def _write_output(self) -> None:
        output = self._dialogue.take_output()
        if output and self._transport is not None and not self._transport.is_closing():
            self._transport.write(output)

    # the dialogue

    def _on_message(self, message: RtspMessage) -> None:
        dialogue = self._dialogue
        dialogue.received(message, self._loop.time())
        self._outlet.heard()
        if dialogue.end is not None:
            self._finish(self._verdict(dialogue.end))
        elif dialogue.reconnect is not None:
            self._finish(None)
        elif dialogue.state is DialogueState.PLAYING and self._opened_at is None:
            self._open()

    def _open_ports(self) -> tuple[int, int] | None:
        assert self._transport is not None
        try:
            ports = RtpPorts(self._transport.get_extra_info("sockname"))
        except OSError:
            return None
        self._ports.append((ports, None))
        self._backlog.add(ports.rtp)
        return ports.ports

    def _on_track(self, asked: DialogueTrack) -> None:
        kind = cast("Kind", asked.media.kind)
        track = RtpTrack(asked.media, asked.formats, self._clock, partial(self._on_unit, kind), self._on_codec)
        track.receiver.announced_ssrc = asked.ssrc
        self._tracks[kind] = track
        if asked.transport == "tcp":
            self._route(asked.channels[0], track.receiver)
            self._route(asked.channels[1], RtcpReceiver(track))
            self._report_channels[asked.channels[1]] = track
            return
        assert self._transport is not None
        peer = str(self._transport.get_extra_info("peername")[0])
        for number, (ports, _) in enumerate(self._ports):
            if ports.ports == asked.client_ports:
                self._ports[number] = ports, track
                ports.receive(
                    track.receiver,
                    RtcpReceiver(track),
                    hosts=frozenset((peer, self._media_host(asked.source) or peer)),
                    server_ports=asked.server_ports,
                    before=self._before,
                    after=self._after,
                )

    def _media_host(self, named: str | None) -> str:
        """Where a camera says that its media comes from, and reports go to; empty where that may not be."""
        try:
            require_allowed(named or "", self._source.networks)
        except (NotAllowedError, ValueError):
            return ""  # a name, or an address that is not allowed
        return named or ""

    def _route(self, channel: int, receiver: ChannelReceiver) -> None:
        """Some cameras answer with the same channels for every track."""
        sharing = self._receivers.setdefault(channel, [])
        sharing.append(receiver)
        is_video = "video" in self._tracks and receiver is self._tracks["video"].receiver
        if len(sharing) > 1:
            self._framer.add_receiver(channel, SharedReceiver(sharing))
            if channel == self._picture_channel:
                self._picture_channel = None
        elif isinstance(receiver, RtpReceiver):
            self._framer.add_receiver(channel, receiver, receiver.receive_pictures)
            self._picture_channel = channel if is_video else self._picture_channel
        else:
            self._framer.add_receiver(channel, receiver)

    def _on_stray(self, channel: int, buffer: bytearray, start: int, end: int) -> None:
        """A packet on a channel that was not set up: it is the track's whose own channel never brought anything."""
        for track in self._tracks.values():
            if not track.receiver.started and track.receiver.knows(buffer, start, end):
                self._route(channel, track.receiver)
                self._route(channel + 1, RtcpReceiver(track))
                track.receiver.receive_unknown(buffer, start, end)
                return

    # tracks

    def _open(self) -> None:
        self._opened_at = self._loop.time()
        self._tell_tracks()

    def _tell_tracks(self) -> None:
        tracks = []
        for kind, track in self._tracks.items():
            rate = 0 if kind == "video" else track.format.clock_rate_hz
            channels = max(track.format.channels, 1)
            tracks.append(Track(kind, _CODECS[encoding_of(track.format)], track.extradata, rate, channels))
        transport = cast('Literal["tcp", "udp"]', self._dialogue.tracks[0].transport)
        self._usual = self._outlet.opened(tracks, transport=transport)
        if self._engine is not None and transport == "tcp":
            self._loop.call_soon(self._enter_short_way)

    def _on_codec(self) -> None:
        if self._opened_at is not None:
            self._tell_tracks()

    def _on_unit(
        self,
        kind: Kind,
        data: bytes | Sequence[bytes],
        pts_90k: int,
        arrival_us: int,
        rtcp_us: int | None,
        damaged: bool,
        lost: int,
    ) -> None:
        if self._over.done():
            return
        if self._opened_at is None:
            self._open()  # some servers send before they answer PLAY, or never answer it
        if kind == "video":
            self._units += 1
            self._unit_at = self._heard_at
        self._outlet.packet(Packet(kind, data, pts_90k, None, arrival_us, rtcp_us, damaged, lost))

    # time

    def _tick_later(self, deadline: float) -> None:
        """All sessions tick at the same moments: a process that wakes for each costs more than what a tick does."""
        self._tick_at = (self._loop.time() // TICK_SECONDS + 1) * TICK_SECONDS
        self._ticking = self._loop.call_at(self._tick_at, self._tick, deadline)

    def _tick(self, deadline: float) -> None:
        now = self._loop.time()
        # libuv runs timers first: what came while this process had no turn is read behind a tick that is late.
        in_time = now - self._tick_at < TICK_SECONDS
        self._tick_later(deadline)
        if self._transport is None:
            return
        if self._short is not None:
            heard_at = self._short.heard_at
            if now - heard_at < TICK_SECONDS and now < self._steady_until:
                self._dialogue.tick(now)
                self._write_output()
                return
            self._steady_until = now + STEADY_SECONDS - TICK_SECONDS / 2
            self._heard_at = max(self._heard_at, heard_at)
        silent_seconds = now - self._heard_at if in_time else 0.0
        if self._short is not None and silent_seconds >= TICK_SECONDS:
            self._short.look_impatiently()
        self._dialogue.tick(now)
        if self._opened_at is None:
            if silent_seconds >= SETTLE_SECONDS:
                self._framer.settle()
            if now >= deadline:
                self._finish(self._too_late())
        else:
            self._watch(now, silent_seconds)
        self._write_output()

    def _too_late(self) -> ReaderEnd:
        dialogue = self._dialogue
        if self._framer.pending_bytes:
            return self._end(Reason.BAD_ANSWER, "sends an answer that does not end")
        if not dialogue.answers:
            return self._end(Reason.NO_ANSWER, "takes the connection and then says nothing")
        return self._end(Reason.NO_ANSWER, f"does not answer {dialogue.state.value}")

    def _watch(self, now: float, silent_seconds: float) -> None:
        assert self._opened_at is not None
        for track in self._tracks.values():
            track.flush(silent_seconds)
        video = self._tracks["video"]
        if silent_seconds and video.has_ended(now):  # else what followed the goodbye may be unread
            self._finish(self._end(Reason.CLOSED, "ended the stream (RTCP BYE)"))
        came = video.receiver.packets + video.receiver.foreign + video.receiver.duplicates
        if not self._units and came >= UNREADABLE_PACKETS and now - self._opened_at >= UNREADABLE_SECONDS:
            self._finish(self._end(Reason.BAD_STREAM, "sends RTP of which no picture can be made", unsuited=True))
        if 0 < self._units <= FEW_UNITS and now - self._unit_at >= QUIET_SECONDS:
            self._dialogue.ask_if_alive(now)
        if now >= self._reports_due:
            self._reports_due = now + REPORT_SECONDS
            self._send_reports()

    def _send_reports(self) -> None:
        now_us = time.monotonic_ns() // 1000
        for channel, track in self._report_channels.items():
            packet = track.receiver_report(self._ssrc, now_us)
            transport = self._transport
            if packet and transport is not None and transport.get_write_buffer_size() < MAX_UNSENT_BYTES:
                transport.write(b"$" + bytes((channel,)) + len(packet).to_bytes(2, "big") + packet)
        for ports, udp_track in self._ports:
            if udp_track is not None and (packet := udp_track.receiver_report(self._ssrc, now_us)):
                ports.send_rtcp(packet)


class RtspProtocol(asyncio.BufferedProtocol):
    """Bytes of the connection go into the session's framer without a copy.

    In one turn of the loop a connection is read once. libuv would read on while a read fills the buffer. In a worker
    that is behind the turn would then take seconds, for each of its cameras, in which no lease is renewed.
    """

    def __init__(self, session: _DirectSession) -> None:
        self._session = session
        self._transport: asyncio.Transport | None = None
        self._room_bytes = 0

    def get_buffer(self, sizehint: int) -> memoryview:
        room = self._session.room()
        self._room_bytes = len(room)
        return room

    def buffer_updated(self, nbytes: int) -> None:
        self._session.received(nbytes)
        if nbytes == self._room_bytes and self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()
            asyncio.get_running_loop().call_soon(self._read_on, self._transport)

    def _read_on(self, transport: asyncio.Transport) -> None:
        if not transport.is_closing() and not self._session.reads_itself:
            transport.resume_reading()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._session.connected(self._transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._session.lost(self._transport)


@cache
def _tls(verify: bool, authorities: str) -> ssl.SSLContext:
    """See decision 22. What is not verified may as well be old: some cameras have TLS 1.0 and short keys."""
    if verify:
        return ssl.create_default_context(cafile=authorities or None)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    return context
