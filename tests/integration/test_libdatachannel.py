"""libdatachannel as WHEP player: a WebRTC stack that is neither the browsers' nor the one we build upon."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import pytest

from services.contracts import subjects
from services.contracts.frames import Codec
from services.contracts.models import Camera, CameraState, Profile, Status
from services.media.rtp import RtpHeader, parse_rtp
from services.mesh.buckets import Bucket
from services.mesh.bus import Bus
from services.mesh.settings import MeshSettings
from tests.integration.wall_clients import assert_none_is_missing
from tests.integration.wall_process import wall_process
from tests.wall.relay.camera import BITS, SITE, BusCamera, clip
from tests.wall.relay.microphone import TONE_HZ, Microphone
from tests.wall.relay.viewer import Received, reassemble
from tools import node

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

SCRIPT = Path(__file__).with_name("libdatachannel_player.mjs")
SECONDS = 60.0


class Heard(NamedTuple):
    """What a player received."""

    video: list[Received]
    audio: list[tuple[RtpHeader, bytes]]


@asynccontextmanager
async def filmed(bus: Bus, camera: str, number: int, sound: Codec) -> AsyncIterator[None]:
    """A camera with sound that is registered, observed online, and live on the bus."""
    profiles = {"main": Profile(url=f"rtsp://192.0.2.1/{camera}")}
    entry = Camera.model_validate({"id": camera, "site": SITE, "name": camera, "profiles": profiles, "audio": True})
    await (await Bucket.open(bus, subjects.CAMERAS_BUCKET, Camera)).put(camera, entry)
    state = CameraState(camera=camera, site=SITE, status=Status.ONLINE, since_us=1)
    await (await Bucket.open(bus, subjects.STATE_BUCKET, CameraState)).put(camera, state)
    async with BusCamera(bus, camera, clip(number, profile="baseline")), Microphone(bus, camera, sound):
        yield


async def play(url: str, pictures: int, sounds: int) -> Heard:
    """Plays until there are as many whole pictures and packets of sound, then leaves."""
    process = await asyncio.create_subprocess_exec(
        node.program(),
        str(SCRIPT),
        str(node.MODULES),
        url,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    heard = Heard([], [])
    try:
        async with asyncio.timeout(SECONDS):
            while sum(h.marker for h, _ in heard.video) < pictures or len(heard.audio) < sounds:
                size = int.from_bytes(await process.stdout.readexactly(2), "big")
                packet = await process.stdout.readexactly(size)
                if 192 <= packet[2] <= 223:  # RTCP (RFC 5761, section 4)
                    continue
                header = parse_rtp(packet[1:])
                payload = packet[1 + header.payload_at : 1 + header.payload_end]
                if packet[:1] == b"v":
                    heard.video.append(Received(header, payload))
                else:
                    heard.audio.append((header, payload))
    finally:
        process.stdin.close()
        await asyncio.wait_for(process.wait(), SECONDS)
    assert process.returncode == 0
    return heard


def camera_and_frames(packets: list[Received]) -> list[tuple[int, int]]:
    """The numbers in the decoded pictures (see `tests.wall.relay.camera`)."""
    decoder = av.CodecContext.create("h264", "r")
    assert isinstance(decoder, av.VideoCodecContext)
    found = []
    for _, unit in reassemble(packets):
        for frame in decoder.decode(av.Packet(unit)):
            picture = frame.to_ndarray(format="gray")
            block = picture.shape[1] // BITS
            bits = [int(np.median(picture[2:14, i * block + 4 : (i + 1) * block - 4]) > 127) for i in range(BITS)]
            value = int("".join(map(str, bits)), 2)
            found.append((value >> 16, value & 0xFFFF))
    return found


def pitch_hz(packets: list[tuple[RtpHeader, bytes]], name: str, rate_hz: int) -> float:
    """The strongest frequency of the decoded sound."""
    decoder = av.AudioCodecContext.create(name, "r")
    assert isinstance(decoder, av.AudioCodecContext)
    decoder.sample_rate, decoder.layout = rate_hz, "stereo" if name == "opus" else "mono"
    decoded = [frame for _, payload in packets for frame in decoder.decode(av.Packet(payload))]
    wave = np.concatenate([frame.to_ndarray()[0].astype(float) for frame in decoded])
    step = 2 if name == "opus" and not decoded[0].format.is_planar else 1
    wave = wave[::step][len(wave) // step // 4 :]
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave))))
    return float(np.argmax(spectrum[1:]) + 1) * rate_hz / len(wave)


@pytest.mark.parametrize(
    ("sound", "payload_type", "name", "rate_hz"),
    [
        (Codec.PCM_MULAW, 0, "pcm_mulaw", 8000),
        (Codec.PCM_ALAW, 8, "pcm_alaw", 8000),
        (Codec.AAC, 111, "opus", 48_000),
    ],
)
async def test_libdatachannel_plays_a_camera_with_its_sound(
    mesh_settings: MeshSettings, bus: Bus, tmp_path: Path, sound: Codec, payload_type: int, name: str, rate_hz: int
) -> None:
    async with filmed(bus, "cam-11", 11, sound), wall_process(mesh_settings, tmp_path) as wall:
        heard = await play(f"{wall.url}/whep/cam-11", 60, 100)
    seen = camera_and_frames(heard.video)
    assert {camera for camera, _ in seen} == {11}
    numbers = [number for _, number in seen]
    assert len(numbers) >= 50
    assert_none_is_missing(numbers)
    assert {header.payload_type for header, _ in heard.audio} == {payload_type}
    assert abs(pitch_hz(heard.audio, name, rate_hz) - TONE_HZ) < 20
