"""What a camera takes in a worker: the bound that docs/ingest.md states, held by what Python has allocated."""

import gc
import tracemalloc
from collections.abc import Sequence
from fractions import Fraction

from services.contracts.frames import Codec, order_of
from services.ingest.keeping.chunks import KeptCamera
from services.ingest.keeping.keep import SPOOL_AFTER_SECONDS
from services.ingest.pipeline import Pipeline
from services.ingest.readers.source import Packet, Track
from services.media.depacketize.unit_sink import ArrivalClock
from services.media.nal import split_annex_b
from services.media.rtp import pack_rtp
from services.media.rtp_track import RtpTrack
from services.media.rtsp.framing import RtspFramer
from services.media.sdp import RtpFormat, SdpMedia
from services.mesh.clock import ManualClock
from tests.media.depacketize.collected import h264_fragments
from tests.media.encoded import video

CAMERA_BYTES = 3_000_000
"""Of 2 Mbit/s and a GOP of 2 s, with a recorder that is well."""
CAMERAS = 3
FRAME_SECONDS = Fraction(1, 25)
GOP_FRAMES = 50
KEYFRAME_BYTES, OTHER_BYTES = 75_000, 8_700
"""2 Mbit/s: 500 kB in 2 s."""
PAYLOAD_BYTES = 1400
ACKNOWLEDGED_SECONDS = 6.0
"""How late a recorder that is well acknowledges; see `SPOOL_AFTER_SECONDS`."""
FORMAT = RtpFormat(96, "h264", 90_000, 1, {})


def padded(nals: Sequence[bytes], size: int) -> list[bytes]:
    """The access unit, its slice made as large as a camera's; nobody reads behind a slice's header."""
    return [*nals[:-1], nals[-1] + b"\xa5" * (size - len(nals[-1]))]


class Camera:
    """All that stands between a camera's socket and the bus, and holds something of it."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.pipeline = Pipeline(clock, gop_bytes=16_000_000)
        self.pipeline.begin(Track("video", Codec.H264, b""))
        self.kept = KeptCamera("city", "cam-001")
        self.published = 0
        self._arrival = ArrivalClock()
        media = SdpMedia("video", "RTP/AVP", (FORMAT,))
        track = RtpTrack(media, [FORMAT], self._arrival, self._on_unit, lambda: None)
        self._framer = RtspFramer(lambda _message: None)
        self._framer.add_receiver(0, track.receiver, track.receiver.receive_pictures)
        self._number = 0

    def read(self, packets: Sequence[bytes]) -> None:
        """One picture's packets arrive."""
        self._arrival.arrival_us = round(self.clock.monotonic() * 1e6)
        self._framer.feed(b"".join(packets))

    def _on_unit(
        self,
        data: bytes | Sequence[bytes],
        pts_90k: int,
        arrival_us: int,
        rtcp_us: int | None,
        damaged: bool,
        lost: int,
    ) -> None:
        packet = Packet("video", data, pts_90k, None, arrival_us, rtcp_us, damaged, lost)
        for message in self.pipeline.feed(packet, 1):
            self.kept.add_message(message, self.clock.monotonic())
            self.published += 1

    def acknowledge(self, seconds: float) -> None:
        """The recorder has all but the last ``seconds``."""
        growing = self.kept.chunks[-1]
        messages = growing.messages
        assert messages is not None
        newest = order_of(messages[-1])[1]
        self.kept.acknowledge("rec", 1, newest - round(seconds / FRAME_SECONDS))
        self.kept.release(("rec",))


def test_a_camera_of_two_megabits_takes_three_megabytes_at_most() -> None:
    clip = video(gop=GOP_FRAMES, frames=GOP_FRAMES, options=(("x264-params", "repeat-headers=1"),))
    pictures = [
        padded(split_annex_b(packet.data), KEYFRAME_BYTES if number == 0 else OTHER_BYTES)
        for number, packet in enumerate(clip.packets)
    ]
    payloads = [[part for nal in nals for part in _cut(nal)] for nals in pictures]
    assert sum(len(nal) for nals in pictures for nal in nals) * 8 / 2 > 2_000_000
    clock = ManualClock()
    gc.collect()
    tracemalloc.start()
    try:
        cameras = [Camera(clock) for _ in range(CAMERAS)]
        number = 0
        for frame in range(20 * 25):
            clock.advance(float(FRAME_SECONDS))
            parts = payloads[frame % GOP_FRAMES]
            packets = []
            for at, payload in enumerate(parts):
                packet = pack_rtp(96, number & 0xFFFF, frame * 3600, 7, payload, marker=at == len(parts) - 1)
                packets.append(b"$\0" + len(packet).to_bytes(2, "big") + packet)
                number += 1
            for camera in cameras:
                camera.read(packets)
                if frame and frame % 25 == 0:
                    camera.acknowledge(ACKNOWLEDGED_SECONDS)
        gc.collect()
        taken = tracemalloc.get_traced_memory()[0] / CAMERAS
    finally:
        tracemalloc.stop()
    assert {camera.published for camera in cameras} == {20 * 25}
    assert ACKNOWLEDGED_SECONDS < SPOOL_AFTER_SECONDS
    assert 1_500_000 < taken < CAMERA_BYTES, f"{taken / 1e6:.2f} MB a camera"


def _cut(nal: bytes) -> list[bytes]:
    return [nal] if len(nal) <= PAYLOAD_BYTES else h264_fragments(nal, PAYLOAD_BYTES)
