"""The direct reader against real servers: the same access units as libav's, over TCP, UDP and TLS, and a clean end."""

import asyncio
import os
import socket
import ssl
import time
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final, Literal

import av
import numpy as np
import pytest
import pytest_asyncio
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from services.contracts.models import Reason
from services.ingest.readers.direct import SETTLE_SECONDS, TICK_SECONDS, DirectReader
from services.ingest.readers.libav import LibavProcesses
from services.ingest.readers.source import Kind, Reader, ReaderEnd, Source
from services.ingest.timing.assemble import assembler
from services.sim.faults import Fault
from services.sim.settings import SimSettings
from services.sim.simulator import Simulator
from tests.eventually import eventually
from tests.integration.test_ingest_sources import gst_camera
from tests.support.scripted_camera import Asked, ScriptedCamera
from tests.support.unit_outlet import KeepingOutlet

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

READ_SECONDS: Final = 4.0
ENOUGH: Final = 75
"""Pictures of either reader; a busy machine takes longer to send them."""
_PICTURE: Final = "videotestsrc is-live=true pattern=ball ! video/x-raw,format=I420,width=320,height=240,framerate=25/1"
_X264: Final = "x264enc pass=quant quantizer=10"
"""Without rate control: with it, two pipelines on a busy machine code the same pictures differently."""
_SOUND: Final = "audiotestsrc is-live=true ! audio/x-raw,channels=1"
_H264: Final = f"{_PICTURE} ! {_X264} tune=zerolatency key-int-max=25 ! rtph264pay name=pay0 pt=96"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def libav() -> AsyncIterator[LibavProcesses]:
    """libav's processes; their server has loaded libav, which on a busy machine takes longer than one may be silent."""
    processes = LibavProcesses()
    async with asyncio.timeout(100):
        while True:
            end = await processes.reader().run(Source("rtsp://127.0.0.1:1/"), KeepingOutlet())
            if end.reason is not Reason.READER_FAILED:
                break
    yield processes
    await processes.stop()


async def read_with_both(libav: LibavProcesses, source: Source) -> tuple[KeepingOutlet, KeepingOutlet]:
    """The same source read at the same time with either reader.

    Again where libav's process had no turn for so long that it was taken for hung: a busy machine.
    """
    while True:
        direct, reference = KeepingOutlet(), KeepingOutlet()
        # One after the other: gst-rtsp-server cannot bear two clients that begin to play at once.
        ends = await read_one_after_another(source, (libav.reader(), reference), (DirectReader(), direct))
        if not any(end.reason is Reason.READER_FAILED for end in ends):
            assert min(len(direct.packets), len(reference.packets)) > 0, ends
            return direct, reference


async def read_one_after_another(source: Source, *pairs: tuple[Reader, KeepingOutlet]) -> list[ReaderEnd]:
    """Reads with each until all have enough; returns the ends of those that ended before."""
    readings: list[asyncio.Task[ReaderEnd]] = []

    def ended() -> bool:
        return any(reading.done() for reading in readings)

    async with asyncio.TaskGroup() as tasks:
        for reader, outlet in pairs:
            readings.append(tasks.create_task(reader.run(source, outlet)))
            async with asyncio.timeout(60):
                while not outlet.packets and not ended():
                    await asyncio.sleep(0.05)
        if not ended():
            await asyncio.sleep(READ_SECONDS)
        with suppress(TimeoutError):  # what is missing then is told by the comparison
            async with asyncio.timeout(60):
                while min(len(outlet.of_kind("video")) for _, outlet in pairs) < ENOUGH and not ended():
                    await asyncio.sleep(0.1)
        ends = [reading.result() for reading in readings if reading.done()]
        for reading in readings:
            reading.cancel()
    return ends


def assembled(outlet: KeepingOutlet, kind: Kind) -> list[bytes]:
    """What would go to the bus."""
    track = next(track for track in outlet.openings[0] if track.kind == kind)
    one = assembler(track)
    return [unit.payload + unit.extradata for packet in outlet.of_kind(kind) for unit in one.assemble(packet.data)]


def assert_the_same(direct: KeepingOutlet, reference: KeepingOutlet, kind: Kind, least: int) -> None:
    """Where the readers overlap, each unit of one is the other's at the same place."""
    assert overlap_of(assembled(direct, kind), assembled(reference, kind)) >= least
    assert not any(packet.damaged for packet in direct.packets)


def overlap_of(later: list[bytes], earlier: list[bytes]) -> int:
    """How many units two readings of a source have in common up to the end of one, ``earlier`` having begun first.

    Next to none where a unit differs. A tone that repeats fits at several places: the first counts.
    """
    for at in range(len(earlier)):
        both = min(len(later), len(earlier) - at)
        if later[:both] == earlier[at : at + both]:
            return both
    return 0


@pytest.mark.parametrize("came_later", [0, 2, 7])
@pytest.mark.parametrize("ended_later", [-3, 0, 1, 6])
async def test_readings_of_a_tone_that_repeats_are_compared_where_they_overlap(
    came_later: int, ended_later: int
) -> None:
    sent = [b"beginning %d" % number for number in range(12)] + [b"tone %d" % (number % 5) for number in range(60)]
    later = sent[came_later : 60 + ended_later]
    assert overlap_of(later, sent[:60]) == min(60, 60 + ended_later) - came_later
    assert overlap_of(later[:30] + later[31:], sent[:60]) == 0
    assert overlap_of([b"a part", *later], sent[:60]) == 0


@pytest.mark.parametrize(
    ("profile", "camera", "transport"),
    [
        ("city", 1, "tcp"),
        ("city", 1, "udp"),
        ("h265", 1, "tcp"),
        ("h265", 1, "udp"),
        ("bframes", 1, "tcp"),
        ("audio", 1, "tcp"),
        ("audio", 3, "udp"),
    ],
)
async def test_both_readers_give_the_same_units_of_a_simulated_camera(
    libav: LibavProcesses, profile: str, camera: int, transport: str
) -> None:
    settings = SimSettings(cameras=camera, port=0, scenes=1, profile=profile, auth="digest")
    async with Simulator(settings) as sim:
        await sim.ready()
        source = Source(
            sim.url(f"cam-{camera:03}"), transport=transport, audio=profile == "audio",  # type: ignore[arg-type]
            username=settings.username, password=settings.password.get_secret_value(),
        )  # fmt: skip
        direct, reference = await read_with_both(libav, source)
    assert direct.transport == transport
    assert_the_same(direct, reference, "video", 50)
    if profile == "audio":
        assert_the_same(direct, reference, "audio", 20)
    last = direct.of_kind("video")[-1]
    assert last.rtcp_us is not None


_FILE: Final = (
    "filesrc location={file} ! qtdemux name=d d.video_0 ! queue ! h265parse ! rtph265pay name=pay0 pt=96 mtu=500"
)
MOUNTS: Final = {
    "h264": _H264,
    "slices": f"{_PICTURE} ! {_X264} key-int-max=25 bframes=2 sliced-threads=true threads=3 "
    "! rtph264pay name=pay0 pt=96 mtu=600",
    "aggregated": f"{_H264} aggregate-mode=zero-latency config-interval=1",
    "sound": f"{_H264} {_SOUND},rate=8000 ! alawenc ! rtppcmapay name=pay1 pt=8",
    "opus": f"{_H264} {_SOUND},rate=48000 ! opusenc frame-size=40 ! rtpopuspay name=pay1 pt=98",
    "h265-aac": f"{_FILE} d.audio_0 ! queue ! aacparse ! rtpmp4gpay name=pay1 pt=97",
    "h265-latm": f"{_FILE} d.audio_0 ! queue ! aacparse ! rtpmp4apay name=pay1 pt=97",
}


def make_file(path: Path) -> None:
    """Half a minute of H.265 and AAC."""
    with av.open(str(path), "w") as container:
        picture = container.add_stream("libx265", rate=25)
        picture.width, picture.height, picture.pix_fmt = 320, 192, "yuv420p"
        picture.options = {"preset": "ultrafast", "x265-params": "keyint=25:bframes=2:log-level=none"}
        sound = container.add_stream("aac", rate=16_000)
        sound.layout = "mono"
        for number in range(750):
            shades = np.full((192, 320, 3), number % 200, np.uint8)
            shades[:, number % 300 : number % 300 + 20] = 255
            shown = av.VideoFrame.from_ndarray(shades, format="rgb24")
            shown.pts, shown.time_base = number, Fraction(1, 25)
            container.mux(picture.encode(shown))
            noise = np.random.default_rng(number).uniform(-0.2, 0.2, (1, 640)).astype(np.float32)
            heard = av.AudioFrame.from_ndarray(noise, format="fltp", layout="mono")
            heard.rate, heard.pts, heard.time_base = 16_000, number * 640, Fraction(1, 16_000)
            container.mux(sound.encode(heard))
        container.mux(picture.encode(None))
        container.mux(sound.encode(None))


@pytest.mark.parametrize("name", MOUNTS)
@pytest.mark.parametrize("transport", ["tcp", "udp"])
async def test_both_readers_give_the_same_units_of_gst_rtsp_server(
    libav: LibavProcesses, tmp_path: Path, name: str, transport: Literal["tcp", "udp"]
) -> None:
    file = tmp_path / "camera.mp4"
    if "{file}" in MOUNTS[name]:
        make_file(file)
    sound = "! rtp" in MOUNTS[name].partition("name=pay0")[2]
    # A client of a shared pipeline gets the end of what was sent before it began anew, and that cut within a picture.
    async with gst_camera(
        "--mount", f"/x={MOUNTS[name].format(file=file)}", "--apart", "--digest", "--user", "user:secret"
    ) as port:
        url = f"rtsp://127.0.0.1:{port}/x"
        source = Source(url, transport=transport, audio=sound, username="user", password="secret")
        direct, reference = await read_with_both(libav, source)
    assert direct.transport == transport
    assert_the_same(direct, reference, "video", 40)
    if name == "h265-latm":
        # libav hands LATM on as it is; frames and configuration are those of the file.
        with av.open(str(file)) as container:
            frames = [bytes(packet) for packet in container.demux(audio=0)]
        ours = [packet.data for packet in direct.of_kind("audio")]
        assert len(ours) > 20
        assert all(frame in frames for frame in ours)
        assert direct.openings[0][1].extradata[:2] == b"\x14\x08"
    elif sound:
        assert_the_same(direct, reference, "audio", 20)


@asynccontextmanager
async def behind_tls(port: int, tmp_path: Path, *, host: str = "", old: bool = False) -> AsyncIterator[int]:
    """A server with a certificate of its own making in front of ``port``, for the address ``host``; yields its port.

    ``old``: it speaks TLS 1.0 with old ciphers.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "camera")])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(7).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    )  # fmt: skip
    if host:
        names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(host))])
        builder = builder.add_extension(names, critical=False)
    certificate = builder.sign(key, hashes.SHA256())
    file = tmp_path / "camera.pem"
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    if old:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # that it is old is the point
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1
        context.set_ciphers("ALL:@SECLEVEL=0")

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer))
        except ConnectionError:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
async def test_rtsps_plays_whoever_signed_the_cameras_certificate(run: Callable[[Any], None], tmp_path: Path) -> None:
    await asyncio.to_thread(run, read_over_tls(tmp_path))


async def read_over_tls(tmp_path: Path) -> None:
    async with ScriptedCamera() as camera, behind_tls(camera.port, tmp_path) as port:
        outlet = KeepingOutlet()
        async with asyncio.timeout(60):
            end = await DirectReader().run(Source(f"rtsps://127.0.0.1:{port}/live"), outlet)
    assert end.reason is Reason.CLOSED
    assert len(outlet.packets) == 60


@pytest.mark.parametrize(
    ("host", "trusted", "reason"),
    [
        ("127.0.0.1", True, Reason.CLOSED),
        ("127.0.0.1", False, Reason.BAD_CERTIFICATE),
        ("127.0.0.2", True, Reason.BAD_CERTIFICATE),
    ],
)
@pytest.mark.parametrize("reader", ["direct", "libav"])
async def test_where_certificates_are_verified_name_and_signature_count(
    reader: str, host: str, trusted: bool, reason: Reason, tmp_path: Path, libav: LibavProcesses
) -> None:
    make: Callable[[], Reader] = DirectReader if reader == "direct" else libav.reader
    async with ScriptedCamera() as camera, behind_tls(camera.port, tmp_path, host=host) as port:
        authorities = str(tmp_path / "camera.pem") if trusted else ""
        source = Source(
            f"rtsps://127.0.0.1:{port}/live", transport="tcp", open_seconds=60, verify=True, authorities=authorities
        )
        async with asyncio.timeout(90):
            while True:
                outlet = KeepingOutlet()
                end = await make().run(source, outlet)
                if end.reason is not Reason.READER_FAILED:  # libav's process had no turn: a busy machine
                    break
    assert end.reason is reason, end
    assert bool(outlet.packets) is (reason is Reason.CLOSED)


async def test_an_old_camera_with_tls_1_0_plays(tmp_path: Path) -> None:
    async with ScriptedCamera() as camera, behind_tls(camera.port, tmp_path, old=True) as port:
        outlet = KeepingOutlet()
        end = await DirectReader().run(Source(f"rtsps://127.0.0.1:{port}/live"), outlet)
    assert end.reason is Reason.CLOSED, end
    assert len(outlet.packets) == 60


async def test_a_camera_without_tls_is_told_so() -> None:
    async with ScriptedCamera() as camera:
        source = Source(camera.url.replace("rtsp://", "rtsps://"), open_seconds=3)
        end = await DirectReader().run(source, KeepingOutlet())
    assert end.reason in (Reason.BAD_ANSWER, Reason.NO_ANSWER)


async def test_a_camera_with_tls_alone_is_told_so(tmp_path: Path) -> None:
    async with ScriptedCamera() as camera, behind_tls(camera.port, tmp_path) as port:
        end = await DirectReader().run(Source(f"rtsp://127.0.0.1:{port}/live", open_seconds=3), KeepingOutlet())
    assert end.reason in (Reason.BAD_ANSWER, Reason.CLOSED)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("rtsp://127.0.0.1:1/live", Reason.REFUSED),
        ("rtsp://no-such-host.invalid/live", Reason.UNREACHABLE),
        ("rtsp://127.0.0.1:99999/live", Reason.BAD_ADDRESS),
        ("rtsp:///live", Reason.BAD_ADDRESS),
    ],
)
async def test_a_way_that_leads_nowhere_has_its_reason(url: str, reason: Reason) -> None:
    end = await DirectReader().run(Source(url, open_seconds=3), KeepingOutlet())
    assert end.reason is reason


async def test_cancelling_tears_the_session_down_and_nothing_comes_afterwards() -> None:
    async with ScriptedCamera(picture_seconds=0.02, ends=False) as camera:
        outlet = KeepingOutlet()
        reading = asyncio.create_task(DirectReader().run(Source(camera.url), outlet))
        await eventually(lambda: len(outlet.packets) >= 10)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        count = len(outlet.packets)
        await asyncio.sleep(0.3)
        assert len(outlet.packets) == count
        await eventually(lambda: camera.asked[-1].method == "TEARDOWN")


async def test_a_redirect_to_another_server_is_followed_with_one_connection_each() -> None:
    async with ScriptedCamera() as camera:
        moved = f"Location: {camera.url}"

        def redirect(_camera: ScriptedCamera, asked: object) -> bytes:
            return b"RTSP/1.0 302 Moved\r\nCSeq: 2\r\n" + moved.encode() + b"\r\n\r\n"

        async with ScriptedCamera(script={"DESCRIBE": redirect}) as first:
            outlet = KeepingOutlet()
            async with asyncio.timeout(60):
                await DirectReader().run(Source(first.url), outlet)
            assert (first.connections, camera.connections) == (1, 1)
    assert len(outlet.packets) == 60


async def read_a_description_in_two_parts() -> None:
    def describe(camera: ScriptedCamera, asked: Asked) -> bytes:
        whole = camera.good(asked)
        cut = whole.index(b"a=rtpmap")

        def send_the_rest() -> None:  # called for a socket: libuv calls its timers next, and then reads
            loop.remove_reader(here)
            os.write(camera._writers[-1].get_extra_info("socket").fileno(), whole[cut:])
            time.sleep(SETTLE_SECONDS + 2 * TICK_SECONDS)

        loop.add_reader(here, send_the_rest)
        loop.call_later(0.05, there.send, b"x")
        return whole[:cut]

    loop = asyncio.get_running_loop()
    here, there = socket.socketpair()
    async with ScriptedCamera(script={"DESCRIBE": describe}) as camera:
        outlet = KeepingOutlet()
        end = await DirectReader().run(Source(camera.url), outlet)
    here.close()
    there.close()
    assert end.reason is Reason.CLOSED, end
    assert len(outlet.packets) == 60


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
async def test_a_description_is_read_to_its_end_where_the_process_had_no_turn_meanwhile(
    run: Callable[[Any], None],
) -> None:
    await asyncio.to_thread(run, read_a_description_in_two_parts())  # passes if nothing raises


async def test_losses_over_udp_are_counted_and_marked() -> None:
    async with Simulator(SimSettings(cameras=1, port=0, scenes=1)) as sim:
        await sim.ready()
        sim.fault("cam-001", Fault.LOSS, 0.05)
        outlet = KeepingOutlet()
        reading = asyncio.create_task(DirectReader().run(Source(sim.url("cam-001"), transport="udp"), outlet))
        await eventually(lambda: sim.counters.datagrams_lost >= 40)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        dropped = sim.counters.datagrams_lost
    lost = sum(packet.lost for packet in outlet.packets)
    assert 0.8 * dropped <= lost <= 1.2 * dropped
    assert any(packet.damaged for packet in outlet.packets)
