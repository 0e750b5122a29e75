"""RTCP sender reports as cameras send them: SR with an SDES CNAME (RFC 3550 sections 6.4.1 and 6.5.1)."""

from struct import Struct
from typing import Final

_NTP_EPOCH_SECONDS: Final = 2_208_988_800
_SR: Final = Struct(">BBHIIIIII")


def ntp(unix_ns: int) -> tuple[int, int]:
    """Unix time in nanoseconds as NTP seconds and fraction (RFC 5905 section 6), modulo its era."""
    seconds, rest_ns = divmod(unix_ns, 1_000_000_000)
    return (seconds + _NTP_EPOCH_SECONDS) & 0xFFFFFFFF, (rest_ns << 32) // 1_000_000_000


def sender_report(ssrc: int, unix_ns: int, rtp_timestamp: int, packets: int, octets: int, cname: str) -> bytes:
    """A compound packet that ties ``rtp_timestamp`` to wall-clock time."""
    seconds, fraction = ntp(unix_ns)
    report = _SR.pack(
        0x80, 200, 6, ssrc, seconds, fraction, rtp_timestamp & 0xFFFFFFFF, packets & 0xFFFFFFFF, octets & 0xFFFFFFFF
    )
    name = cname.encode()[:255]
    chunk = ssrc.to_bytes(4, "big") + bytes((1, len(name))) + name
    chunk += bytes(4 - len(chunk) % 4)  # at least one zero ends the list of items
    return report + bytes((0x81, 202)) + (len(chunk) // 4).to_bytes(2, "big") + chunk


def goodbye(ssrc: int) -> bytes:
    """BYE (RFC 3550 section 6.6)."""
    return bytes((0x81, 203, 0, 1)) + ssrc.to_bytes(4, "big")
