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
_POINTERS: dict[int, tuple[object, ...]] = {}
"""Packet starts in the scratch buffer, by the distance between packets."""
_HEADERS: Final = {size: struct.Struct(f">BBHII{size}s") for size in range(0, 65, 4)}
_POINTER_TABLES: Final = 4096
SRTCP_TRAILER_BYTES: Final = 20


class SrtpError(Exception):
    """libsrtp refused a packet; the argument is its status."""


def _pointers(stride: int, count: int) -> tuple[object, ...]:
    pointers = _POINTERS.get(stride, ())
    if len(pointers) < count:
        if len(_POINTERS) >= _POINTER_TABLES:
            _POINTERS.clear()
        pointers = tuple(_SCRATCH + n * stride for n in range(count))
        _POINTERS[stride] = pointers
    return pointers


def protect_run(
    keys: SrtpKeys, run: Run, payload_type: int, sequence: int, timestamp: int, ssrc: int, extension: bytes
) -> memoryview:
    """The run's packets, protected, one behind the other at ``run.stride``; valid until the next call.

    ``sequence`` is the first packet's. Raises `SrtpError`.
    """
    ffi.memmove(_SCRATCH, run.data, run.wire_bytes)
    pack = _HEADERS[len(extension)].pack_into
    first = 0x90 if extension else 0x80
    context, length, stride, protect = keys.outbound, _LENGTH, run.stride, srtp_protect
    pointers = _pointers(stride, run.count)
    last = run.count - 1
    plain = run.plain_bytes
    for n in range(last):
        pack(_VIEW, n * stride, first, payload_type, sequence + n & 0xFFFF, timestamp, ssrc, extension)
        length[0] = plain
        if status := protect(context, pointers[n], length):
            raise SrtpError(status)
    second = payload_type | 0x80 if run.ends_frame else payload_type
    pack(_VIEW, last * stride, first, second, sequence + last & 0xFFFF, timestamp, ssrc, extension)
    length[0] = run.last_plain_bytes
    if status := protect(context, pointers[last], length):
        raise SrtpError(status)
    return _VIEW[: run.wire_bytes]


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
