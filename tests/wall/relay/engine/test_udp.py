import asyncio
import socket
import sys
import time
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.mesh.clock import SystemClock
from services.wall.relay.engine import stun
from services.wall.relay.engine.ice import Address, IceAgent
from services.wall.relay.engine.send_batch import probe_offload
from services.wall.relay.engine.udp import UdpPort, UdpPortTakenError
from tests.eventually import eventually


class Peer:
    """Counts what it is given."""

    def __init__(self) -> None:
        self.agent = IceAgent("them", "p" * 24, time.monotonic())
        self.paths = 0
        self.dtls: list[bytes] = []
        self.rtcp: list[bytes] = []

    def on_path(self) -> None:
        self.paths += 1

    def on_dtls(self, datagram: bytes) -> None:
        self.dtls.append(datagram)

    def on_rtcp(self, datagram: bytes) -> None:
        self.rtcp.append(datagram)


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


def check(peer: Peer) -> bytes:
    user = f"{peer.agent.ufrag}:them"
    return stun.binding_request(b"0123456789ab", user, peer.agent.password.encode(), use_candidate=True)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_a_check_is_answered_and_makes_the_address_known(host: str) -> None:
    udp, peer = UdpPort(0, SystemClock(), gso=False), Peer()
    udp.add_peer(peer)
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect((host, udp.port))
        client.settimeout(90)
        client.send(b"\x16before")  # dropped: the address is not known yet
        client.send(check(peer))
        answer = await asyncio.to_thread(client.recv, 2000)
        assert answer[:2] == b"\x01\x01"
        client.send(b"\x16dtls")
        client.send(b"\x80\xc8rtcp..")
        client.send(b"\x80\x60media to nobody")
        client.send(b"\xff?")
        await eventually(lambda: bool(peer.rtcp))
        await asyncio.sleep(0.05)
    assert (peer.paths, peer.dtls, peer.rtcp) == (1, [b"\x16dtls"], [b"\x80\xc8rtcp.."])
    udp.remove_peer(peer)
    assert udp.known == (0, 0)
    udp.close()


async def test_a_check_that_does_not_nominate_is_answered_and_returned() -> None:
    udp, peer = UdpPort(0, SystemClock(), gso=False), Peer()
    udp.add_peer(peer)
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as client:
        client.settimeout(90)
        user = f"{peer.agent.ufrag}:them"
        client.sendto(stun.binding_request(b"0123456789ab", user, peer.agent.password.encode()), ("::1", udp.port))
        answer, _ = await asyncio.to_thread(client.recvfrom, 2000)
        returned, _ = await asyncio.to_thread(client.recvfrom, 2000)
    assert answer[:2] == b"\x01\x01"
    request = stun.parse_binding_request(returned)
    assert request is not None
    assert request.username == f"them:{peer.agent.ufrag}"
    udp.close()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(st.lists(st.binary(max_size=200), max_size=20), st.booleans())
def test_hostile_datagrams_do_nothing(loop: asyncio.AbstractEventLoop, datagrams: list[bytes], known: bool) -> None:
    async def attack() -> None:
        udp, peer = UdpPort(0, SystemClock(), gso=False, hosts=("127.0.0.1",)), Peer()
        udp.add_peer(peer)
        address: Address = ("127.0.0.1", 9)
        if known:
            udp.receive(check(peer), address)
        before = udp.known
        for datagram in datagrams:
            udp.receive(datagram, address)
            udp.receive(b"\0\1" + datagram, address)
            whole = check(peer)
            if (damaged := whole[:-1] + datagram) != whole:  # one in 256 mends it
                udp.receive(damaged, address)
        assert udp.known == before
        assert known or not (peer.dtls or peer.rtcp)
        udp.close()

    loop.run_until_complete(attack())


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="all of 127.0.0.0/8 is this machine on Linux alone")
async def test_a_peer_is_answered_and_sent_to_from_the_address_that_it_asked() -> None:
    udp, peer = UdpPort(0, SystemClock(), gso=False, own_addresses=("127.0.0.2", "127.0.0.3", "192.0.2.254")), Peer()
    udp.add_peer(peer)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.bind(("127.0.0.1", 0))
        client.settimeout(90)
        own: Address = client.getsockname()
        user = f"{peer.agent.ufrag}:them"
        plain = stun.binding_request(b"0123456789ab", user, peer.agent.password.encode())
        for host, sent in (("127.0.0.2", plain), ("127.0.0.3", check(peer)), ("127.0.0.2", plain)):
            client.sendto(sent, (host, udp.port))
            for _ in ("answer", "check in return"):
                _, source = await asyncio.to_thread(client.recvfrom, 2000)
                assert source == (host, udp.port)
        destination = udp.destination(own, peer.agent.paths[own].via)
        assert destination is not None
        destination.send_batch.send(b"media", own)
        assert await asyncio.to_thread(client.recvfrom, 2000) == (b"media", ("127.0.0.3", udp.port))  # as nominated
        client.sendto(check(peer), ("127.0.0.4", udp.port))  # an address that came later
        await asyncio.to_thread(client.recvfrom, 2000)
    with pytest.raises(UdpPortTakenError):
        UdpPort(udp.port, SystemClock(), gso=False)
    for host in ("127.0.0.2", "127.0.0.5"):  # one that has a socket of its own, and one that has none
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with pytest.raises(OSError, match="in use"):
                other.bind((host, udp.port))
    udp.close()
    udp.send(b"late", own, 0)


async def test_a_taken_port_says_what_to_do() -> None:
    first = UdpPort(0, SystemClock(), gso=False)
    with pytest.raises(UdpPortTakenError, match="PANTAU_WALL_UDP_PORT"):
        UdpPort(first.port, SystemClock(), gso=False)
    first.close()


def test_the_offload_probe_answers() -> None:
    assert isinstance(probe_offload(), str)
