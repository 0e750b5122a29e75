"""DTLS-SRTP (RFC 5764) by pyOpenSSL and pylibsrtp, over datagrams of our own.

This is the one module that touches private names of pylibsrtp, which is pinned exactly: ``_binding.ffi``,
``_binding.lib``, and ``Session._srtp``, libsrtp's context, for protection in place.
tests/wall/relay/engine/test_dtls.py fails loudly when they change.
"""

import asyncio
import datetime as dt
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL
from pylibsrtp import Policy, Session, _binding

from services.contracts.errors import PantauError
from services.mesh.clock import Clock, timeout

ffi: Final = _binding.ffi
srtp_protect: Final = _binding.lib.srtp_protect
srtp_protect_rtcp: Final = _binding.lib.srtp_protect_rtcp
srtp_unprotect_rtcp: Final = _binding.lib.srtp_unprotect_rtcp
_PROTECT_KIND: Final = "srtp_err_status_t(*)(struct srtp_ctx_t_ *, void *, int *)"


class SrtpProfile(NamedTuple):
    """An SRTP protection profile (RFC 5764, 4.1.2; RFC 7714, 14.2)."""

    name: str
    libsrtp: int
    """pylibsrtp's number of it."""
    key_bytes: int
    salt_bytes: int
    tag_bytes: int
    """What protection adds to an RTP packet."""

    def master(self, material: bytes, client: bool) -> bytes:
        """Key and salt by which one end protects, of what DTLS exports (RFC 5764, 4.2)."""
        keys, salts = 2 * self.key_bytes, self.salt_bytes
        key, salt = (0, keys) if client else (self.key_bytes, keys + salts)
        return material[key : key + self.key_bytes] + material[salt : salt + salts]


PROFILES: Final = (
    SrtpProfile("SRTP_AEAD_AES_128_GCM", Policy.SRTP_PROFILE_AEAD_AES_128_GCM, 16, 12, 16),
    SrtpProfile("SRTP_AEAD_AES_256_GCM", Policy.SRTP_PROFILE_AEAD_AES_256_GCM, 32, 12, 16),
    SrtpProfile("SRTP_AES128_CM_SHA1_80", Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 16, 14, 10),
)
"""In our order of preference: GCM takes half the time of AES-CM with HMAC-SHA1."""
_CIPHERS: Final = (
    b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:"
    b"ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA"
)
_HASHES: Final[dict[str, hashes.HashAlgorithm]] = {
    "sha-256": hashes.SHA256(),
    "sha-384": hashes.SHA384(),
    "sha-512": hashes.SHA512(),
}
"""Those of fingerprints (RFC 8122), by their names in SDP, the strongest last."""
_DATAGRAM_BYTES: Final = 1200
_READ_BYTES: Final = 65_536
_QUEUE_DATAGRAMS: Final = 32
_CERTIFICATE_SECONDS: Final = 7 * 86400.0
_CERTIFICATE_DAYS: Final = 30
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


class Certificate:
    """A self-signed certificate, and the OpenSSL context that all connections under it share."""

    def __init__(self, profiles: Sequence[SrtpProfile] = PROFILES) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, secrets.token_hex(16))])
        now = dt.datetime.now(dt.UTC)
        self.x509 = (
            x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=_CERTIFICATE_DAYS))
            .sign(key, hashes.SHA256())
        )
        self.context = context = SSL.Context(SSL.DTLS_METHOD)
        # Each connection is authenticated by its own offer, so none goes on with another's session.
        context.set_options(SSL.OP_NO_TICKET | SSL.OP_NO_RENEGOTIATION)
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        context.set_mode(SSL.MODE_RELEASE_BUFFERS)
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_: True)  # fingerprints decide
        context.use_certificate(self.x509)
        context.use_privatekey(key)
        context.set_cipher_list(_CIPHERS)
        context.set_tlsext_use_srtp(":".join(profile.name for profile in profiles).encode())


class Certificates:
    """The process's certificate: made at first use, and anew every week."""

    def __init__(self) -> None:
        self._certificate: Certificate | None = None
        self._made_at = 0.0

    def current(self, now: float) -> Certificate:
        """The certificate for new connections."""
        if self._certificate is None or now - self._made_at > _CERTIFICATE_SECONDS:
            self._certificate = Certificate()
            self._made_at = now
        return self._certificate


def fingerprint(certificate: Certificate) -> str:
    """Its SHA-256 fingerprint as SDP writes it."""
    return certificate.x509.fingerprint(hashes.SHA256()).hex(":").upper()


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


def split_records(flight: bytes) -> list[bytes]:
    """A flight as datagrams of whole records (RFC 6347, 4.1.1)."""
    datagrams: list[bytes] = []
    begin = at = 0
    while at + 13 <= len(flight):
        end = at + 13 + int.from_bytes(flight[at + 11 : at + 13], "big")
        if end - begin > _DATAGRAM_BYTES and at > begin:
            datagrams.append(flight[begin:at])
            begin = at
        at = end
    return [*datagrams, flight[begin:]] if flight else []


class DtlsSession:
    """One connection's DTLS. Feed it the datagrams whose first byte is 20 to 63 (RFC 7983)."""

    def __init__(
        self,
        certificate: Certificate,
        send: Callable[[bytes], None],
        *,
        server: bool,
        handshake_limiter: HandshakeLimiter,
        clock: Clock,
    ) -> None:
        self._send = send
        self._server = server
        self._limiter = handshake_limiter
        self._clock = clock
        self._ssl = SSL.Connection(certificate.context)
        if server:
            self._ssl.set_accept_state()
        else:
            self._ssl.set_connect_state()
        self._waiting: asyncio.Queue[bytes] | None = asyncio.Queue(_QUEUE_DATAGRAMS)
        """Datagrams that the handshake has not taken yet; None when it is over."""
        self._gone = False
        """Whether `close` was called."""
        self.closed = asyncio.Event()
        """Set when the peer has said goodbye, the handshake has failed, or the session was closed."""

    def receive_datagram(self, datagram: bytes) -> None:
        """A DTLS datagram of the peer's."""
        if self._gone:
            return
        if self._waiting is not None:
            with suppress(asyncio.QueueFull):  # DTLS repeats its flights
                self._waiting.put_nowait(datagram)
            return
        self._ssl.bio_write(datagram)
        try:
            self._ssl.recv(_READ_BYTES)
        except SSL.ZeroReturnError:
            self.closed.set()
        except SSL.Error:  # nothing to read, or rubbish: DTLS goes on
            pass
        self._flush()

    async def handshake(
        self,
        fingerprints: Sequence[tuple[str, str]],
        timeout_seconds: float = 15.0,
        *,
        window_packets: int = WINDOW_PACKETS,
    ) -> SrtpKeys:
        """Completes the handshake with the owner of ``fingerprints``; raises `DtlsError`."""
        try:
            async with timeout(self._clock, timeout_seconds):
                await self._shake_hands()
            self._verify_peer(fingerprints)
            return self._keys(window_packets)
        except TimeoutError as error:
            self.closed.set()
            raise DtlsError(f"no DTLS handshake within {timeout_seconds:g} s") from error
        except DtlsError:
            self.closed.set()
            raise

    async def _shake_hands(self) -> None:
        waiting = self._waiting
        assert waiting is not None, "there is one handshake"
        while True:
            try:
                self._ssl.do_handshake()
            except SSL.WantReadError:
                self._flush()
            except SSL.Error as error:
                self._flush()  # it may be an alert
                raise DtlsError("the DTLS handshake failed") from error
            else:
                self._flush()
                break
            try:
                async with asyncio.timeout(self._ssl.DTLSv1_get_timeout()):  # OpenSSL's clock is the system's
                    datagram = await waiting.get()
            except TimeoutError:
                self._ssl.DTLSv1_handle_timeout()
                continue
            if self._gone:
                raise DtlsError("the connection was closed before DTLS was there")
            await self._limiter.wait_turn()
            self._ssl.bio_write(datagram)
        self._waiting = None
        while not waiting.empty():
            self.receive_datagram(waiting.get_nowait())

    def _verify_peer(self, fingerprints: Sequence[tuple[str, str]]) -> None:
        """Of the fingerprints in the strongest hash that is known here, one must be the peer's certificate's: a peer
        may have several certificates (RFC 8122, 5.1)."""
        # In OpenSSL's own form: cryptography refuses to read some of what OpenSSL takes.
        certificate = self._ssl.get_peer_certificate()
        given = [(algorithm.lower(), value.upper()) for algorithm, value in fingerprints]
        strongest = next((name for name in reversed(_HASHES) if name in {algorithm for algorithm, _ in given}), None)
        if (
            certificate is None
            or strongest is None
            or (strongest, certificate.digest(_HASHES[strongest].name).decode()) not in given
        ):
            raise DtlsError("the peer's certificate is not the one of the offer")

    def _keys(self, window_packets: int) -> SrtpKeys:
        name = self._ssl.get_selected_srtp_profile().decode()
        profile = next((known for known in PROFILES if known.name == name), None)
        if profile is None:
            raise DtlsError("the peer knows no SRTP protection profile that is known here")
        material = self._ssl.export_keying_material(
            b"EXTRACTOR-dtls_srtp", 2 * (profile.key_bytes + profile.salt_bytes)
        )
        outbound = _session(profile, material, not self._server, Policy.SSRC_ANY_OUTBOUND, window_packets)
        inbound = _session(profile, material, self._server, Policy.SSRC_ANY_INBOUND, WINDOW_PACKETS)
        return SrtpKeys(outbound._srtp[0], inbound._srtp[0], profile.tag_bytes, name, (outbound, inbound))

    def _flush(self) -> None:
        flight = b""
        with suppress(SSL.WantReadError):
            while True:
                flight += self._ssl.bio_read(_READ_BYTES)
        for datagram in split_records(flight):
            self._send(datagram)

    async def close(self) -> None:
        """Says goodbye and lets go. May be called at any time, and twice."""
        if self._gone:
            return
        self._gone = True
        self.closed.set()
        if self._waiting is None:
            with suppress(SSL.Error):
                self._ssl.shutdown()
            self._flush()
        elif self._waiting.empty():  # the handshake waits for a datagram
            self._waiting.put_nowait(b"")


def _session(profile: SrtpProfile, material: bytes, client: bool, kind: int, window_packets: int) -> Session:
    policy = Policy(key=profile.master(material, client), ssrc_type=kind, srtp_profile=profile.libsrtp)
    policy.allow_repeat_tx = True
    policy.window_size = window_packets
    return Session(policy)
