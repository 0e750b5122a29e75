"""The relay's one UDP port: a socket for each of IPv4 and IPv6, beside them one for each address of this machine, and
who every datagram belongs to (RFC 7983).

A peer takes an answer from another address than the one it asked for another server's (RFC 8445, 7.2.5.2.1), and a TURN
server passes nothing on from there. So what goes to a peer leaves by the socket that its checks come to.

Only an authenticated binding request makes an address known (R9). All else from an unknown address is dropped and
counted before any further work. A known address is proven when a check of ours is answered from there, or DTLS
completes; until then it is sent little (`ice.UNPROVEN_FACTOR`) and no media.
"""

import asyncio
import errno
import socket
import sys
from collections.abc import Sequence
from typing import Final, Protocol

from services.contracts.errors import PantauError
from services.mesh.clock import Clock
from services.mesh.log import get_logger
from services.mesh.metrics import counter
from services.wall.relay.engine import stun
from services.wall.relay.engine.ice import Address, IceAgent, Path
from services.wall.relay.engine.kernel_batch import KernelBatch
from services.wall.relay.engine.send_batch import Destination, SendBatch
from services.wall.relay.kernel.library import SendKernel

log = get_logger()

SOCKET_BUFFER_BYTES: Final = 4 * 1024 * 1024
"""The default of 208 KiB holds 512 small datagrams."""
_DATAGRAMS_PER_TURN: Final = 128
_dropped = counter("relay_datagrams_dropped", "Datagrams at the UDP port that were not accepted", "why")
_EXPECTED_STUN: Final = frozenset(kind.to_bytes(2, "big") for kind in (stun.BINDING_INDICATION, stun.BINDING_ERROR))
"""An indication keeps a NAT's binding alive, and a refused check of ours proves nothing."""
_drop_unknown = _dropped.labels("unknown_address")
_drop_stun = _dropped.labels("bad_stun")
_drop_kind = _dropped.labels("unknown_kind")


class UdpPortTakenError(PantauError):
    """The UDP port cannot be bound."""

    code = "port-taken"


class Peer(Protocol):
    """Who owns an address."""

    agent: IceAgent

    def on_path(self) -> None:
        """A check of this peer, or an answer to ours, was taken; its agent may have moved."""

    def on_dtls(self, datagram: bytes) -> None:
        """A datagram with DTLS records."""

    def on_rtcp(self, datagram: bytes) -> None:
        """A datagram with SRTCP."""


class UdpPort:
    """Binds the port, receives for all peers, sends for all peers."""

    def __init__(
        self,
        port: int,
        clock: Clock,
        *,
        gso: bool,
        kernel: SendKernel | None = None,
        hosts: tuple[str, ...] = ("0.0.0.0", "::"),  # noqa: S104 (WebRTC is for every interface; nothing but authenticated peers is served)
        own_addresses: Sequence[str] = (),
    ) -> None:
        """``own_addresses``: those of this machine that get a socket of their own, beside ``hosts``."""
        self.kernel = kernel
        self._clock = clock
        self._by_ufrag: dict[str, Peer] = {}
        self._by_address: dict[Address, Peer] = {}
        self._by_check: dict[bytes, Peer] = {}
        """By the transaction of our checks."""
        self._sockets: list[socket.socket] = []
        self._by_route: dict[int, int] = {}
        """By the length of an address: the general socket, which sends from the address that the route prefers."""
        self.send_batches: list[SendBatch] = []
        """One for each socket."""
        self.kernel_batches: list[KernelBatch] = []
        """The same, where the send kernel is used."""
        self._gso = gso
        self._loop = asyncio.get_running_loop()
        for host in hosts:
            v6 = ":" in host
            try:
                sock = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_DGRAM)
            except OSError:
                if v6:
                    continue  # a kernel without IPv6
                raise
            try:
                if v6:
                    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
                    sock.setsockopt(socket.SOL_SOCKET, option, SOCKET_BUFFER_BYTES)
                sock.setblocking(False)
                sock.bind((host, port))
            except OSError as error:
                sock.close()
                if v6 and error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    continue
                self.close()
                raise UdpPortTakenError(
                    f"UDP port {port} on {host} cannot be bound ({error.strerror}): "
                    "is another relay running? Set PANTAU_WALL_UDP_PORT to a free one"
                ) from error
            port = sock.getsockname()[1]  # the second family takes the port that the first was given
            self._by_route[4 if v6 else 2] = len(self._sockets)
            self._serve(sock)
        self.port = port
        if sys.platform.startswith("linux"):  # elsewhere the route chooses what is answered from
            for host in own_addresses:
                self._bind_beside(host)
        for sock in self._sockets:  # or another program that sets it, too, could take an address over
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)

    def _bind_beside(self, host: str) -> None:
        """A socket for one address. The kernel gives it what is sent there, and the others get the rest."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        general = self._by_route.get(4 if ":" in host else 2)
        if general is None:
            return
        # Only now: a port that another relay has is to be refused. It has the same effect on both (socket(7)).
        self._sockets[general].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock = socket.socket(family, socket.SOCK_DGRAM)
        try:
            for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
                sock.setsockopt(socket.SOL_SOCKET, option, SOCKET_BUFFER_BYTES)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.setblocking(False)
            sock.bind((host, self.port))
        except OSError as error:  # the address has gone: the general socket serves it when it is back
            log.info("relay.address_not_bound", host=host, error=error)
            sock.close()
            return
        self._serve(sock)

    def _serve(self, sock: socket.socket) -> None:
        via = len(self._sockets)
        self._sockets.append(sock)
        self.send_batches.append(SendBatch(sock, offload=self._gso))
        if self.kernel is not None:
            self.kernel_batches.append(KernelBatch(sock, self.kernel, offload=self._gso))
        self._loop.add_reader(sock, self._on_readable, sock, via)

    @property
    def families(self) -> tuple[int, ...]:
        """The IP versions that are served."""
        return tuple(6 if key == 4 else 4 for key in self._by_route)

    def close(self) -> None:
        """Gives the port back."""
        for send_batch in self.send_batches:
            send_batch.close()
        for kernel_batch in self.kernel_batches:
            kernel_batch.close()
        self.send_batches.clear()
        self.kernel_batches.clear()
        for sock in self._sockets:
            self._loop.remove_reader(sock)
            sock.close()
        self._sockets.clear()
        self._by_route.clear()

    def add_peer(self, peer: Peer) -> None:
        """Lets a peer's checks in."""
        self._by_ufrag[peer.agent.ufrag] = peer

    def remove_peer(self, peer: Peer) -> None:
        """Forgets a peer and its addresses."""
        self._by_ufrag.pop(peer.agent.ufrag, None)
        for address, path in peer.agent.paths.items():
            self._forget(peer, address, path)

    def _forget(self, peer: Peer, address: Address, path: Path) -> None:
        self._by_check.pop(path.transaction, None)
        if self._by_address.get(address) is peer:
            del self._by_address[address]

    @property
    def known(self) -> tuple[int, int]:
        """How many peers and how many of their addresses are known."""
        return len(self._by_ufrag), len(self._by_address)

    def _on_readable(self, sock: socket.socket, via: int) -> None:
        receive = sock.recvfrom
        for _ in range(_DATAGRAMS_PER_TURN):
            try:
                data, address = receive(2048)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:  # an ICMP error of an earlier send; the next call reads on
                continue
            self.receive(data, address, via)

    def receive(self, data: bytes, address: Address, via: int = 0) -> None:
        """One datagram, which came to the socket ``via``. Never raises."""
        if not data:
            return
        first = data[0]
        if first < 4:
            self._on_stun(data, address, via)
            return
        peer = self._by_address.get(address)
        if peer is None:
            _drop_unknown.inc()
            return
        if (path := peer.agent.paths.get(address)) is not None:
            path.on_received(len(data))
        if 128 <= first < 192:
            if len(data) >= 8 and 192 <= data[1] < 224:
                peer.on_rtcp(data)
            else:
                _drop_kind.inc()  # media towards the relay is not negotiated
        elif 20 <= first < 64:
            peer.on_dtls(data)
        else:
            _drop_kind.inc()

    def _on_stun(self, data: bytes, address: Address, via: int) -> None:
        request = stun.parse_binding_request(data)
        if request is None:
            if (success := stun.parse_binding_success(data)) is not None:
                self._on_success(data, success, address)
            elif data[:2] not in _EXPECTED_STUN:
                _drop_stun.inc()
            return
        peer = self._by_ufrag.get(request.username.partition(":")[0])
        if peer is None:
            _drop_stun.inc()
            return
        agent = peer.agent
        before = agent.paths.copy()
        answer = agent.answer(data, request, address, self._clock.monotonic(), via)
        if answer is None:
            _drop_stun.inc()
            return
        for old in before.keys() - agent.paths.keys():
            self._forget(peer, old, before[old])
        if (path := agent.paths.get(address)) is not None:
            self._by_check[path.transaction] = peer
            owner = self._by_address.get(address)
            if owner is None or not owner.agent.is_proven(address):  # nobody's viewer is cut off by a forged address
                self._by_address[address] = peer
        self.send(answer, address, via)
        if (check := agent.check_in_return(address)) is not None:
            self.send(check, address, via)
        peer.on_path()

    def _on_success(self, data: bytes, success: stun.BindingSuccess, address: Address) -> None:
        peer = self._by_check.get(success.transaction)
        if peer is None or not peer.agent.on_success(data, success, address):
            _drop_stun.inc()
            return
        self._by_address[address] = peer
        peer.on_path()

    def destination(self, address: Address, via: int | None = None) -> Destination | None:
        """For sending runs by the socket ``via``, or as the route has it; None where the IP version is not served."""
        via = self._by_route.get(len(address)) if via is None else via
        if via is None or via >= len(self._sockets):
            return None
        return Destination(
            address, self.send_batches[via], self.kernel_batches[via] if self.kernel_batches else None, via
        )

    def send(self, data: bytes | memoryview, address: Address, via: int) -> None:
        """One datagram by the socket ``via``; none after `close`."""
        if via < len(self.send_batches):
            self.send_batches[via].send(data, address)
