"""Protection in place: a viewer's packets are made in a buffer that the kernel takes them from.

A run of packets is copied in, its headers are written, and each packet is encrypted where it stands.
"""

import struct
from collections.abc import Iterable
from itertools import repeat
from typing import Final

from services.wall.relay.engine.dtls import SrtpKeys, ffi, srtp_protect, srtp_protect_rtcp, srtp_unprotect_rtcp
from services.wall.relay.engine.template import MAX_RUN_BYTES, MAX_RUN_PACKETS, PACKETS_AT, RtpRun

SRTCP_TRAILER_BYTES: Final = 20
_PACKET_BYTES: Final = 4096
_HEADERS: Final = {size: struct.Struct(f">I{size}s").pack_into for size in range(8, 73, 4)}
"""A packet's header: what differs from packet to packet, and the rest, which is the same for all of a run."""
_TAIL: Final = struct.Struct(">II").pack
_PLACE_TABLES: Final = 16
"""Nearly all runs are of fragments, which have one size for each kind of receiver."""


class SrtpError(Exception):
    """libsrtp refused a packet; the argument is its status."""


class Scratch:
    """Room for one run on its way to one viewer."""

    __slots__ = ("_at", "_lengths", "_places", "address", "view")

    def __init__(self) -> None:
        self._at = ffi.new("unsigned char[]", PACKETS_AT + MAX_RUN_BYTES)
        self.view = memoryview(ffi.buffer(self._at))
        """As `RtpRun.image` is laid out."""
        self.address = int(ffi.cast("uintptr_t", self._at)) + PACKETS_AT
        """Where the packets begin in memory."""
        self._lengths = tuple(ffi.cast("int *", self._at) + packet for packet in range(MAX_RUN_PACKETS))
        self._places: dict[int, tuple[tuple[int, ...], tuple[object, ...]]] = {}
        """By `RtpRun.places`: where packets begin, as offsets and as pointers."""

    def protect(
        self,
        keys: SrtpKeys,
        run: RtpRun,
        payload_type: int,
        sequence: int,
        timestamp: int,
        ssrc: int,
        extension: bytes,
    ) -> None:
        """Puts the run's packets here, protected, one behind the other at ``run.stride``.

        ``sequence`` is the first packet's. Raises `SrtpError`. Loops over packets are `map`'s: written out, they
        would take longer than a small packet's encryption.
        """
        view, count = self.view, run.count
        view[run.span] = run.image
        offsets, pointers = self._places.get(run.places) or self._new_places(run.places)
        tail = _TAIL(timestamp, ssrc) + extension
        head = ((0x9000 if extension else 0x8000) | payload_type) << 16
        first = sequence & 0xFFFF
        heads: Iterable[int] = range(head + first, head + first + count)
        if first + count > 0x10000:
            heads = [head | number & 0xFFFF for number in range(first, first + count)]
        # The shortest argument ends a map; a header's packing returns None, so that any() goes on to the end.
        any(map(_HEADERS[len(tail)], repeat(view), offsets, heads, repeat(tail)))
        if run.ends_frame:
            view[offsets[count - 1] + 1] = 0x80 | payload_type
        for status in filter(None, map(srtp_protect, repeat(keys.outbound, count), pointers, self._lengths)):
            raise SrtpError(status)

    def _new_places(self, distance: int) -> tuple[tuple[int, ...], tuple[object, ...]]:
        if len(self._places) >= _PLACE_TABLES:
            self._places.clear()
        offsets = tuple(PACKETS_AT + packet * distance for packet in range(MAX_RUN_PACKETS if distance else 1))
        places = self._places[distance] = offsets, tuple(self._at + offset for offset in offsets)
        return places

    def packets(self, run: RtpRun) -> memoryview:
        """The run's packets, as `protect` left them."""
        return self.view[PACKETS_AT : PACKETS_AT + run.wire_bytes]


_SCRATCH: Final = ffi.new("unsigned char[]", _PACKET_BYTES)
_VIEW: Final = memoryview(ffi.buffer(_SCRATCH))
_LENGTH: Final = ffi.new("int *")


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
