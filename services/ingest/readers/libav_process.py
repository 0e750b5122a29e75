"""The processes that read with libav: a server that forks one for each source.

``python -m services.ingest.readers.libav_process FD`` is the server. It has libav loaded, so that opening a source
costs a fork and no start of Python. It is told over the socket ``FD`` what to read (`libav_messages`). A forked process
reads one source and sends its packets until the source ends or nobody listens any more. One that hangs is killed
without harm to others. All of them end with the server, and the server with the worker.
"""

import gc
import os
import selectors
import signal
import socket
import sys
import threading
import time
from struct import Struct
from typing import Final, NoReturn
from urllib.parse import urlsplit

import av
import av.container
import av.error
from av.audio.stream import AudioStream
from av.stream import Discard, Stream
from av.video.stream import VideoStream

from services.contracts.frames import Codec
from services.contracts.models import Reason
from services.contracts.redact import with_credentials
from services.ingest.readers.libav_errors import end_from_error
from services.ingest.readers.libav_messages import (
    decode_request,
    encode_alive,
    encode_end,
    encode_opened,
    encode_packet,
)
from services.ingest.readers.source import Kind, Packet, ReaderEnd, RtpTransport, Source, Track
from services.mesh.child import end_with_parent

ALIVE_SECONDS: Final = 1.0
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
_NO_TIMES: Final = frozenset(("mpjpeg", "mjpeg", "image2", "jpeg_pipe"))
"""Demuxers that invent 25 frames a second."""
RTSP_PORT: Final = 554
ASK_SECONDS: Final = 2.0
_HTTP_PROTOCOLS: Final = "http,https,httpproxy,tcp,tls,crypto,data"
"""What a playlist may lead to: never a file of ours."""


class SourceProcess:
    """What one forked process does."""

    def __init__(self, source: Source, out: socket.socket) -> None:
        self._source = source
        self._out = out
        self._sending = threading.Lock()

    def run(self) -> NoReturn:
        """Reads the source to its end, and ends the process."""
        status = 1
        try:
            threading.Thread(target=self._say_alive, daemon=True).start()
            end = self._read()
            self._send(encode_end(end))
            status = 0
        except OSError:
            status = 0  # nobody listens any more
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
        except OSError:
            time.sleep(CLOSE_SECONDS)
            os._exit(0)

    def _send(self, message: bytes) -> None:
        with self._sending:
            self._out.sendall(message)

    def _read(self) -> ReaderEnd:
        source = self._source
        opened = False
        try:
            with self._open(source) as container:
                tracks, streams = _tracks(container, audio=source.audio)
                if not any(track.kind == "video" for track in tracks):
                    return _no_video(container)
                hls = container.format.name == "hls"
                self._send(encode_opened(tracks, self._transport(), bursts=hls))
                opened = True
                self._demux(container, streams)
        except (av.error.FFmpegError, OSError) as error:
            if isinstance(error, BrokenPipeError | ConnectionResetError) and not isinstance(
                error, av.error.FFmpegError
            ):
                raise  # our own socket's
            if not opened and isinstance(error, OSError) and not _resolves(source):
                return ReaderEnd(Reason.UNREACHABLE, f"the name {urlsplit(source.url).hostname} does not resolve")
            return end_from_error(error, source, opened=opened)
        except ValueError as error:  # PyAV's own, for text in headers that is not UTF-8 and the like
            return ReaderEnd(Reason.BAD_STREAM, f"libav cannot read the source ({type(error).__name__})")
        return ReaderEnd(Reason.CLOSED, f"{urlsplit(source.url).hostname} closed the connection")

    def _transport(self) -> RtpTransport:
        if not self._source.is_rtsp:
            return ""
        return "udp" if self._source.transport == "udp" else "tcp"

    def _open(self, source: Source) -> "av.container.InputContainer":
        url = with_credentials(source.url, source.username, source.password) if source.username else source.url
        container = av.open(
            url,
            options=self._options(source),
            timeout=(source.open_seconds, source.stall_seconds + 1),
            metadata_errors="replace",
        )
        # PyAV asks libav to make up missing time stamps, for which it holds packets back; retiming does it without.
        container.flags &= ~_GENPTS
        return container

    def _options(self, source: Source) -> dict[str, str]:
        timeout_us = str(round(source.stall_seconds * 1e6))  # of each socket operation, whatever the protocol
        if source.url.startswith(("rtsp://", "rtsps://")):
            options = {
                "rtsp_transport": "udp" if source.transport == "udp" else "tcp",
                "allowed_media_types": "video+audio" if source.audio else "video",
                # The description says it all: nothing need be read to find out more.
                "probesize": "32",
                "analyzeduration": "0",
                "fpsprobesize": "0",
                "timeout": timeout_us,
            }
            if source.transport == "udp":
                options["buffer_size"] = str(1024 * 1024)
            return options
        if source.url.startswith(("http://", "https://")):
            return {
                "timeout": timeout_us,
                "protocol_whitelist": _HTTP_PROTOCOLS,
                "analyzeduration": "1000000",
                "fpsprobesize": "0",
                "user_agent": "Pantau",
            }
        return {"timeout": timeout_us, "analyzeduration": "1000000", "fpsprobesize": "0"}

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
            self._send(encode_packet(Packet(kind, bytes(packet), pts, dts, arrival_us, rtcp_us)))


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
        tracks[kind] = Track(kind, codec, bytes(stream.codec_context.extradata or b""))
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


def _no_video(container: "av.container.InputContainer") -> ReaderEnd:
    found = [_codec_name(stream) or "unknown" for stream in container.streams if isinstance(stream, VideoStream)]
    if not found:
        return ReaderEnd(Reason.NO_VIDEO, "the source has no video")
    return ReaderEnd(
        Reason.UNSUPPORTED_CODEC, f"the source sends {', '.join(found)}; H.264, H.265 and MJPEG can be used"
    )


def _resolves(source: Source) -> bool:
    where = urlsplit(source.url)
    try:
        socket.getaddrinfo(where.hostname, where.port or 0, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return True


class Server:
    """Forks a process for each source, kills those that do not end when they should, and reaps them all."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._children: dict[int, int] = {}
        """Number → pid."""
        self._ends: dict[int, float] = {}
        """Number → when it is killed."""

    def run(self) -> None:
        """Serves until the worker is gone."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._control, selectors.EVENT_READ)
            while True:
                if selector.select(LOOK_SECONDS if self._children else None):
                    message, descriptors, _, _ = socket.recv_fds(self._control, MAX_REQUEST_BYTES, 1)
                    if not message:
                        break
                    self._take(message, descriptors)
                self._look()
        until = time.monotonic() + STOP_SECONDS
        while self._children and time.monotonic() < until:
            self._look()
            time.sleep(0.02)
        for pid in self._children.values():
            os.kill(pid, signal.SIGKILL)

    def _take(self, message: bytes, descriptors: list[int]) -> None:
        number, source = decode_request(message)
        if source is None:
            self._ends.setdefault(number, time.monotonic() + 2 * CLOSE_SECONDS)
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
