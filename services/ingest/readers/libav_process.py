"""The processes that read with libav: a server that forks one for each source.

``python -m services.ingest.readers.libav_process FD`` is the server. It has libav loaded, so that opening a source
costs a fork and no start of Python. It is told over the socket ``FD`` what to read (`libav_messages`). A forked process
reads one source and sends its packets until the source ends or nobody listens any more. One that hangs is killed
without harm to others. All of them end with the server, and the server with the worker.
"""

import gc
import logging
import os
import selectors
import signal
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from struct import Struct
from typing import Final, NoReturn
from urllib.parse import urljoin, urlsplit

import av
import av.container
import av.error
import av.logging
from av.audio.stream import AudioStream
from av.stream import Discard, Stream
from av.video.stream import VideoStream

from services.contracts.frames import Codec
from services.contracts.models import Reason
from services.contracts.redact import with_credentials
from services.ingest.readers.libav_errors import address_of, end_from_error, end_of_endless
from services.ingest.readers.libav_messages import (
    decode_request,
    encode_alive,
    encode_end,
    encode_opened,
    encode_packet,
)
from services.ingest.readers.libav_trace import MAX_REDIRECTS, LibavTrace
from services.ingest.readers.networks import NotAllowedError, require_allowed, require_allowed_url
from services.ingest.readers.source import OPENING_SHARE, Kind, Packet, ReaderEnd, Source, Track
from services.mesh.child import end_with_parent

ALIVE_SECONDS: Final = 1.0
READ_SECONDS: Final = 60.0
"""What a read may take before libav gives up by itself. The worker notices a stall long before and ends the process."""
CLOSE_SECONDS: Final = 1.0
"""What a process has to close its source once nobody listens to it."""
LOOK_SECONDS: Final = 0.25
STOP_SECONDS: Final = 0.5
MAX_REQUEST_BYTES: Final = 65536
CODECS: Final = {codec.ffmpeg_name: codec for codec in Codec}
"""By FFmpeg's names."""
_GENPTS: Final = 0x1
_PRFT: Final = Struct("<q")
"""AVProducerReferenceTime begins with the wall-clock time in microseconds."""
_SINGLE: Final = frozenset(("image2", "jpeg_pipe", "png_pipe", "webp_pipe"))
"""Demuxers of addresses that give one picture."""
_NO_TIMES: Final = frozenset(("mpjpeg", "mjpeg", "image2", "jpeg_pipe"))
"""Demuxers that invent 25 frames a second."""
_HTTP_PROTOCOLS: Final = "http,https,tcp,tls,crypto,data"
_PROTOCOLS: Final = {
    "rtsp": "rtsp,rtsps,rtp,udp,tcp,tls",
    "rtsps": "rtsp,rtsps,rtp,udp,tcp,tls",
    "http": _HTTP_PROTOCOLS,
    "https": _HTTP_PROTOCOLS,
    "rtmp": "rtmp,tcp",
    "srt": "srt",
    "udp": "udp",
    "rtp": "rtp,udp",
}
"""What libav may open for a source of a scheme, and a playlist or a description lead to: never a file of ours."""
_REDIRECTS: Final = frozenset((301, 302, 303, 307, 308))


class _ListenerGoneError(Exception):
    """Nobody takes what is sent."""


class _Hearing(logging.Handler):
    """Hands on each message of a logger, as it is said."""

    def __init__(self, hear: Callable[[str], None]) -> None:
        super().__init__()
        self._hear = hear

    def emit(self, record: logging.LogRecord) -> None:
        self._hear(record.getMessage())


class SourceProcess:
    """What one forked process does."""

    def __init__(self, source: Source, out: socket.socket) -> None:
        self._source = source
        self._out = out
        self._sending = threading.Lock()
        self._url = source.url
        """Where it is read: what it redirects to."""
        self._redirects = 0
        self._trace = LibavTrace()
        self._opened = False
        self._single = False
        self._packets = 0
        self._missed = 0

    def run(self) -> NoReturn:
        """Reads the source to its end, and ends the process."""
        status = 1
        try:
            threading.Thread(target=self._say_alive, daemon=True).start()
            self._listen_to_libav()
            self._send(encode_end(self._read()))
            status = 0
        except _ListenerGoneError:
            status = 0
        except Exception as error:  # noqa: BLE001 (what gets here is a bug; its text may hold the URL)
            self._send(encode_end(ReaderEnd(Reason.READER_FAILED, f"reading failed ({type(error).__name__})")))
        finally:
            # No destructors and no other thread: the process has nothing to put away.
            os._exit(status)

    def _say_alive(self) -> None:
        """Shows that the process runs, and ends it where nobody listens and libav does not come back."""
        try:
            while True:
                self._send(encode_alive())
                time.sleep(ALIVE_SECONDS)
        except _ListenerGoneError:
            time.sleep(CLOSE_SECONDS)
            os._exit(0)

    def _send(self, message: bytes) -> None:
        try:
            with self._sending:
                self._out.sendall(message)
        except OSError as error:
            raise _ListenerGoneError from error

    def _listen_to_libav(self) -> None:
        """Has all that libav says come to `_trace` before libav goes on: it waits for its log's callback."""
        log = logging.getLogger("libav")
        log.handlers = [_Hearing(self._hear)]
        log.propagate = False
        log.setLevel(1)
        av.logging.set_skip_repeated(False)
        av.logging.set_level(av.logging.TRACE)

    def _hear(self, message: str) -> None:
        for line in message.split("\n"):
            self._trace.feed(line.rstrip("\r"))
        self._watch_where_it_leads()
        if not self._opened and (end := end_of_endless(self._trace, self._source)) is not None:
            self._end_at_once(end)

    def _end_at_once(self, end: ReaderEnd) -> NoReturn:
        """Ends the process from within libav, which cannot be told to stop."""
        with suppress(_ListenerGoneError):
            self._send(encode_end(end))
        os._exit(0)

    def _watch_where_it_leads(self) -> None:
        """Ends the process where libav connects to an address that it may not."""
        address, self._trace.connecting_to = self._trace.connecting_to, ""
        if address:
            try:
                require_allowed(address, self._source.networks)
            except (NotAllowedError, ValueError) as error:
                self._end_at_once(ReaderEnd(Reason.BAD_ADDRESS, str(error)))

    def _redirected(self) -> bool:
        """Whether the source led elsewhere, which is where it is to be opened now."""
        trace = self._trace
        if self._opened or not self._is_http or trace.status not in _REDIRECTS or not trace.location:
            return False
        self._redirects += 1
        self._url = urljoin(self._url, trace.location)
        self._trace = LibavTrace()
        return self._redirects <= MAX_REDIRECTS

    @property
    def _is_http(self) -> bool:
        return self._url.lower().startswith(("http://", "https://"))

    def _read(self) -> ReaderEnd:
        if self._redirects and not self._is_http:
            return ReaderEnd(Reason.BAD_ADDRESS, f"{address_of(self._source)} redirects to something other than HTTP")
        try:
            require_allowed_url(self._url, self._source.networks)
            return self._read_as(None)
        except NotAllowedError as error:
            return ReaderEnd(Reason.BAD_ADDRESS, str(error))
        except (av.error.FFmpegError, OSError) as error:
            if self._redirected():
                return self._read()
            if self._redirects > MAX_REDIRECTS:
                where = address_of(self._source)
                return ReaderEnd(Reason.REDIRECT_LOOP, f"{where} redirects more than {MAX_REDIRECTS} times")
            if isinstance(error, av.error.InvalidDataError) and self._is_motion_jpeg:
                # libav's demuxer takes parts as the standard has them, browsers and devices do not. It may find out
                # behind some of them: lengths that are wrong lead it astray.
                with suppress(av.error.FFmpegError, OSError):
                    return self._read_as("mjpeg")
            if self._single and self._packets:
                return self._single_picture()
            if self._opened and not self._packets and isinstance(error, TimeoutError | av.error.ExitError):
                return ReaderEnd(Reason.NO_MEDIA, f"{address_of(self._source)} agreed to play and sent nothing")
            return end_from_error(error, self._source, opened=self._opened, trace=self._trace)
        except ValueError as error:  # PyAV's own, for text in headers that is not UTF-8 and the like
            return ReaderEnd(Reason.BAD_STREAM, f"libav cannot read the source ({type(error).__name__})")

    @property
    def _is_motion_jpeg(self) -> bool:
        return self._trace.content_type.startswith("multipart/")

    def _read_as(self, demuxer: str | None) -> ReaderEnd:
        with self._open(demuxer) as container:
            # Of what follows lost packets are of interest, and where a playlist leads.
            hls = container.format.name == "hls"
            av.logging.set_level(av.logging.VERBOSE if hls else av.logging.WARNING)
            self._single = container.format.name in _SINGLE
            tracks, streams = _tracks(container, audio=self._source.audio)
            if not any(track.kind == "video" for track in tracks):
                return self._no_video(container)
            if not self._opened:
                self._opened = True
                self._send(encode_opened(tracks, self._trace.transport, bursts=hls))
            self._demux(container, streams)
            if self._single:
                return self._single_picture()
        return ReaderEnd(Reason.CLOSED, f"{urlsplit(self._source.url).hostname} closed the connection")

    def _single_picture(self) -> ReaderEnd:
        return ReaderEnd(Reason.SINGLE_PICTURE, f"{address_of(self._source)} gives a single picture, no stream")

    def _no_video(self, container: "av.container.InputContainer") -> ReaderEnd:
        found = [_codec_name(stream) for stream in container.streams if isinstance(stream, VideoStream)]
        if not found:
            kinds = ", ".join(sorted({stream.type for stream in container.streams} | set(self._trace.media)))
            return ReaderEnd(Reason.BAD_STREAM, "the source has no video" + (f", only {kinds}" if kinds else ""))
        names = ", ".join(name for name in found if name) or ", ".join(self._trace.codecs) or "an unknown codec"
        detail = f"the source sends {names}; H.264, H.265 and MJPEG can be used"
        return ReaderEnd(Reason.UNSUPPORTED_CODEC, detail)

    def _open(self, demuxer: str | None) -> "av.container.InputContainer":
        source = self._source
        same = urlsplit(self._url)[:2] == urlsplit(source.url)[:2]  # a password goes to no other host
        url = with_credentials(self._url, source.username, source.password) if source.username and same else self._url
        container = av.open(
            url,
            format=demuxer,
            options=self._options(demuxer),
            timeout=(OPENING_SHARE * source.open_seconds, READ_SECONDS),
            metadata_errors="replace",
        )
        # PyAV asks libav to make up missing time stamps, for which it holds packets back; retiming does it without.
        container.flags &= ~_GENPTS
        return container

    def _options(self, demuxer: str | None) -> dict[str, str]:
        scheme = self._url.partition("://")[0].lower()
        allowed = {"protocol_whitelist": _PROTOCOLS.get(scheme, scheme)}
        return self._protocol_options(demuxer) | self._tls_options() | allowed

    def _tls_options(self) -> dict[str, str]:
        """libav verifies nothing unless it is told to, and knows no authorities of the system's."""
        source = self._source
        secure = self._url.startswith("https://") or source.is_secure
        if not (secure and source.verify):
            return {}
        authorities = source.authorities or ssl.get_default_verify_paths().cafile or ""
        return {"tls_verify": "1", "ca_file": authorities}

    def _protocol_options(self, demuxer: str | None) -> dict[str, str]:
        source = self._source
        timeout_us = str(round(READ_SECONDS * 1e6))  # of each socket operation, in every protocol
        if source.is_rtsp:
            options = {
                "rtsp_transport": {"auto": "udp+tcp"}.get(source.transport, source.transport),
                "rtsp_flags": "prefer_tcp",
                "allowed_media_types": "video+audio" if source.audio else "video",
                # The description says it all: nothing need be read to find out more.
                "probesize": "32",
                "analyzeduration": "0",
                "fpsprobesize": "0",
                "timeout": timeout_us,
            }
            if source.transport != "tcp":
                options["buffer_size"] = str(1024 * 1024)
            return options
        analyze_us = "0" if demuxer == "mjpeg" else "1000000"
        if self._is_http:
            return {
                "timeout": timeout_us,
                "max_redirects": "0",  # where they lead is checked first
                "analyzeduration": analyze_us,
                "fpsprobesize": "0",
                "user_agent": "Pantau",
            }
        return {"timeout": timeout_us, "analyzeduration": analyze_us, "fpsprobesize": "0"}

    def _demux(
        self,
        container: "av.container.InputContainer",
        streams: "dict[int, tuple[Kind, int, int, bool]]",
    ) -> None:
        now_ns = time.monotonic_ns
        for packet in container.demux():
            known = streams.get(packet.stream_index)
            if known is None or not packet.size:
                continue
            arrival_us = now_ns() // 1000
            kind, numerator, denominator, timed = known
            pts, dts = packet.pts, packet.dts
            rtcp_us: int | None = None
            if timed:  # RTP: times are the sender's sampling times, and there are no decoding times
                dts = None
                if packet.has_sidedata("prft"):
                    rtcp_us = _PRFT.unpack_from(bytes(packet.get_sidedata("prft")))[0]
            if not denominator:
                pts = dts = None
            elif denominator != numerator:
                pts = None if pts is None else pts * numerator // denominator
                dts = None if dts is None else dts * numerator // denominator
            lost, self._missed = self._trace.missed_packets - self._missed, self._trace.missed_packets
            damaged = lost > 0 or packet.is_corrupt
            self._send(encode_packet(Packet(kind, bytes(packet), pts, dts, arrival_us, rtcp_us, damaged, lost)))
            self._packets += 1


def _tracks(
    container: "av.container.InputContainer", *, audio: bool
) -> "tuple[tuple[Track, ...], dict[int, tuple[Kind, int, int, bool]]]":
    """The largest video and, if asked for, the first audio track that we know, and how to read their streams."""
    name = container.format.name
    rtp = name in ("rtsp", "sdp", "rtp")
    tracks: dict[Kind, Track] = {}
    streams: dict[int, tuple[Kind, int, int, bool]] = {}
    for stream in sorted(container.streams, key=_pixels, reverse=True):
        kind: Kind
        if isinstance(stream, VideoStream):
            kind = "video"
        elif isinstance(stream, AudioStream) and audio:
            kind = "audio"
        else:
            continue
        codec = CODECS.get(_codec_name(stream))
        if codec is None or codec.is_video != (kind == "video") or kind in tracks:
            if not rtp:
                stream.discard = Discard.all  # so that HLS does not even fetch the other variants
            continue
        rate, channels = (stream.sample_rate, stream.channels) if isinstance(stream, AudioStream) else (0, 1)
        tracks[kind] = Track(kind, codec, bytes(stream.codec_context.extradata or b""), rate, channels or 1)
        base = stream.time_base
        numerator = 90_000 * base.numerator if base else 0
        denominator = base.denominator if base and name not in _NO_TIMES else 0
        streams[stream.index] = (kind, numerator, denominator, rtp)
    return tuple(tracks.values()), streams


def _pixels(stream: Stream) -> int:
    """Of video whose size is known before its parameter sets are read, as in HLS; else 0."""
    context = stream.codec_context if isinstance(stream, VideoStream) else None
    return context.width * context.height if context is not None else 0


def _codec_name(stream: "VideoStream | AudioStream") -> str:
    # Without a decoder for it PyAV gives no codec context at all.
    name = stream.codec_context.name if stream.codec_context is not None else ""
    return {"libdav1d": "av1", "libopus": "opus"}.get(name, name)


class Server:
    """Forks a process for each source, kills those that do not end when they should, and reaps them all."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._children: dict[int, int] = {}
        """Number → pid."""
        self._ends: dict[int, float] = {}
        """Number → when it is killed."""

    def run(self) -> None:
        """Serves until the worker is gone. Says at each look that it is well."""
        self._say_well()
        with selectors.DefaultSelector() as selector:
            selector.register(self._control, selectors.EVENT_READ)
            while True:
                if selector.select(LOOK_SECONDS):
                    try:
                        message, descriptors, _, _ = socket.recv_fds(self._control, MAX_REQUEST_BYTES, 1)
                    except ConnectionResetError:  # the worker went without reading all our signs
                        break
                    if not message:
                        break
                    self._take(message, descriptors)
                self._look()
                self._say_well()
        until = time.monotonic() + STOP_SECONDS
        while self._children and time.monotonic() < until:
            self._look()
            time.sleep(0.02)
        for pid in self._children.values():
            os.kill(pid, signal.SIGKILL)

    def _say_well(self) -> None:
        with suppress(OSError):  # the worker does not read just now, or is gone
            self._control.send(b"1", socket.MSG_DONTWAIT)

    def _take(self, message: bytes, descriptors: list[int]) -> None:
        number, source, now = decode_request(message)
        if source is None:
            self._ends[number] = time.monotonic() + (0 if now else 2 * CLOSE_SECONDS)
            return
        with socket.socket(fileno=descriptors[0]) as out:
            arm = end_with_parent(signal.SIGKILL)
            pid = os.fork()
            if pid == 0:
                if arm is not None:
                    arm()
                self._control.close()
                SourceProcess(source, out).run()
        self._children[number] = pid

    def _look(self) -> None:
        """Reaps those that have ended, and kills those whose time is up."""
        now = time.monotonic()
        for number, pid in list(self._children.items()):
            ended, _ = os.waitpid(pid, os.WNOHANG)
            if ended:
                del self._children[number]
                self._ends.pop(number, None)
            elif now >= self._ends.get(number, now + 1):
                os.kill(pid, signal.SIGKILL)
        for number in [number for number in self._ends if number not in self._children]:
            del self._ends[number]


def main(descriptor: int) -> None:
    """The server."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C comes to all of its processes
    gc.collect()
    gc.freeze()  # so that the processes share what was loaded
    gc.disable()
    Server(socket.socket(fileno=descriptor)).run()


if __name__ == "__main__":
    main(int(sys.argv[1]))
