"""The direct reader against real servers: the same access units as libav's, over TCP, UDP and TLS, and a clean end."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from services.contracts.frames import Codec
from services.contracts.models import Reason
from services.ingest.readers.direct import DirectReader
from services.ingest.readers.libav import LibavProcesses
from services.ingest.readers.source import Kind, Source
from services.ingest.timing.assemble import assembler
from services.sim.faults import Fault
from services.sim.settings import SimSettings
from services.sim.simulator import Simulator
from tests.integration.test_ingest_sources import gst_camera
from tests.support.scripted_camera import ScriptedCamera
from tests.support.unit_outlet import KeepingOutlet

pytestmark = pytest.mark.integration

READ_SECONDS: Final = 4.0
RUN: Final = 12
"""So many units in a row say where two readings overlap."""
_PICTURE: Final = "videotestsrc is-live=true pattern=ball ! video/x-raw,format=I420,width=320,height=240,framerate=25/1"
_SOUND: Final = "audiotestsrc is-live=true ! audio/x-raw,channels=1"
_H264: Final = f"{_PICTURE} ! x264enc tune=zerolatency key-int-max=25 ! rtph264pay name=pay0 pt=96"


@pytest.fixture
async def libav() -> AsyncIterator[LibavProcesses]:
    processes = LibavProcesses()
    yield processes
    await processes.stop()


async def read_with_both(libav: LibavProcesses, source: Source) -> tuple[KeepingOutlet, KeepingOutlet]:
    """The same source read at the same time with either reader."""
    direct, reference = KeepingOutlet(), KeepingOutlet()
    async with asyncio.TaskGroup() as tasks:
        readings = (
            tasks.create_task(DirectReader().run(source, direct)),
            tasks.create_task(libav.reader().run(source, reference)),
        )
        async with asyncio.timeout(20):
            while not (direct.packets and reference.packets):
                await asyncio.sleep(0.05)
        await asyncio.sleep(READ_SECONDS)
        for reading in readings:
            reading.cancel()
    return direct, reference


def assembled(outlet: KeepingOutlet, kind: Kind) -> list[bytes]:
    """What would go to the bus."""
    track = next(track for track in outlet.openings[0] if track.kind == kind)
    one = assembler(track)
    return [unit.payload + unit.extradata for packet in outlet.of_kind(kind) for unit in one.assemble(packet.data)]


def assert_the_same(direct: KeepingOutlet, reference: KeepingOutlet, kind: Kind, least: int) -> None:
    """Where the readers overlap, each unit of one is the other's at the same place."""
    ours, theirs = assembled(direct, kind), assembled(reference, kind)
    # From the end backwards: a shared source may begin anew when the second reader comes, and test tones repeat.
    end = next(at for at in range(len(theirs), RUN, -1) if _ends(ours, theirs[at - RUN : at]))
    our_end = _ends(ours, theirs[end - RUN : end])
    both = min(our_end, end)
    assert both >= least
    assert ours[our_end - both : our_end] == theirs[end - both : end]
    assert not any(packet.damaged for packet in direct.packets)


def _ends(units: list[bytes], run: list[bytes]) -> int:
    """Behind the last place where ``run`` stands in ``units``; 0 where it does not."""
    return next((at for at in range(len(units), len(run) - 1, -1) if units[at - len(run) : at] == run), 0)


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


async def test_both_readers_give_the_same_units_of_gst_rtsp_server(libav: LibavProcesses) -> None:
    mounts = {
        "h264": _H264,
        "slices": f"{_PICTURE} ! x264enc key-int-max=25 bframes=2 sliced-threads=true threads=3 "
        "! rtph264pay name=pay0 pt=96 mtu=600",
        "aggregated": f"{_H264} aggregate-mode=zero-latency config-interval=1",
        "sound": f"{_H264} {_SOUND},rate=8000 ! alawenc ! rtppcmapay name=pay1 pt=8",
        "opus": f"{_H264} {_SOUND},rate=48000 ! opusenc frame-size=40 ! rtpopuspay name=pay1 pt=98",
        "aac": f"{_H264} {_SOUND},rate=16000 ! avenc_aac ! rtpmp4gpay name=pay1 pt=97",
        "latm": f"{_H264} {_SOUND},rate=16000 ! avenc_aac ! rtpmp4apay name=pay1 pt=97",
    }
    arguments = [part for name, launch in mounts.items() for part in ("--mount", f"/{name}={launch}")]
    async with gst_camera(*arguments, "--digest", "--user", "user:secret") as port:
        for name in mounts:
            sound = name in ("sound", "opus", "aac", "latm")
            source = Source(
                f"rtsp://127.0.0.1:{port}/{name}", transport="udp" if name == "aac" else "auto", audio=sound,
                username="user", password="secret",
            )  # fmt: skip
            direct, reference = await read_with_both(libav, source)
            assert_the_same(direct, reference, "video", 50)
            if sound and name != "latm":
                assert_the_same(direct, reference, "audio", 20)
            elif sound:
                frames = [packet.data for packet in direct.of_kind("audio")]
                assert len(frames) > 40
                assert direct.openings[0][1].codec is Codec.AAC
                assert direct.openings[0][1].extradata[:2] == b"\x14\x08"


@asynccontextmanager
async def behind_tls(port: int, tmp_path: Path) -> AsyncIterator[int]:
    """A server with a certificate of its own making in front of ``port``; yields its port."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "camera")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(7).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    file = tmp_path / "camera.pem"
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)

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


async def test_rtsps_plays_whoever_signed_the_cameras_certificate(tmp_path: Path) -> None:
    async with ScriptedCamera() as camera, behind_tls(camera.port, tmp_path) as port:
        outlet = KeepingOutlet()
        async with asyncio.timeout(20):
            end = await DirectReader().run(Source(f"rtsps://127.0.0.1:{port}/live"), outlet)
    assert end.reason is Reason.CLOSED
    assert len(outlet.packets) == 60


async def test_a_camera_without_tls_is_told_so() -> None:
    async with ScriptedCamera() as camera:
        source = Source(camera.url.replace("rtsp://", "rtsps://"), open_seconds=3)
        end = await DirectReader().run(source, KeepingOutlet())
    assert end.reason in (Reason.BAD_ANSWER, Reason.TIMEOUT)


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
        async with asyncio.timeout(10):
            while len(outlet.packets) < 10:
                await asyncio.sleep(0.01)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        count = len(outlet.packets)
        await asyncio.sleep(0.3)
        assert len(outlet.packets) == count
        assert camera.asked[-1].method == "TEARDOWN"


async def test_a_redirect_to_another_server_is_followed_with_one_connection_each() -> None:
    async with ScriptedCamera() as camera:
        moved = f"Location: {camera.url}"

        def redirect(_camera: ScriptedCamera, asked: object) -> bytes:
            return b"RTSP/1.0 302 Moved\r\nCSeq: 2\r\n" + moved.encode() + b"\r\n\r\n"

        async with ScriptedCamera(script={"DESCRIBE": redirect}) as first:
            outlet = KeepingOutlet()
            async with asyncio.timeout(20):
                await DirectReader().run(Source(first.url), outlet)
            assert (first.connections, camera.connections) == (1, 1)
    assert len(outlet.packets) == 60


async def test_losses_over_udp_are_counted_and_marked() -> None:
    async with Simulator(SimSettings(cameras=1, port=0, scenes=1)) as sim:
        await sim.ready()
        sim.fault("cam-001", Fault.LOSS, 0.05)
        outlet = KeepingOutlet()
        reading = asyncio.create_task(DirectReader().run(Source(sim.url("cam-001"), transport="udp"), outlet))
        await asyncio.sleep(READ_SECONDS)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        dropped = sim.counters.datagrams_lost
    lost = sum(packet.lost for packet in outlet.packets)
    assert 0.8 * dropped <= lost <= 1.2 * dropped
    assert any(packet.damaged for packet in outlet.packets)
