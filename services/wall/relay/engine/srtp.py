"""Protection in place: packets are made in one scratch buffer of the process, and sent from there.

One thread, one buffer: a run of packets is copied in, its headers are written, each packet is encrypted where it
stands, and the kernel copies the run out, all before anything else may run.
"""

import struct
from typing import Final

from services.wall.relay.engine.dtls import SrtpKeys, ffi, srtp_protect, srtp_protect_rtcp, srtp_unprotect_rtcp
from services.wall.relay.engine.template import MAX_RUN_BYTES, Run

_SCRATCH: Final = ffi.new("unsigned char[]", MAX_RUN_BYTES + 4096)
_VIEW: Final = memoryview(ffi.buffer(_SCRATCH))
_LENGTH: Final = ffi.new("int *")
_PLACES: dict[int, tuple[tuple[int, object], ...]] = {}
"""Packet starts in the scratch buffer, as offset and as pointer, by the distance between packets."""
_HEADERS: Final = {size: struct.Struct(f">I{size}s").pack_into for size in range(8, 73, 4)}
"""A packet's header: what differs from packet to packet, and the rest, which is the same for all of a run."""
_TAIL: Final = struct.Struct(">II").pack
_PLACE_TABLES: Final = 4096
SRTCP_TRAILER_BYTES: Final = 20


class SrtpError(Exception):
    """libsrtp refused a packet; the argument is its status."""


def _places(stride: int, count: int) -> tuple[tuple[int, object], ...]:
    if len(_PLACES) >= _PLACE_TABLES:
        _PLACES.clear()
    places = _PLACES[stride] = tuple((n * stride, _SCRATCH + n * stride) for n in range(count))
    return places


def protect_run(
    keys: SrtpKeys, run: Run, payload_type: int, sequence: int, timestamp: int, ssrc: int, extension: bytes
) -> memoryview:
    """The run's packets, protected, one behind the other at ``run.stride``; valid until the next call.

    ``sequence`` is the first packet's. Raises `SrtpError`.
    """
    ffi.memmove(_SCRATCH, run.data, run.wire_bytes)
    tail = _TAIL(timestamp, ssrc) + extension
    head = (0x9000 if extension else 0x8000) | payload_type
    pack, view, length, protect = _HEADERS[len(tail)], _VIEW, _LENGTH, srtp_protect
    context, plain, left = keys.outbound, run.plain_bytes, run.count
    places = _PLACES.get(run.stride, ())
    if len(places) < left:
        places = _places(run.stride, left)
    for at, pointer in places:
        left -= 1
        if not left:
            plain = run.last_plain_bytes
            if run.ends_frame:
                head |= 0x80
        pack(view, at, head << 16 | sequence & 0xFFFF, tail)
        length[0] = plain
        if status := protect(context, pointer, length):
            raise SrtpError(status)
        if not left:
            break
        sequence += 1
    return view[: run.wire_bytes]


def protect_packet(keys: SrtpKeys, packet: bytes) -> memoryview:
    """One RTP packet, protected; valid until the next call. Raises `SrtpError`."""
    _VIEW[: len(packet)] = packet
    _LENGTH[0] = len(packet)
    if status := srtp_protect(keys.outbound, _SCRATCH, _LENGTH):
        raise SrtpError(status)
    return _VIEW[: _LENGTH[0]]


def protect_rtcp(keys: SrtpKeys, packet: bytes) -> memoryview:
    """One RTCP compound, protected; valid until the next call. Raises `SrtpError`."""
    _VIEW[: len(packet)] = packet
    _LENGTH[0] = len(packet)
    if status := srtp_protect_rtcp(keys.outbound, _SCRATCH, _LENGTH):
        raise SrtpError(status)
    return _VIEW[: _LENGTH[0]]


def unprotect_rtcp(keys: SrtpKeys, packet: bytes) -> bytes:
    """The compound in an SRTCP packet. Raises `SrtpError` where it is not authentic, or came before."""
    if len(packet) > 2048:
        raise SrtpError(-1)
    _VIEW[: len(packet)] = packet
    _LENGTH[0] = len(packet)
    if status := srtp_unprotect_rtcp(keys.inbound, _SCRATCH, _LENGTH):
        raise SrtpError(status)
    return bytes(_VIEW[: _LENGTH[0]])
