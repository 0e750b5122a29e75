"""Simulated cameras as independent clients see them: libav over TCP and UDP, and ffprobe."""

from __future__ import annotations  # av.Packet is generic for the type checker alone

import asyncio
import itertools
import shutil
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import av
import pytest

from services.sim.faults import Fault
from services.sim.pictures import marker, stamp
from services.sim.settings import SimSettings
from services.sim.simulator import Simulator

pytestmark = pytest.mark.integration

FAST = {"probesize": "32", "analyzeduration": "0", "fpsprobesize": "0"}


def simulator(**settings: Any) -> Simulator:
    """On a free port; clips come from the user's cache, so that only the first run ever encodes."""
    return Simulator(SimSettings(**{"cameras": 1, "port": 0, **settings}))


def packets(
    url: str, count: int, *, transport: str = "tcp", kind: str = "video", **options: str
) -> list[av.Packet[Any]]:
    """The first packets of one track."""
    found = []
    with av.open(url, options={"rtsp_transport": transport, **FAST, **options}, timeout=(10, 10)) as container:
        stream = next(stream for stream in container.streams if stream.type == kind)
        for packet in container.demux(stream):
            found.append(packet)
            if len(found) == count:
                break
    return found


def stamps(found: list[av.Packet[Any]]) -> list[stamp.Stamp]:
    return [parsed for packet in found if (parsed := stamp.parse(bytes(packet))) is not None]


def markers(found: list[av.Packet[Any]], width: int | None = None) -> Iterator[marker.Marker | None]:
    for packet in found:
        for frame in decoded(packet):
            assert isinstance(frame, av.VideoFrame)
            height = frame.height * width // frame.width if width else frame.height
            yield marker.read(frame.reformat(width=width or frame.width, height=height, format="rgb24").to_ndarray())


def decoded(packet: av.Packet[Any]) -> list[Any]:
    """Its pictures; none where the decoder has not met a keyframe or parameter sets yet."""
    try:
        return list(packet.decode())
    except av.error.InvalidDataError:
        return []


def assert_consecutive(frames: list[int]) -> None:
    assert frames
    assert frames == list(range(frames[0], frames[0] + len(frames)))


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize(("profile", "size", "rate"), [("main", (1280, 720), 25), ("sub", (640, 360), 15)])
async def test_every_frame_of_an_h264_camera_arrives_in_order_and_on_time(
    transport: str, profile: str, size: tuple[int, int], rate: int
) -> None:
    async with simulator() as sim:
        await sim.ready()
        found = await asyncio.to_thread(packets, sim.url("cam-001", profile), 60, transport=transport)
        read = stamps(found)
        assert len(read) == 60
        assert {each.camera for each in read} == {1}
        assert_consecutive([each.frame for each in read])
        spacing = (read[-1].sent_us - read[0].sent_us) / 59
        assert spacing == pytest.approx(1e6 / rate, rel=0.05)
        seen = [found_marker for found_marker in markers(found) if found_marker is not None]
        loop = sim.stream("cam-001", profile).spec.video.loop_frames
        in_stream = {each.frame % loop for each in read}
        # A client that comes in the middle of a GOP sees nothing of it; the decoder's threads keep a few frames back.
        assert len(seen) >= 60 - 2 * rate - 6
        assert {each.frame for each in seen} <= in_stream
        context = found[0].stream.codec_context
        assert (context.width, context.height) == size


async def test_the_marker_is_legible_in_a_tile_160_pixels_wide() -> None:
    async with simulator() as sim:
        await sim.ready()
        found = await asyncio.to_thread(packets, sim.url("cam-001", "sub"), 45)
        read = list(markers(found, width=160))
        assert len(read) >= 10
        assert all(each is not None and each.camera == 1 for each in read)


@pytest.mark.parametrize(
    ("preset", "codec", "profile", "count"),
    [
        ("h265", "hevc", "main", 70),
        ("bframes", "h264", "main", 70),
        ("mjpeg", "mjpeg", "main", 25),
        ("mjpeg", "mjpeg", "sub", 25),
    ],
)
async def test_each_kind_of_camera_decodes_to_its_own_pictures(
    preset: str, codec: str, profile: str, count: int
) -> None:
    async with simulator(profile=preset) as sim:
        await sim.ready()
        found = await asyncio.to_thread(packets, sim.url("cam-001", profile), count)
        assert found[0].stream.codec_context.name == codec
        read = [each for each in markers(found) if each is not None]
        assert len(read) >= 10
        loop = sim.stream("cam-001", profile).spec.video.loop_frames
        steps = {(later.frame - earlier.frame) % loop for earlier, later in itertools.pairwise(read)}
        assert {each.camera for each in read} == {1}
        assert steps == {1}


@pytest.mark.parametrize(
    ("camera", "codec", "rate"),
    [("cam-001", "pcm_mulaw", 8000), ("cam-002", "pcm_alaw", 8000), ("cam-003", "aac", 16000)],
)
async def test_audio_is_a_second_track_of_continuous_sound(camera: str, codec: str, rate: int) -> None:
    async with simulator(profile="audio", cameras=3) as sim:
        await sim.ready([camera])
        found = await asyncio.to_thread(packets, sim.url(camera), 20, kind="audio")
        context = found[0].stream.codec_context
        assert isinstance(context, av.AudioCodecContext)
        assert (context.name, context.sample_rate, context.layout.name) == (codec, rate, "mono")
        frames = [frame for packet in found for frame in decoded(packet)]
        loudest = max(abs(frame.to_ndarray()).max() / (1 if codec == "aac" else 32768) for frame in frames)
        assert loudest > 0.05
        times = [packet.pts for packet in found if packet.pts is not None]
        # libav places two tracks by their sender reports, which rounds.
        period = 1024 if codec == "aac" else 320
        assert all(abs(later - earlier - period) <= 1 for earlier, later in itertools.pairwise(times))


@pytest.mark.parametrize("auth", ["basic", "digest", "both"])
async def test_a_camera_with_a_password_lets_in_who_knows_it_and_nobody_else(auth: str) -> None:
    async with simulator(auth=auth, username="op erator", password="s:e/c@ret") as sim:
        await sim.ready()
        found = await asyncio.to_thread(packets, sim.url("cam-001", "sub", credentials=True), 5)
        assert len(found) == 5
        for url in (sim.url("cam-001", "sub"), sim.url("cam-001", "sub").replace("://", "://op%20erator:wrong@")):
            with pytest.raises(av.error.HTTPUnauthorizedError):
                await asyncio.to_thread(packets, url, 1)


async def test_sender_reports_give_the_time_of_sending() -> None:
    async with simulator() as sim:
        await sim.ready()
        found = await asyncio.to_thread(packets, sim.url("cam-001"), 50)
        late_us = []
        for packet in found:
            read = stamp.parse(bytes(packet))
            if read is not None and packet.has_sidedata("prft"):
                reported_us = int.from_bytes(bytes(packet.get_sidedata("prft"))[:8], "little")
                late_us.append(read.sent_us - reported_us)
        # The machine may be late with frames; their capture time is when they were due.
        assert -3_000 < min(late_us) < 250_000
        assert len(late_us) > 30


@pytest.mark.skipif(shutil.which("ffprobe") is None, reason="ffprobe is not installed")
async def test_ffprobe_understands_every_kind_of_camera() -> None:
    async with simulator(profile="mixed", cameras=11, scenes=1) as sim:
        await sim.ready()

        async def probe(camera: str) -> None:
            command = [
                "ffprobe",
                "-v",
                "error",
                "-rtsp_transport",
                "tcp",
                "-show_entries",
                "stream=codec_name,width,height",
            ]
            process = await asyncio.create_subprocess_exec(
                *command, "-of", "csv=p=0", sim.url(camera), stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
            out, errors = await process.communicate()
            assert sim.stream(camera).spec.video.codec in out.decode(), errors.decode()
            assert "1280,720" in out.decode()

        async with asyncio.timeout(90), asyncio.TaskGroup() as group:
            for camera in sim.camera_ids:
                group.create_task(probe(camera))


async def reading(url: str, *, seconds: float = 1.2, silence_seconds: float = 1.0) -> list[av.Packet[Any]]:
    """What comes until the stream ends, fails or is silent, for so long at most."""

    def read() -> list[av.Packet[Any]]:
        found: list[av.Packet[Any]] = []
        end = time.monotonic() + seconds
        try:
            with av.open(url, options={"rtsp_transport": "tcp", **FAST}, timeout=(2, silence_seconds)) as container:
                for packet in container.demux(video=0):
                    found.append(packet)
                    if time.monotonic() > end:
                        break
        except (av.FFmpegError, OSError):
            pass
        return found

    return await asyncio.to_thread(read)


@pytest.mark.parametrize(
    "fault",
    [Fault.REFUSE, Fault.UNAUTHORIZED, Fault.NOT_FOUND, Fault.HANG, Fault.STALL, Fault.GARBAGE, Fault.BROKEN_SDP],
)
async def test_a_fault_keeps_pictures_away_until_it_is_cleared(fault: Fault) -> None:
    async with simulator() as sim:
        await sim.ready()
        url = sim.url("cam-001", "sub")
        sim.fault("cam-001", fault)
        assert stamps(await reading(url)) == []
        sim.clear("cam-001")
        await read_again(url)


async def read_again(url: str) -> None:
    """Returns when pictures come; each attempt gives up after a second without."""
    async with asyncio.timeout(90):
        while not stamps(await reading(url)):
            await asyncio.sleep(0.05)


async def test_dropped_connections_end_and_can_be_made_anew() -> None:
    async with simulator() as sim:
        await sim.ready()
        url = sim.url("cam-001", "sub")
        watching = asyncio.create_task(reading(url, seconds=60, silence_seconds=60))
        while not any(track.frames_sent > 3 for track in sim.stream("cam-001", "sub").tracks):
            await asyncio.sleep(0.02)
        sim.fault("cam-001", Fault.DROP)
        assert await watching
        await read_again(url)


async def test_a_camera_with_its_own_port_refuses_connections() -> None:
    async with simulator(own_ports=True, cameras=2) as sim:
        await sim.ready()
        sim.fault("cam-002", Fault.REFUSE)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.to_thread(packets, sim.url("cam-002", "sub"), 1)
        assert await asyncio.to_thread(packets, sim.url("cam-001", "sub"), 1)
        sim.clear("cam-002")
        await read_again(sim.url("cam-002", "sub"))


async def test_rtp_timestamps_jump_when_told_to() -> None:
    async with simulator() as sim:
        await sim.ready()
        watching = asyncio.create_task(asyncio.to_thread(packets, sim.url("cam-001", "sub"), 40))
        while not any(track.frames_sent > 3 for track in sim.stream("cam-001", "sub").tracks):
            await asyncio.sleep(0.02)
        sim.fault("cam-001", Fault.CLOCK_JUMP, -100, profile="sub")
        times = [packet.pts for packet in await watching if packet.pts is not None]
        # libav unwraps: a step backwards is one forwards, less 2³².
        steps = [(later - earlier) % 2**32 for earlier, later in itertools.pairwise(times)]
        assert max(steps) - 2**32 == pytest.approx(-100 * 90_000, abs=90_000)


async def test_the_resolution_changes_at_a_keyframe_and_back() -> None:
    async with simulator() as sim:
        await sim.ready()

        def watch() -> list[tuple[int, int]]:
            sizes: list[tuple[int, int]] = []
            end = time.monotonic() + 90
            with av.open(
                sim.url("cam-001", "sub"), options={"rtsp_transport": "tcp", **FAST}, timeout=(5, 5)
            ) as container:
                for frame in container.decode(video=0):
                    if not sizes or sizes[-1] != (frame.width, frame.height):
                        sizes.append((frame.width, frame.height))
                    if len(sizes) == 3 or time.monotonic() > end:
                        break
            return sizes

        watching = asyncio.create_task(asyncio.to_thread(watch))
        while not any(track.frames_sent > 35 for track in sim.stream("cam-001", "sub").tracks):
            await asyncio.sleep(0.02)
        sim.fault("cam-001", Fault.RESOLUTION, profile="sub")
        while sim.stream("cam-001", "sub").tracks[0].clip.width_px == 640:
            await asyncio.sleep(0.1)
        sim.clear("cam-001")
        assert await watching == [(640, 360), (480, 270), (640, 360)]


async def test_parameter_sets_come_in_band_where_the_sdp_names_none() -> None:
    async with simulator() as sim:
        await sim.ready()
        url = sim.url("cam-001", "sub")
        sim.fault("cam-001", Fault.NO_SPROP)
        found = await asyncio.to_thread(packets, url, 40)
        assert [each for each in markers(found) if each is not None]
        sim.fault("cam-001", Fault.NO_IN_BAND)
        found = await asyncio.to_thread(packets, url, 40)
        assert not [each for each in markers(found) if each is not None]


async def test_a_huge_frame_arrives_whole() -> None:
    async with simulator() as sim:
        await sim.ready()
        watching = asyncio.create_task(asyncio.to_thread(packets, sim.url("cam-001", "sub"), 60))
        while not any(track.frames_sent > 3 for track in sim.stream("cam-001", "sub").tracks):
            await asyncio.sleep(0.02)
        sim.fault("cam-001", Fault.HUGE_FRAME, 9_000_000)
        assert max(packet.size for packet in await watching) > 9_000_000


async def test_datagrams_are_lost_in_the_share_that_was_asked_for() -> None:
    async with simulator() as sim:
        await sim.ready()
        sim.fault("cam-001", Fault.LOSS, 0.2)
        await asyncio.to_thread(packets, sim.url("cam-001"), 40, transport="udp")
        track = sim.stream("cam-001").tracks[0]
        assert 0.1 < sim.counters.datagrams_lost / track.packets_sent < 0.3
