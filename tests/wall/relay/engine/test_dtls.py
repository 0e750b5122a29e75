"""DTLS and SRTP, and the pin on pylibsrtp: fails loudly where its private names have changed."""

import asyncio
import hashlib
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import given
from hypothesis import strategies as st
from OpenSSL import crypto
from pylibsrtp import Session, _binding

from services.media.nal import join_length_prefixed
from services.media.packetize import packetize_h264
from services.media.rtp import pack_extensions, pack_rtp, parse_rtp
from services.mesh.clock import ManualClock, SystemClock
from services.wall.relay.engine import dtls, srtp
from services.wall.relay.engine.template import lay_out


def test_the_pinned_version_is_the_one_that_was_looked_into() -> None:
    assert version("pylibsrtp") == "1.0.0"


def test_the_private_names_are_there() -> None:
    for name in ("srtp_protect", "srtp_protect_rtcp", "srtp_unprotect_rtcp"):
        assert callable(getattr(_binding.lib, name)), name
    assert hasattr(Session(), "_srtp")


async def connected(
    *profiles: dtls.SrtpProfile, window_packets: int = dtls.WINDOW_PACKETS
) -> tuple[dtls.SrtpKeys, dtls.SrtpKeys, list[dtls.DtlsSession]]:
    """Two ends joined in memory; the keys of server and client."""
    handshake_limiter = dtls.HandshakeLimiter()
    certificate = dtls.Certificate(profiles or dtls.PROFILES)
    sessions: list[dtls.DtlsSession] = []

    def to(end: int) -> Callable[[bytes], None]:
        return lambda data: sessions[end].receive_datagram(data)

    for server, other in ((True, 1), (False, 0)):
        sessions.append(
            dtls.DtlsSession(
                certificate,
                to(other),
                server=server,
                handshake_limiter=handshake_limiter,
                clock=SystemClock(),
            )
        )
    digest = [("sha-256", dtls.fingerprint(certificate))]
    server_keys, client_keys = await asyncio.gather(
        *(session.handshake(digest, window_packets=window_packets) for session in sessions)
    )
    return server_keys, client_keys, sessions


async def test_gcm_is_agreed_on_first_and_aes_cm_still_works() -> None:
    keys, _, sessions = await connected()
    assert (keys.profile, keys.tag_bytes) == ("SRTP_AEAD_AES_128_GCM", 16)
    old, _, old_sessions = await connected(dtls.PROFILES[2])
    assert (old.profile, old.tag_bytes) == ("SRTP_AES128_CM_SHA1_80", 10)
    for session in (*sessions, *old_sessions):
        await session.close()


async def test_a_small_window_repeats_what_is_new_and_a_large_one_what_is_old() -> None:
    for window, reaches_back in ((dtls.SMALL_WINDOW_PACKETS, False), (dtls.WINDOW_PACKETS, True)):
        keys, theirs, sessions = await connected(window_packets=window)
        for sequence in range(1, 401):
            packet = pack_rtp(102, sequence, 1, 9, b"picture", marker=True)
            assert theirs.owners[1].unprotect(bytes(srtp.protect_packet(keys, packet))) == packet
        srtp.protect_packet(keys, pack_rtp(102, 390, 1, 9, b"picture", marker=True))
        old = pack_rtp(102, 100, 1, 9, b"picture", marker=True)
        if reaches_back:
            srtp.protect_packet(keys, old)
        else:
            with pytest.raises(srtp.SrtpError):
                srtp.protect_packet(keys, old)
        for session in sessions:
            await session.close()


@pytest.mark.parametrize("profile", dtls.PROFILES)
async def test_packets_protected_in_place_are_unprotected_by_pylibsrtp(profile: dtls.SrtpProfile) -> None:
    ours, theirs, sessions = await connected(profile)
    unit = join_length_prefixed([b"\x67abc", b"\x68d", b"\x65" + bytes(range(256)) * 30])
    extension = pack_extensions({3: b"\1\2\3"})
    (aggregate, big) = lay_out(packetize_h264(unit, 1192), len(extension), ours.tag_bytes)
    sequence = 65_534
    payloads = []
    scratch = srtp.Scratch()
    for run in (aggregate, big):
        scratch.protect(ours, run, 102, sequence, 12345, 99, extension)
        view = scratch.packets(run)
        assert len(view) == run.wire_bytes
        for n in range(run.count):
            plain = theirs.owners[1].unprotect(bytes(view[n * run.stride : (n + 1) * run.stride]))
            header = parse_rtp(plain)
            assert (header.sequence, header.timestamp, header.ssrc) == ((sequence + n) & 0xFFFF, 12345, 99)
            assert header.extensions == {3: b"\1\2\3"}
            assert header.marker == (run is big and n == run.count - 1)
            payloads.append(plain[header.payload_at :])
        sequence += run.count
    assert payloads == packetize_h264(unit, 1192)
    packet = pack_rtp(103, 7, 1, 98, b"again", marker=True)
    assert theirs.owners[1].unprotect(bytes(srtp.protect_packet(ours, packet))) == packet
    report = b"\x80\xc8\0\x06" + bytes(24)
    assert srtp.unprotect_rtcp(theirs, bytes(srtp.protect_rtcp(ours, report))) == report
    with pytest.raises(srtp.SrtpError):
        srtp.unprotect_rtcp(theirs, bytes(40))
    for session in sessions:
        await session.close()


async def test_another_certificate_than_the_offers_is_refused() -> None:
    handshake_limiter = dtls.HandshakeLimiter()
    certificates = [dtls.Certificates().current(0.0) for _ in range(3)]
    sessions: list[dtls.DtlsSession] = []
    sessions.append(
        dtls.DtlsSession(
            certificates[0],
            lambda data: sessions[1].receive_datagram(data),
            server=True,
            handshake_limiter=handshake_limiter,
            clock=SystemClock(),
        )
    )
    sessions.append(
        dtls.DtlsSession(
            certificates[1],
            lambda data: sessions[0].receive_datagram(data),
            server=False,
            handshake_limiter=handshake_limiter,
            clock=SystemClock(),
        )
    )
    outcomes = await asyncio.gather(
        sessions[0].handshake([("sha-256", dtls.fingerprint(certificates[2]))]),
        sessions[1].handshake([("sha-256", dtls.fingerprint(certificates[0]))]),
        return_exceptions=True,
    )
    assert isinstance(outcomes[0], dtls.DtlsError)
    for session in sessions:
        await session.close()


async def test_a_handshake_that_nobody_answers_ends() -> None:
    clock = ManualClock()
    session = dtls.DtlsSession(
        dtls.Certificates().current(0.0), lambda _: None, server=True, handshake_limiter=dtls.HandshakeLimiter(),
        clock=clock,
    )  # fmt: skip
    handshake = asyncio.create_task(session.handshake([("sha-256", "AA")], timeout_seconds=15.0))
    await asyncio.sleep(0)
    clock.advance(14.9)
    await asyncio.sleep(0.01)
    assert not handshake.done()
    clock.advance(0.2)
    with pytest.raises(dtls.DtlsError):
        await handshake
    for n in range(100):
        session.receive_datagram(bytes((22, n)))
    await session.close()
    await session.close()


async def test_a_goodbye_is_heard_by_the_other_end_and_a_closed_end_takes_nothing_more() -> None:
    _, _, (server, client) = await connected()
    assert not server.closed.is_set()
    await client.close()
    assert server.closed.is_set()
    client.receive_datagram(bytes(20))
    await server.close()


async def test_rubbish_after_the_handshake_changes_nothing() -> None:
    keys, theirs, (server, client) = await connected()
    for rubbish in (bytes(1), bytes((22, 254, 253)) + bytes(40), b"\x17\xfe\xfd" + bytes(range(200))):
        server.receive_datagram(rubbish)
    assert not server.closed.is_set()
    packet = pack_rtp(102, 1, 1, 9, b"picture", marker=True)
    assert theirs.owners[1].unprotect(bytes(srtp.protect_packet(keys, packet))) == packet
    await client.close()
    assert server.closed.is_set()


async def test_a_lost_flight_is_sent_again() -> None:
    lost: list[bytes] = []
    sessions: list[dtls.DtlsSession] = []
    certificate = dtls.Certificate()

    def to_client(data: bytes) -> None:
        (sessions[1].receive_datagram if lost else lost.append)(data)

    for server, send in ((True, to_client), (False, lambda data: sessions[0].receive_datagram(data))):
        limiter, clock = dtls.HandshakeLimiter(), SystemClock()
        sessions.append(dtls.DtlsSession(certificate, send, server=server, handshake_limiter=limiter, clock=clock))
    digest = [("sha-256", dtls.fingerprint(certificate))]
    ours, theirs = await asyncio.gather(*(session.handshake(digest, 60.0) for session in sessions))
    assert lost
    assert ours.profile == theirs.profile
    for session in sessions:
        await session.close()


async def test_a_session_that_is_closed_in_its_handshake_says_so() -> None:
    session = dtls.DtlsSession(
        dtls.Certificate(), lambda _: None, server=False, handshake_limiter=dtls.HandshakeLimiter(), clock=ManualClock()
    )
    handshake = asyncio.create_task(session.handshake([("sha-256", "AA")]))
    await asyncio.sleep(0)
    await session.close()
    with pytest.raises(dtls.DtlsError, match="closed"):
        await handshake


@pytest.mark.parametrize(
    ("fingerprints", "taken"),
    [
        ([("SHA-256", "own"), ("sha-1", "anything")], True),
        ([("sha-256", "own"), ("sha-512", "AA:BB")], False),
        ([("sha-256", "AA:BB"), ("sha-256", "own")], True),
        ([("sha-1", "AA:BB")], False),
        ([], False),
    ],
)
async def test_one_fingerprint_in_the_strongest_known_hash_must_be_the_peers(
    fingerprints: list[tuple[str, str]], taken: bool
) -> None:
    certificate = dtls.Certificate()
    own = dtls.fingerprint(certificate)
    sessions: list[dtls.DtlsSession] = []
    for server in (True, False):
        other = int(server)
        sessions.append(
            dtls.DtlsSession(
                certificate,
                lambda data, other=other: sessions[other].receive_datagram(data),  # type: ignore[misc]  # a default binds it
                server=server,
                handshake_limiter=dtls.HandshakeLimiter(),
                clock=SystemClock(),
            )
        )
    told = [(name, value.replace("own", own.lower())) for name, value in fingerprints]
    outcomes = await asyncio.gather(
        sessions[0].handshake(told), sessions[1].handshake([("sha-256", own)]), return_exceptions=True
    )
    assert isinstance(outcomes[0], dtls.SrtpKeys) is taken
    assert sessions[0].closed.is_set() is not taken
    for session in sessions:
        await session.close()


async def test_a_certificate_that_cryptography_does_not_read_is_known_by_its_fingerprint(tmp_path: Path) -> None:
    ours, theirs = dtls.Certificate(), dtls.Certificate()
    der = theirs.x509.public_bytes(serialization.Encoding.DER)
    version = der.index(b"\xa0\x03\x02\x01\x02") + 4
    odd = der[:version] + b"\x05" + der[version + 1 :]
    (tmp_path / "odd.der").write_bytes(odd)
    theirs.context.use_certificate_file(tmp_path / "odd.der", crypto.FILETYPE_ASN1)
    told = hashlib.sha256(odd).digest().hex(":")
    for known in (told, "AA"):
        ends: list[dtls.DtlsSession] = []
        for certificate in (ours, theirs):
            other = 1 - len(ends)
            ends.append(
                dtls.DtlsSession(
                    certificate,
                    lambda data, other=other, ends=ends: ends[other].receive_datagram(data),  # type: ignore[misc]  # defaults bind them
                    server=certificate is ours,
                    handshake_limiter=dtls.HandshakeLimiter(),
                    clock=SystemClock(),
                )
            )
        outcomes = await asyncio.gather(
            ends[0].handshake([("sha-256", known)]),
            ends[1].handshake([("sha-256", dtls.fingerprint(ours))]),
            return_exceptions=True,
        )
        assert isinstance(outcomes[0], dtls.SrtpKeys if known is told else dtls.DtlsError), outcomes[0]
        for end in ends:
            await end.close()


@given(st.lists(st.integers(0, 900), max_size=8))
def test_flights_are_split_between_records(sizes: list[int]) -> None:
    records = [b"\x16\xfe\xfd" + bytes(8) + size.to_bytes(2, "big") + bytes(size) for size in sizes]
    datagrams = dtls.split_records(b"".join(records))
    assert b"".join(datagrams) == b"".join(records)
    assert all(len(d) <= 1200 for d in datagrams)
