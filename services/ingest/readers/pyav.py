"""The reader that takes every source: PyAV (libav) in a thread of its own.

A thread that libav does not let go of is left behind; nothing waits for it, and what it still reads goes nowhere. The
process ends without asking such threads, so this must run in a process of its own (`services.ingest.worker`).
"""

import asyncio
import socket
import threading
import time
from struct import Struct
from typing import Final
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
from services.ingest.readers.source import Kind, Outlet, Packet, ReaderEnd, Source, Track

THREAD_NAME: Final = "libav "
"""What the names of the threads begin with."""
CODECS: Final = {codec.name.lower(): codec for codec in Codec}
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


class PyavReader:
    """Reads a source with libav. See `Reader`."""

    def __init__(self, *, open_seconds: float, stall_seconds: float) -> None:
        self._open_seconds = open_seconds
        self._stall_seconds = stall_seconds

    async def run(self, source: Source, outlet: Outlet) -> ReaderEnd:
        """See `Reader.run`."""
        loop = asyncio.get_running_loop()
        over: asyncio.Future[ReaderEnd] = loop.create_future()
        stop = threading.Event()

        def finish(end: ReaderEnd) -> None:
            if not over.done():
                over.set_result(end)

        def read() -> None:
            end = self._read(source, outlet, stop)
            try:
                loop.call_soon_threadsafe(finish, end)
            except RuntimeError:
                return  # the loop is gone, and the process with it

        thread = threading.Thread(target=read, name=f"{THREAD_NAME}{urlsplit(source.url).hostname}", daemon=True)
        thread.start()
        try:
            return await over
        finally:
            stop.set()

    def _read(self, source: Source, outlet: Outlet, stop: threading.Event) -> ReaderEnd:
        opened = False
        try:
            with self._open(source) as container:
                if stop.is_set():
                    return _CLOSED_BY_US
                tracks, streams = _tracks(container, audio=source.audio)
                if not any(track.kind == "video" for track in tracks):
                    return _no_video(container)
                outlet.opened(tracks)
                opened = True
                self._demux(container, streams, outlet, stop)
        except (av.error.FFmpegError, OSError) as error:
            if not opened and isinstance(error, OSError) and not _resolves(source):
                return ReaderEnd(Reason.UNREACHABLE, f"the name {urlsplit(source.url).hostname} does not resolve")
            if not opened and isinstance(error, av.error.InvalidDataError) and _hangs_up(source):
                where = urlsplit(source.url)
                return ReaderEnd(Reason.CLOSED, f"{where.hostname} closes the connection before the stream is open")
            return end_from_error(error, source, opened=opened)
        except ValueError as error:  # PyAV's own, for text in headers that is not UTF-8 and the like
            return ReaderEnd(Reason.BAD_STREAM, f"libav cannot read the source ({type(error).__name__})")
        where = urlsplit(source.url)
        return _CLOSED_BY_US if stop.is_set() else ReaderEnd(Reason.CLOSED, f"{where.hostname} closed the connection")

    def _open(self, source: Source) -> "av.container.InputContainer":
        url = with_credentials(source.url, source.username, source.password) if source.username else source.url
        container = av.open(
            url,
            options=self._options(source),
            timeout=(self._open_seconds, self._stall_seconds + 1),
            metadata_errors="replace",
        )
        # PyAV asks libav to make up missing time stamps, for which it holds packets back; retiming does it without.
        container.flags &= ~_GENPTS
        return container

    def _options(self, source: Source) -> dict[str, str]:
        timeout_us = str(round(self._stall_seconds * 1e6))  # of each socket operation, whatever the protocol
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
        outlet: Outlet,
        stop: threading.Event,
    ) -> None:
        stopped, now_ns = stop.is_set, time.monotonic_ns
        for packet in container.demux():
            if stopped():
                return
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
            outlet.packet(Packet(kind, bytes(packet), pts, dts, arrival_us, rtcp_us))


_CLOSED_BY_US: Final = ReaderEnd(Reason.NONE, "")


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


def _hangs_up(source: Source) -> bool:
    """Whether an RTSP source that libav calls invalid sends nothing that is: libav says the same of a hang-up."""
    where = urlsplit(source.url)
    if where.scheme != "rtsp" or where.hostname is None:
        return False
    try:
        with socket.create_connection((where.hostname, where.port or RTSP_PORT), timeout=ASK_SECONDS) as connection:
            connection.sendall(f"OPTIONS {source.url} RTSP/1.0\r\nCSeq: 1\r\n\r\n".encode())
            answer = connection.recv(16)
    except OSError:
        return True
    return not answer or answer.startswith(b"RTSP/")
