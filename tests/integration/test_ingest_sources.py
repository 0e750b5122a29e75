"""Ingest against every kind of source: codecs, audio, transports, HTTP, and servers that nobody here wrote."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from statistics import median

import av
import numpy as np
import pytest
from aiohttp import web

from services.contracts.frames import AccessUnit, Codec, Flags
from services.contracts.models import Credentials, Reason
from services.media import aac, h264, h265
from services.media.nal import split_length_prefixed
from services.sim.settings import SimSettings
from services.sim.simulator import Simulator
from services.sim.specs import PRESETS
from tests.integration.ingest_rig import Rig, RunningWorker, decode_pictures

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

GST_PYTHON = Path("/usr/bin/python3")
GST_SCRIPT = Path(__file__).with_name("gst_camera.py")


async def add(rig: Rig, camera: str, url: str, **fields: object) -> None:
    await rig.camera(camera, {"main": url}, **fields)
    await rig.assign(camera, "ingest-1")


def assert_in_order(units: list[AccessUnit]) -> None:
    """Complete, and in order."""
    assert [b.sequence - a.sequence for a, b in pairwise(units)] == [1] * (len(units) - 1)
    assert all(b.dts_90k > a.dts_90k for a, b in pairwise(units))
    assert all(unit.pts_90k >= unit.dts_90k for unit in units)


def assert_regular(units: list[AccessUnit], frame_rate: float) -> None:
    """Complete, in order, at the rate that the source's time stamps tell."""
    assert_in_order(units)
    # The median, because a source on a busy machine leaves frames out.
    assert 90_000 / median(b.dts_90k - a.dts_90k for a, b in pairwise(units)) == pytest.approx(frame_rate, rel=0.1)
    for unit in units:
        if unit.keyframe and unit.codec is Codec.H264:
            assert h264.parameter_sets(split_length_prefixed(unit.payload)).complete
        elif unit.keyframe and unit.codec is Codec.HEVC:
            assert h265.parameter_sets(split_length_prefixed(unit.payload)).complete


async def test_every_kind_of_simulated_camera(rig: Rig, worker: RunningWorker) -> None:
    async with Simulator(SimSettings(cameras=11, port=0, scenes=1, profile="mixed")) as sim:
        await sim.ready()

        async def through(number: int) -> None:
            camera = f"cam-{number:03}"
            spec = PRESETS["mixed"](number).main
            transport = "udp" if number % 3 == 0 else "tcp"
            await add(rig, camera, sim.url(camera), audio=spec.audio is not None, transport=transport)
            async with rig.watch(camera) as video, rig.watch(camera, "audio") as audio:
                units = await video.collect_from_keyframe(spec.video.frame_rate)
                assert_regular(units, spec.video.frame_rate)
                assert units[0].codec.name.lower() == spec.video.codec
                report = await rig.until_online(camera)
                assert (report.codec, report.width_px) == (spec.video.codec, spec.video.width_px)
                if spec.video.codec == "mjpeg":
                    assert all(unit.keyframe for unit in units)
                elif spec.video.codec == "h264":
                    assert any(unit.flags & Flags.DISPOSABLE for unit in units) == bool(spec.video.b_frames)
                if spec.audio is None:
                    return
                heard = await audio.collect(30)
                assert {unit.codec.name.lower() for unit in heard} == {spec.audio.codec}
                span = (heard[-1].pts_90k - heard[0].pts_90k) / 90_000
                if spec.audio.codec == "aac":
                    config = aac.parse_config(heard[0].extradata)
                    assert config.sample_rate_hz == spec.audio.sample_rate_hz
                    assert span == pytest.approx(29 * 1024 / config.sample_rate_hz, rel=0.05)
                else:
                    samples = sum(len(unit.payload) for unit in heard[:-1])
                    assert span == pytest.approx(samples / spec.audio.sample_rate_hz, rel=0.05)
                # Both clocks come from the same sender: lips and sound stay together. After a moment without its turn
                # this process takes what has come of one before it takes the other's.
                await rig.until(lambda: abs(audio.units[-1].capture_us - video.units[-1].capture_us) < 1_000_000)

        async with asyncio.TaskGroup() as tasks:
            for number in range(1, 12):
                tasks.create_task(through(number))


async def test_b_pictures_come_decodable_and_in_the_order_that_the_camera_meant(
    rig: Rig, worker: RunningWorker
) -> None:
    async with Simulator(SimSettings(cameras=1, port=0, profile="bframes")) as sim:
        await sim.ready()
        await add(rig, "cam-001", sim.url("cam-001"))
        async with rig.watch("cam-001") as watch:
            units = await watch.collect_from_keyframe(75)
        assert_regular(units, 25)
        assert len({unit.pts_90k for unit in units}) == 75
        assert any(b.pts_90k < a.pts_90k for a, b in pairwise(units))
        shown = sorted(unit.pts_90k for unit in units)[5:-5]  # at the ends some of a mini-GOP are missing
        assert {b - a for a, b in pairwise(shown)} == {3600}
        pictures = decode_pictures(units)
        assert [picture.pts for picture in pictures] == sorted(picture.pts for picture in pictures)
        assert len(pictures) == 75


@asynccontextmanager
async def gst_camera(*arguments: str) -> AsyncIterator[int]:
    """Debian's gst-rtsp-server; yields its port."""
    probe = await asyncio.create_subprocess_exec(
        GST_PYTHON, "-c", "import gi; gi.require_version('GstRtspServer', '1.0')", stderr=asyncio.subprocess.DEVNULL
    )
    if await probe.wait():
        pytest.fail("gst-rtsp-server is missing: apt install gir1.2-gst-rtsp-server-1.0 python3-gi and the plugins")
    process = await asyncio.create_subprocess_exec(
        GST_PYTHON, GST_SCRIPT, *arguments, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield int(await process.stdout.readline())
    finally:
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 5)
        except TimeoutError:
            process.kill()
            await process.wait()


_PICTURE = "videotestsrc is-live=true pattern=ball ! video/x-raw,format=I420,width=320,height=240,framerate=25/1"


async def test_gst_rtsp_server_as_a_camera(rig: Rig, worker: RunningWorker) -> None:
    mounts = {
        "plain": f"{_PICTURE} ! x264enc tune=zerolatency key-int-max=25 ! rtph264pay name=pay0 pt=96",
        "b": f"{_PICTURE} ! x264enc bframes=2 b-adapt=false key-int-max=25 speed-preset=superfast "
        "! video/x-h264,profile=main ! rtph264pay name=pay0 pt=96 config-interval=1",
        "sound": f"{_PICTURE} ! x264enc tune=zerolatency key-int-max=25 ! rtph264pay name=pay0 pt=96 "
        "audiotestsrc is-live=true ! audio/x-raw,rate=8000 ! alawenc ! rtppcmapay name=pay1 pt=8",
        "jpeg": f"{_PICTURE} ! jpegenc ! rtpjpegpay name=pay0 pt=26",
        "vp8": f"{_PICTURE} ! vp8enc deadline=1 ! rtpvp8pay name=pay0 pt=96",
    }
    arguments = [part for name, launch in mounts.items() for part in ("--mount", f"/{name}={launch}")]
    credentials = Credentials(username="user", password="se:cr@t/%")
    async with gst_camera(*arguments, "--digest", "--user", "user:se:cr@t/%") as port:
        for name in mounts:
            await add(
                rig, name, f"rtsp://127.0.0.1:{port}/{name}", credentials=credentials, audio=name in ("sound", "b"),
                transport="udp" if name == "plain" else "tcp",
            )  # fmt: skip
        for name in ("plain", "b", "sound", "jpeg"):
            async with rig.watch(name) as watch, rig.watch(name, "audio") as audio:
                units = await watch.collect_from_keyframe(40)
                assert_regular(units, 25)
                if name == "sound":
                    assert (await audio.collect(3))[0].codec is Codec.PCM_ALAW
                assert {(picture.width, picture.height) for picture in decode_pictures(units)} == {(320, 240)}
        assert rig.profile("b", "audio").reason is Reason.UNSUPPORTED_CODEC
        vp8 = await rig.until_offline("vp8")
        assert vp8.reason is Reason.UNSUPPORTED_CODEC
        assert "vp8" in vp8.detail


def make_file(path: Path, *, seconds: int) -> None:
    """A real H.264 file: High profile, several slices, B-pyramid, open GOPs, odd size, weighted prediction."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 322, 178, "yuv420p"
        stream.codec_context.gop_size = 25
        stream.options = {
            "preset": "veryfast",
            "x264-params": "bframes=3:b-pyramid=normal:open-gop=1:slices=3:weightp=2:keyint=25:min-keyint=25",
        }
        for number in range(25 * seconds):
            picture = np.full((178, 322, 3), number % 200, np.uint8)
            picture[:, number % 300 : number % 300 + 20] = 255
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


async def test_a_file_with_b_pictures_and_odd_parameter_sets_goes_round_and_round(
    rig: Rig, worker: RunningWorker, tmp_path: Path
) -> None:
    path = tmp_path / "street.mp4"
    make_file(path, seconds=4)
    launch = f"filesrc location={path} ! qtdemux ! h264parse ! rtph264pay name=pay0 pt=96 config-interval=-1"
    async with gst_camera("--mount", f"/file={launch}") as port, rig.watch("file") as watch:
        await add(rig, "file", f"rtsp://127.0.0.1:{port}/file")
        await watch.collect_from_keyframe(60)
        await rig.until(lambda: sum(bool(unit.flags & Flags.DISCONTINUITY) for unit in watch.units) >= 2)
        await watch.collect(30)
    begins = [index for index, unit in enumerate(watch.units) if unit.flags & Flags.DISCONTINUITY]
    first = watch.units[begins[0] : begins[1]]
    assert_regular(first, 25)
    assert {(picture.width, picture.height) for picture in decode_pictures(first)} == {(322, 178)}
    assert all(b.dts_90k > a.dts_90k for a, b in pairwise(watch.units))


HLS_SECONDS = 180
"""More than the test's own time-outs allow: behind its end there is nothing to be played."""


class Playlist:
    """An HLS playlist that grows a segment a second, as a city's web camera publishes it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._began = time.monotonic()
        with av.open(
            str(folder / "all.m3u8"),
            "w",
            format="hls",
            options={"hls_time": "1", "hls_list_size": "0", "hls_segment_filename": str(folder / "%d.ts")},
        ) as container:
            video = container.add_stream("libx264", rate=25)
            video.width, video.height, video.pix_fmt = 320, 180, "yuv420p"
            video.codec_context.gop_size = 25
            video.options = {
                "preset": "ultrafast",
                "tune": "zerolatency",
                "x264-params": "keyint=25:min-keyint=25:scenecut=0",
            }
            sound = container.add_stream("aac", rate=16000, layout="mono")
            gop: list[tuple[bytes, bool]] = []
            for number in range(25 * HLS_SECONDS):
                if number < 25:
                    frame = av.VideoFrame.from_ndarray(np.full((180, 320, 3), number, np.uint8), format="rgb24")
                    frame.pts, frame.time_base = number, Fraction(1, 25)
                    gop += [(bytes(packet), packet.is_keyframe) for packet in video.encode(frame)]
                packet = av.Packet(gop[number % 25][0])
                packet.stream, packet.time_base, packet.is_keyframe = video, Fraction(1, 25), gop[number % 25][1]
                packet.pts = packet.dts = number
                container.mux(packet)
                samples = av.AudioFrame.from_ndarray(np.zeros((1, 640), np.float32), format="fltp", layout="mono")
                samples.rate, samples.pts, samples.time_base = 16000, number * 640, Fraction(1, 16000)
                container.mux(sound.encode(samples))
            container.mux(sound.encode(None))

    async def playlist(self, _request: web.Request) -> web.Response:
        """Four segments, of which the last is the newest."""
        newest = int(time.monotonic() - self._began) + 4
        lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:1", f"#EXT-X-MEDIA-SEQUENCE:{newest - 4}"]
        for number in range(newest - 4, newest):
            lines += ["#EXTINF:1.0,", f"{number}.ts"]
        return web.Response(text="\n".join(lines) + "\n", content_type="application/vnd.apple.mpegurl")

    async def master(self, _request: web.Request) -> web.Response:
        """Two variants of the same thing."""
        lines = ["#EXTM3U"]
        for bandwidth, size in ((900_000, "320x180"), (300_000, "320x180")):
            lines += [f"#EXT-X-STREAM-INF:BANDWIDTH={bandwidth},RESOLUTION={size}", "live.m3u8"]
        return web.Response(text="\n".join(lines) + "\n", content_type="application/vnd.apple.mpegurl")

    async def segment(self, request: web.Request) -> web.StreamResponse:
        """One segment."""
        return web.FileResponse(self._folder / f"{int(request.match_info['number'])}.ts")


async def multipart(request: web.Request) -> web.StreamResponse:
    """MJPEG as cameras serve it to browsers, ten pictures a second, behind a password."""
    if request.headers.get("Authorization") != "Basic dTpw":
        return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="camera"'})
    context = av.CodecContext.create("mjpeg", "w")
    assert isinstance(context, av.VideoCodecContext)
    context.width, context.height, context.pix_fmt, context.time_base = 160, 120, "yuvj420p", Fraction(1, 10)
    response = web.StreamResponse(headers={"Content-Type": "multipart/x-mixed-replace; boundary=picture"})
    await response.prepare(request)
    began = time.monotonic()
    for number in range(1000):
        frame = av.VideoFrame.from_ndarray(np.full((120, 160, 3), number % 200, np.uint8), format="rgb24")
        frame.pts = number
        for packet in context.encode(frame):
            data = bytes(packet)
            head = f"--picture\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
            await response.write(head.encode() + data + b"\r\n")
        await asyncio.sleep(max(0.0, began + (number + 1) / 10 - time.monotonic()))
    return response


async def test_hls_and_mjpeg_over_http(rig: Rig, worker: RunningWorker, tmp_path: Path) -> None:
    playlist = Playlist(tmp_path)
    app = web.Application()
    app.add_routes(
        [
            web.get("/live.m3u8", playlist.playlist),
            web.get("/master.m3u8", playlist.master),
            web.get("/{number:\\d+}.ts", playlist.segment),
            web.get("/video.mjpg", multipart),
        ]
    )
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        base = f"http://127.0.0.1:{port}"
        await add(rig, "hls", f"{base}/live.m3u8", audio=True)
        await add(rig, "master", f"{base}/master.m3u8")
        await add(rig, "mjpeg", f"{base}/video.mjpg", credentials=Credentials(username="u", password="p"))
        await add(rig, "no-password", f"{base}/video.mjpg")
        await add(rig, "missing", f"{base}/nothing.m3u8")
        async with (
            rig.watch("hls") as hls,
            rig.watch("hls", "audio") as sound,
            rig.watch("mjpeg") as mjpeg,
            rig.watch("master") as master,
        ):
            pictures = await mjpeg.collect(30)
            assert_in_order(pictures)  # dated by their arrival: on a busy machine that is no rate
            assert {unit.codec for unit in pictures} == {Codec.MJPEG}
            units = await hls.collect_from_keyframe(125)
            assert_regular(units, 25)
            assert len(decode_pictures(units)) == 125
            heard = await sound.collect(10)
            assert aac.parse_config(heard[0].extradata).sample_rate_hz == 16000
            await master.collect(30)
        assert (await rig.until_offline("no-password")).reason is Reason.UNAUTHORIZED
        assert (await rig.until_offline("missing")).reason is Reason.NOT_FOUND
    finally:
        await runner.cleanup()
