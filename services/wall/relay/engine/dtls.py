"""DTLS-SRTP by aiortc's `RTCDtlsTransport` and pylibsrtp, over datagrams of our own.

This is the one module that touches private names of aiortc and pylibsrtp; both are pinned exactly, and
tests/wall/relay/engine/test_dtls.py fails loudly when the names change. Used are:

* aiortc: ``RTCDtlsTransport._set_role``, ``._srtp_profiles``, ``._rx_srtp``, ``._ssl``, and of the transport
  given to it ``_recv``, ``_send`` and ``role``; of a profile ``openssl_profile``, ``libsrtp_profile``, ``key_length``,
  ``salt_length`` and ``get_key_and_salt``;
* pylibsrtp: ``_binding.ffi``, ``_binding.lib``, and ``Session._srtp``, libsrtp's context, for protection in place.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from aiortc import rtcdtlstransport as aiortc_dtls
from aiortc.rtcdtlstransport import RTCCertificate, RTCDtlsFingerprint, RTCDtlsParameters, RTCDtlsTransport
from OpenSSL import SSL
from pylibsrtp import Policy, Session, _binding

from services.contracts.errors import PantauError
from services.mesh.clock import Clock, timeout

ffi: Final = _binding.ffi
srtp_protect: Final = _binding.lib.srtp_protect
srtp_protect_rtcp: Final = _binding.lib.srtp_protect_rtcp
srtp_unprotect_rtcp: Final = _binding.lib.srtp_unprotect_rtcp
_PROTECT_KIND: Final = "srtp_err_status_t(*)(struct srtp_ctx_t_ *, void *, int *)"

PROFILES: Final = (
    aiortc_dtls.SRTP_AEAD_AES_128_GCM,
    aiortc_dtls.SRTP_AEAD_AES_256_GCM,
    aiortc_dtls.SRTP_AES128_CM_SHA1_80,
)
"""In our order of preference: GCM takes half the time of AES-CM with HMAC-SHA1."""
_TAG_BYTES: Final = {
    b"SRTP_AEAD_AES_128_GCM": 16,
    b"SRTP_AEAD_AES_256_GCM": 16,
    b"SRTP_AES128_CM_SHA1_80": 10,
}
_DATAGRAM_BYTES: Final = 1200
_QUEUE_DATAGRAMS: Final = 32
_CERTIFICATE_SECONDS: Final = 7 * 86400.0
WINDOW_PACKETS: Final = 1024
"""How far back a packet can be sent again under its own number. libsrtp moves the whole window with every packet."""
SMALL_WINDOW_PACKETS: Final = 128
"""For receivers that take retransmissions under other numbers (RFC 4588): a packet costs a tenth less."""


def protect_address() -> int | str:
    """Where `srtp_protect` stands in memory, for C; or why C cannot call it (libsrtp 3 gives it other arguments)."""
    kind = ffi.typeof(srtp_protect).cname
    if kind != _PROTECT_KIND:
        return f"pylibsrtp's srtp_protect is {kind}"
    return int(ffi.cast("uintptr_t", ffi.addressof(_binding.lib, "srtp_protect")))


class DtlsError(PantauError):
    """The peer did not complete the handshake, or is not who its offer said."""

    code = "dtls-failed"
    status = 502


class SrtpKeys(NamedTuple):
    """libsrtp's contexts of one connection. They live as long as this tuple is held."""

    outbound: Any
    inbound: Any
    tag_bytes: int
    """What protection adds to an RTP packet."""
    profile: str
    owners: tuple[Any, ...]
    """The objects that free the contexts when they are collected."""


class Certificates:
    """The process's certificate: made at first use, and anew every week (aiortc's are valid for a month)."""

    def __init__(self) -> None:
        self._certificate: RTCCertificate | None = None
        self._made_at = 0.0

    def current(self, now: float) -> RTCCertificate:
        """The certificate for new connections."""
        if self._certificate is None or now - self._made_at > _CERTIFICATE_SECONDS:
            self._certificate = RTCCertificate.generateCertificate()
            self._made_at = now
        return self._certificate


def fingerprint(certificate: RTCCertificate) -> str:
    """Its SHA-256 fingerprint as SDP writes it."""
    return next(f.value for f in certificate.getFingerprints() if f.algorithm == "sha-256")


class HandshakeLimiter:
    """Lets one handshake step through at a time, and the event loop run in between (R10).

    A step takes 0.5 to 1.6 ms. A hundred connections that begin together would hold up the media.
    """

    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    async def wait_turn(self) -> None:
        """Returns when it is the caller's turn."""
        async with self._lock:
            await asyncio.sleep(0)


class _Channel:
    """What aiortc takes for an ICE transport: datagrams in and out."""

    role = "controlled"

    def __init__(self, send: Callable[[bytes], None], handshake_limiter: HandshakeLimiter) -> None:
        self._out = send
        self._handshake_limiter = handshake_limiter
        self._in: asyncio.Queue[bytes] = asyncio.Queue(_QUEUE_DATAGRAMS)
        self._closed = False
        self._rest = b""
        self.dropped = 0

    def receive_datagram(self, datagram: bytes) -> None:
        try:
            self._in.put_nowait(datagram)
        except asyncio.QueueFull:
            self.dropped += 1  # DTLS repeats its flights

    def close(self) -> None:
        self._closed = True
        if self._in.full():
            self._in.get_nowait()
        self._in.put_nowait(b"")

    async def _recv(self) -> bytes:
        if self._closed and self._in.empty():
            raise ConnectionError("closed")
        datagram = await self._in.get()
        if not datagram:
            raise ConnectionError("closed")
        await self._handshake_limiter.wait_turn()
        return datagram

    async def _send(self, data: bytes) -> None:
        if self._closed:
            raise ConnectionError("closed")
        datagrams, self._rest = split_records(self._rest + data)
        for datagram in datagrams:
            self._out(datagram)


def split_records(flight: bytes) -> tuple[list[bytes], bytes]:
    """A flight as datagrams of whole records (RFC 6347, 4.1.1), and what is left of a record that is cut off."""
    datagrams: list[bytes] = []
    begin = at = 0
    while at + 13 <= len(flight):
        end = at + 13 + int.from_bytes(flight[at + 11 : at + 13], "big")
        if end > len(flight):
            break
        if end - begin > _DATAGRAM_BYTES and at > begin:
            datagrams.append(flight[begin:at])
            begin = at
        at = end
    if at > begin:
        datagrams.append(flight[begin:at])
    return datagrams, flight[at:]


class DtlsSession:
    """One connection's DTLS. Feed it the datagrams whose first byte is 20 to 63 (RFC 7983)."""

    def __init__(
        self,
        certificate: RTCCertificate,
        send: Callable[[bytes], None],
        *,
        server: bool,
        handshake_limiter: HandshakeLimiter,
        clock: Clock,
        profiles: Sequence[Any] = PROFILES,
    ) -> None:
        self._channel = _Channel(send, handshake_limiter)
        self._transport = RTCDtlsTransport(self._channel, [certificate])  # type: ignore[arg-type]  # the part of it that is used
        self._transport._set_role("server" if server else "client")
        self._server = server
        self._clock = clock
        self._transport._srtp_profiles = list(profiles)
        self.closed = asyncio.Event()
        """Set when the peer has said goodbye, or the session was closed."""
        self._transport.on("statechange", self._on_state)

    def receive_datagram(self, datagram: bytes) -> None:
        """A DTLS datagram of the peer's."""
        self._channel.receive_datagram(datagram)

    async def handshake(
        self,
        fingerprints: Sequence[tuple[str, str]],
        timeout_seconds: float = 15.0,
        *,
        window_packets: int = WINDOW_PACKETS,
    ) -> SrtpKeys:
        """Completes the handshake with the owner of ``fingerprints``; raises `DtlsError`."""
        parameters = RTCDtlsParameters([RTCDtlsFingerprint(algorithm, value) for algorithm, value in fingerprints])
        try:
            async with timeout(self._clock, timeout_seconds):
                await self._transport.start(parameters)
        except TimeoutError as error:
            raise DtlsError(f"no DTLS handshake within {timeout_seconds:g} s") from error
        if self._transport.state != "connected":
            raise DtlsError("the DTLS handshake failed, or the certificate is not the one of the offer")
        ssl = self._transport._ssl
        assert ssl is not None
        profile = ssl.get_selected_srtp_profile()
        outbound, inbound = self._outbound(ssl, profile, window_packets), self._transport._rx_srtp
        return SrtpKeys(outbound._srtp[0], inbound._srtp[0], _TAG_BYTES[profile], profile.decode(), (outbound, inbound))

    def _outbound(self, ssl: SSL.Connection, name: bytes, window_packets: int) -> Session:
        """As `RTCDtlsTransport._setup_srtp` makes it, but for the window (RFC 5764, 4.2)."""
        profile = next(known for known in self._transport._srtp_profiles if known.openssl_profile == name)
        size = 2 * (profile.key_length + profile.salt_length)
        material = ssl.export_keying_material(b"EXTRACTOR-dtls_srtp", size)
        key = profile.get_key_and_salt(material, 1 if self._server else 0)
        policy = Policy(key=key, ssrc_type=Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile.libsrtp_profile)
        policy.allow_repeat_tx = True
        policy.window_size = window_packets
        return Session(policy)

    async def close(self) -> None:
        """Says goodbye and lets go. May be called at any time, and twice."""
        await self._transport.stop()
        self._channel.close()
        self._transport.remove_all_listeners()
        self.closed.set()

    def _on_state(self) -> None:
        if self._transport.state in ("closed", "failed"):
            self.closed.set()
