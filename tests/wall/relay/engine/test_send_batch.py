import asyncio
import secrets
import socket
from collections.abc import Iterator

import pytest
from prometheus_client import REGISTRY
from pylibsrtp import Policy, Session

from services.media.nal import join_length_prefixed
from services.media.packetize import packetize_h264
from services.media.rtp import parse_rtp
from services.mesh.clock import SystemClock
from services.wall.relay.engine.dtls import SrtpKeys
from services.wall.relay.engine.send_batch import RUNS, Destination, probe_offload
from services.wall.relay.engine.template import RtpRun, lay_out
from services.wall.relay.engine.udp import UdpPort

needs_offload = pytest.mark.skipif(bool(probe_offload()), reason=f"no segmentation offload here: {probe_offload()}")


class Viewer:
    """Receives on a port of its own, and decrypts."""

    def __init__(self, host: str) -> None:
        self.sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind((host, 0))
        self.sock.setblocking(False)
        key = secrets.token_bytes(28)
        sessions = []
        for kind in (Policy.SSRC_ANY_OUTBOUND, Policy.SSRC_ANY_INBOUND):
            policy = Policy(key=key, ssrc_type=kind, srtp_profile=Policy.SRTP_PROFILE_AEAD_AES_128_GCM)
            sessions.append(Session(policy))
        self.inbound = sessions[1]
        self.keys = SrtpKeys(sessions[0]._srtp[0], None, 16, "", tuple(sessions))

    def received(self) -> list[tuple[int, bytes]]:
        """Sequence numbers and payloads of what has come, in order."""
        found: list[tuple[int, bytes]] = []
        while True:
            try:
                plain = self.inbound.unprotect(self.sock.recv(2000))
            except BlockingIOError:
                return found
            header = parse_rtp(plain)
            found.append((header.sequence, plain[header.payload_at :]))


def runs_of(*sizes: int) -> tuple[RtpRun, ...]:
    unit = join_length_prefixed([b"\x65" + bytes(n % 251 for n in range(size)) for size in sizes])
    return lay_out(packetize_h264(unit, 1192), 0, 16)


def put(viewer: Viewer, destination: Destination, runs: tuple[RtpRun, ...], sequence: int) -> int:
    for run in runs:
        destination.send_batch.scratch.protect(viewer.keys, run, 102, sequence, 1, 9, b"")
        destination.send_batch.add_run(run, destination)
        sequence += run.count
    return sequence


@pytest.fixture(params=["127.0.0.1", "::1"])
def viewers(request: pytest.FixtureRequest) -> Iterator[list[Viewer]]:
    viewers = [Viewer(request.param) for _ in range(3)]
    yield viewers
    for viewer in viewers:
        viewer.sock.close()


@pytest.mark.parametrize("offload", [pytest.param(True, marks=needs_offload), False])
async def test_every_viewer_gets_its_own_packets_of_every_frame_in_order(viewers: list[Viewer], offload: bool) -> None:
    udp = UdpPort(0, SystemClock(), gso=offload)
    frames = [runs_of(20_000, 700), runs_of(300), runs_of(3000), runs_of(70_000)]
    expected = [run.payload(n) for runs in frames for run in runs for n in range(run.count)]
    destinations = [udp.destination(viewer.sock.getsockname()) for viewer in viewers]
    numbers = [65_500, 1, 40]
    for runs in frames:  # more runs than go out together, so that some leave at once and others at the turn's end
        for n, (viewer, destination) in enumerate(zip(viewers, destinations, strict=True)):
            assert destination
            numbers[n] = put(viewer, destination, runs, numbers[n])
    await asyncio.sleep(0)
    for viewer, first in zip(viewers, (65_500, 1, 40), strict=True):
        assert viewer.received() == [((first + n) & 0xFFFF, payload) for n, payload in enumerate(expected)]
    udp.close()


@needs_offload
async def test_runs_of_one_turn_leave_together_and_none_before_it_ends(viewers: list[Viewer]) -> None:
    udp, runs = UdpPort(0, SystemClock(), gso=True), runs_of(3000)
    for viewer in viewers:
        destination = udp.destination(viewer.sock.getsockname())
        assert destination
        put(viewer, destination, runs, 1)
    assert [viewer.received() for viewer in viewers] == [[], [], []]
    await asyncio.sleep(0)
    assert [len(viewer.received()) for viewer in viewers] == [3, 3, 3]
    destination = udp.destination(viewers[0].sock.getsockname())
    assert destination
    sequence = 4
    for _ in range(RUNS):
        sequence = put(viewers[0], destination, runs, sequence)
    assert len(viewers[0].received()) == 3 * RUNS, "a full batch does not wait"
    put(viewers[0], destination, runs, sequence)
    udp.close()
    await asyncio.sleep(0)
    assert viewers[0].received() == []


@needs_offload
async def test_one_destination_that_is_refused_takes_nothing_from_the_others(viewers: list[Viewer]) -> None:
    udp, runs = UdpPort(0, SystemClock(), gso=True), runs_of(3000)
    before = REGISTRY.get_sample_value("pantau_relay_send_errors_total") or 0.0
    address = viewers[0].sock.getsockname()
    for viewer, target in zip(
        viewers, (address, (address[0], 0, *address[2:]), viewers[2].sock.getsockname()), strict=True
    ):
        destination = udp.destination(target)  # nothing can be sent to port 0
        assert destination
        put(viewer, destination, runs, 1)
    await asyncio.sleep(0)
    assert [len(viewer.received()) for viewer in viewers] == [3, 0, 3]
    assert (REGISTRY.get_sample_value("pantau_relay_send_errors_total") or 0.0) > before
    udp.close()
