"""Access units of H.264 and H.265 from RTP: what the two payload formats have in common.

When an access unit is complete:

- Its last packet carries the marker bit (RFC 6184, 5.1; RFC 7798, 4.1). Cameras set it on parameter sets, on each
  slice, or never; so the marker counts only when `AGREED_UNITS` access units in a row, one of several packets among
  them, had it on their last packet and on no other of a slice.
- Until then, the next access unit's beginning ends the one before: the first slice of a picture, a delimiter or an
  SPS, or another timestamp. An access unit is never ended before its first slice.
- `flush` ends one that nothing follows.

A hole cuts the NAL unit that it lies in: what came before it is kept, the rest is dropped.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from struct import Struct
from typing import Any, Final

from services.media.depacketize.unit_sink import ArrivalClock, UnitSink
from services.media.nal import split_annex_b

AGREED_UNITS: Final = 3
MARKED_SILENCE_SECONDS: Final = 0.06
"""An access unit whose last packet is marked goes when nothing followed for so long, agreed upon or not."""
UNMARKED_SILENCE_SECONDS: Final = 0.5
MAX_UNIT_BYTES: Final = 12 * 1024 * 1024
"""What one access unit may take before it is thrown away. More than the bus carries (`frames.MAX_PAYLOAD_BYTES`)."""
MAX_NAL_UNITS: Final = 4096
_START_CODE: Final = b"\0\0\1"
_SEARCHED_SLICES: Final = 64
"""Slices that are searched for start codes at a stream's beginning; later ones only in their first bytes."""
_SEARCHED_BYTES: Final = 96
_PACKET: Final = Struct(">HHHHII")
"""An interleaved packet's dollar and channel, its length, and RTP's first two bytes, number, timestamp and SSRC."""
_INTERLEAVED_BYTES: Final = _PACKET.size
_MARKER: Final = 0x80
_LAST_NUMBER: Final = 0xFF00
"""Pictures whose packets' numbers may wrap go packet by packet."""
USUAL_UNITS: Final = 32
"""A picture of more NAL units goes packet by packet."""
UNTRIED_PICTURES: Final = 50
MAX_FAILED_TRIES: Final = 4
"""After so many pictures in a row that had to go packet by packet, the next `UNTRIED_PICTURES` are not tried."""
_PART_BYTES: Final = 64
"""What an object costs besides its bytes."""
_FRAGMENT_START: Final = 0x80
_FRAGMENT_END: Final = 0x40
_FRAGMENT_KIND: Final = 0x3F


OtherCodec = Callable[[str, bytearray, int, int, bool, int], None]
"""Gets the other codec's encoding name and the first payload in it, as `Depacketizer.push` does."""


class NalDepacketizer(ABC):
    """Collects the NAL units of access units. See `Depacketizer`."""

    type_mask: int
    """Which bits of a payload's first byte hold its type."""
    fragment_bits: int
    """What they hold in a fragment."""
    fragment_header_bytes: int
    """In front of a fragment's data: the payload header and the FU header."""

    least_slice_bytes: int
    """A slice's header and one byte."""

    plain_bits: int
    """What the same bits as `type_mask`'s hold in a slice that refers to other pictures and is referred to or not."""
    sei_bits: int
    """… in supplemental enhancement information in front of a picture."""
    plain_fragment: int
    """What a fragment header's bits below its two flags hold for such a slice."""

    def __init__(
        self,
        sink: UnitSink,
        clock: ArrivalClock,
        parameter_sets: Iterable[bytes] = (),
        on_other_codec: OtherCodec | None = None,
    ) -> None:
        """``parameter_sets``: those of the description. ``on_other_codec`` is called when the stream goes on in another
        codec without saying so."""
        self.malformed = 0
        """Payloads that are no payload of this format."""
        self._on_other_codec = on_other_codec
        self._sink = sink
        self._clock = clock
        self._units: list[bytes] = []
        self._parts: list[bytes | bytearray] = []
        """The NAL unit that is being put together of fragments."""
        self._parts_time = 0
        self._deferred = False
        """A first fragment without data came: the next one begins the NAL unit."""
        self._bytes = 0
        """Held of the access unit, with what holding it costs."""
        self._has_picture = False
        self._time = 0
        self._arrival_us = 0
        self._damaged = False
        self._after_hole = False
        self._gap = False
        """Packets are missing in front of the next NAL unit."""
        self._marks = 0
        self._last_marked = False
        self._has_unmarked = False
        """A packet of the access unit's slices came without the marker."""
        self._agreed = 0
        self._told_apart = False
        """Among those that agreed was one of several packets, so that the marker did tell the last one."""
        self._trusted = False
        self._sent_time: int | None = None
        self._searched = 0
        self._embedded = False
        """Start codes were found within payloads: all are searched."""
        self._fields = False
        """Pictures may be coded as two fields, each with a first slice."""
        self._failed_tries = 0
        self._untried = 0
        """How many pictures `push_picture` is not to try."""
        for unit in parameter_sets:
            self._learn(unit)

    # what differs

    @abstractmethod
    def _push_whole(self, buffer: bytearray, start: int, end: int, timestamp: int) -> bool:
        """Takes a payload that is no fragment; False where it is none of this format."""

    @abstractmethod
    def _fragmented_header(self, buffer: bytearray, start: int) -> bytes:
        """The header of the NAL unit that a first fragment begins."""

    @abstractmethod
    def _is_picture(self, unit: bytes | bytearray) -> bool:
        """Whether a NAL unit, at least its header, is a slice."""

    @abstractmethod
    def _is_first_slice(self, unit: bytes | bytearray) -> bool:
        """Whether a slice's beginning (some bytes more than its header) is that of a picture."""

    @abstractmethod
    def _begins_unit(self, unit: bytes | bytearray) -> bool:
        """Whether a NAL unit may only stand in front of a picture: a delimiter, a VPS or an SPS."""

    @abstractmethod
    def _learn(self, unit: bytes) -> None:
        """Looks at a NAL unit that is no slice."""

    @abstractmethod
    def _other_codec(self, buffer: bytearray, start: int, end: int) -> str:
        """The encoding name of the codec whose parameter set a payload is that is none of this codec; else empty."""

    # Depacketizer

    def push(self, buffer: bytearray, start: int, end: int, marker: bool, timestamp: int) -> None:
        data = start + self.fragment_header_bytes
        if data <= end and buffer[start] & self.type_mask == self.fragment_bits:
            flags = buffer[data - 1]
            if flags < _FRAGMENT_END and not marker and self._parts and not self._deferred:
                # Most packets: the middle of a NAL unit. All else was settled by its first fragment.
                self._parts.append(buffer[data:end])
                self._bytes += end - data + _PART_BYTES
                if self._bytes > MAX_UNIT_BYTES:
                    self._throw_away()
                return
            if flags & _FRAGMENT_START or self._deferred:
                self._begin_fragments(buffer, start, end, timestamp)
            elif not self._parts:
                self._take_orphan(buffer, start, timestamp)
            elif data < end:
                self._parts.append(buffer[data:end])
                self._bytes += end - data + _PART_BYTES
            if flags & _FRAGMENT_END and self._parts:
                self._end_fragments()
        elif start < end and not self._push_whole(buffer, start, end, timestamp):
            self.malformed += 1
            if self._on_other_codec is not None and (codec := self._other_codec(buffer, start, end)):
                self._complete_last()
                self._on_other_codec(codec, buffer, start, end, marker, timestamp)
                return
        self._last_marked = marker
        self._arrival_us = self._clock.arrival_us
        if self._has_picture:
            if not marker:
                self._has_unmarked = True
            elif self._parts:
                self._marks += 2  # within a NAL unit: it means nothing
            else:
                self._marks += 1
                if self._trusted:
                    self._complete()
        if self._bytes > MAX_UNIT_BYTES:
            self._throw_away()

    def push_picture(
        self, buffer: bytearray, at: int, end: int, front: int, kind: int, ssrc: int, number: int
    ) -> tuple[int, int]:
        """Takes the picture whose interleaved packets begin at ``at`` as `push` would, where all of it is there and
        usual: SEI, then slices that are no keyframe's, whole or in fragments of one length, and the marker on the last.

        ``front``: the dollar and the channel; ``kind``: RTP's first two bytes without the marker. Returns the number of
        the packet behind it, and where that begins; ``number`` and ``at`` where it takes nothing.
        """
        if not self.expects_usual:
            return number, at
        if self._untried:
            self._untried -= 1
            return number, at
        found = self._find_picture(buffer, at, end, front, kind, ssrc, number) if number < _LAST_NUMBER else None
        if found is None:
            self._failed_tries += 1
            if self._failed_tries == MAX_FAILED_TRIES:
                self._failed_tries, self._untried = 0, UNTRIED_PICTURES
            return number, at
        self._failed_tries = 0
        units, time, number, at = found
        self._agreed += 1
        self._last_marked = True
        self._time = self._sent_time = time
        self._arrival_us = self._clock.arrival_us
        self._sink(units, time, self._arrival_us, False, False)
        return number, at

    def _find_picture(
        self, buffer: bytearray, at: int, end: int, front: int, kind: int, ssrc: int, number: int
    ) -> tuple[list[bytes], int, int, int] | None:
        """Its NAL units and timestamp, the number of the packet behind it, and where that begins."""
        unpack, skipped = _PACKET.unpack_from, _INTERLEAVED_BYTES + self.fragment_header_bytes
        units: list[bytes] = []
        parts: list[bytes | bytearray] = []
        time, slices, last = 0, 0, end - skipped
        while at < last:
            dollar, length, bits, sequence, timestamp, source = unpack(buffer, at)
            behind = at + 4 + length
            start = at + _INTERLEAVED_BYTES
            data = at + skipped
            if (
                dollar != front or bits & 0xFF7F != kind or sequence != number or source != ssrc
                or behind > end or data >= behind or (timestamp != time and (units or parts)) or number == 0xFFFF
                or len(units) == USUAL_UNITS
            ):  # fmt: skip
                return None
            time, marked = timestamp, bits & _MARKER
            bits = buffer[start] & self.type_mask
            number += 1
            if bits == self.fragment_bits:
                flags = buffer[data - 1]
                if flags & _FRAGMENT_KIND != self.plain_fragment:
                    return None
                if flags & _FRAGMENT_START and not flags & _FRAGMENT_END and not parts and not marked:
                    parts = [self._fragmented_header(buffer, start), buffer[data:behind]]
                    # Those in its middle differ from it in the number and the flag alone.
                    head = buffer[at : at + 6]
                    tail = buffer[at + 8 : data - 1] + bytes((flags ^ _FRAGMENT_START,))
                    size, at = behind - at, behind
                    while (
                        at + size <= end
                        and number != 0xFFFF
                        and buffer.startswith(head + number.to_bytes(2, "big") + tail, at)
                    ):
                        parts.append(buffer[at + skipped : at + size])
                        number += 1
                        at += size
                    continue
                if flags & _FRAGMENT_START or not flags & _FRAGMENT_END or not parts:
                    return None
                parts.append(buffer[data:behind])
                unit, parts = b"".join(parts), []
            elif parts or (bits != self.plain_bits and (bits != self.sei_bits or slices)):
                return None
            else:
                unit = bytes(buffer[start:behind])
            at = behind
            units.append(unit)
            plain = self._is_picture(unit)
            if not unit[-1] or not unit[0] or _START_CODE in (unit[:_SEARCHED_BYTES] if plain else unit):
                return None
            if plain:
                if self._is_first_slice(unit) is (slices > 0):
                    return None
                slices += 1
                if marked:
                    # Where no packet follows, the last one's length may be false.
                    return (units, time, number, at) if at >= end or buffer[at] == front >> 8 else None
            elif marked:
                return None
        return None

    @property
    def expects_usual(self) -> bool:
        """Whether a picture may be taken whole: nothing is begun, and what the stream does is known."""
        return self._trusted and not (
            self._units or self._parts or self._has_picture or self._gap or self._after_hole
            or self._damaged or self._fields or self._embedded or self._searched < _SEARCHED_SLICES
        )  # fmt: skip

    def lend(self, loan: Any) -> bool:
        """Says in a ``pi_connection`` (services/ingest/kernel) how pictures come; False where `push` must take them."""
        loan.h265 = self.fragment_header_bytes == 3
        return self.expects_usual

    def take_back(self, loan: Any) -> None:
        """Pictures were taken elsewhere."""
        self._agreed += loan.taken
        self._last_marked = True
        self._time = self._sent_time = loan.stamp
        self._arrival_us = loan.taken_us

    @property
    def held_bytes(self) -> int:
        """What the access unit that is being put together takes."""
        return self._bytes

    def lose(self) -> None:
        if self._parts:
            self._end_fragments()
            self._damaged = True
        elif self._has_picture and not self._last_marked:
            self._damaged = True
        self._gap = True

    def _complete_last(self) -> None:
        if self._has_picture:
            self._complete()

    def flush(self, silent_seconds: float) -> None:
        if not self._has_picture or (self._parts and not self._last_marked):
            return
        if silent_seconds >= (MARKED_SILENCE_SECONDS if self._last_marked else UNMARKED_SILENCE_SECONDS):
            self._complete()

    # NAL units

    def _begin_fragments(self, buffer: bytearray, start: int, end: int, timestamp: int) -> None:
        data = start + self.fragment_header_bytes
        head = bytes(buffer[data : min(end, data + 8)])
        self._deferred = head in (b"", _START_CODE, b"\0" + _START_CODE)
        if self._deferred:
            return
        skipped = 4 if head.startswith(b"\0" + _START_CODE) else 3 if head.startswith(_START_CODE) else 0
        if skipped:
            # Some cameras fragment a byte stream's NAL unit, start code, header and all.
            header = b""
            head = head[skipped:]
        else:
            header = self._fragmented_header(buffer, start)
        self._begin_nal(header + head, timestamp)
        self._parts_time = timestamp
        self._parts.append(header)
        self._parts.append(buffer[data + skipped : end])
        self._bytes += end - data + _PART_BYTES

    def _end_fragments(self) -> None:
        unit = b"".join(self._parts)
        self._parts.clear()
        pieces = self._pieces(unit)
        if pieces:
            self._units.append(pieces[0])
            if not self._is_picture(pieces[0]):
                self._learn(pieces[0])
        for piece in pieces[1:]:
            self._take_piece(piece, self._parts_time)

    def _take_aggregate(self, buffer: bytearray, at: int, end: int, timestamp: int, *, apart_bytes: int = 0) -> None:
        """Takes the NAL units of an aggregation packet, each behind its length and ``apart_bytes`` from the one before.

        Where the lengths do not lead to its end, or to zeros, one of them is false, and nobody knows which.
        """
        spans: list[tuple[int, int]] = []
        while at + 2 < end:
            behind = at + 2 + (buffer[at] << 8 | buffer[at + 1])
            spans.append((at + 2, min(behind, end)))
            at = behind + apart_bytes
        false = at > end + apart_bytes or any(buffer[at:end])
        self.malformed += false
        for begin, behind in spans:
            self._take_nal(bytes(buffer[begin:behind]), timestamp)
            self._damaged = self._damaged or false

    def _take_orphan(self, buffer: bytearray, start: int, timestamp: int) -> None:
        """A fragment of a NAL unit whose beginning is missing: its access unit has a hole."""
        header = self._fragmented_header(buffer, start)
        if self._is_picture(header):
            self._begin_nal(header, timestamp, orphan=True)
        self._damaged = True

    def _take_nal(self, unit: bytes, timestamp: int) -> None:
        """Takes a whole NAL unit, or several with start codes between them."""
        for piece in self._pieces(unit):
            self._take_piece(piece, timestamp)

    def _take_piece(self, unit: bytes, timestamp: int) -> None:
        self._begin_nal(unit, timestamp)
        self._units.append(unit)
        self._bytes += len(unit) + _PART_BYTES
        if not self._is_picture(unit):
            self._learn(unit)

    def _pieces(self, unit: bytes) -> list[bytes]:
        """The NAL units in what is meant to be one, without trailing zeros; none if it is empty."""
        unit = unit.rstrip(b"\0")
        if len(unit) < self.least_slice_bytes and (not unit or self._is_picture(unit)):
            return []
        searched = unit
        if not self._embedded and unit[0] and self._is_picture(unit):
            if self._searched >= _SEARCHED_SLICES:
                searched = unit[:_SEARCHED_BYTES]
            else:
                self._searched += 1
        if _START_CODE not in searched:
            return [unit]
        self._embedded = True
        pieces = split_annex_b(_START_CODE + unit)
        # A header that stands in front of a start code is there twice.
        return [piece for at, piece in enumerate(pieces) if len(piece) > 2 or at == len(pieces) - 1]

    def _begin_nal(self, unit: bytes, timestamp: int, *, orphan: bool = False) -> None:
        """A NAL unit begins of which ``unit`` is at least the header: ends the access unit before it, if it does so."""
        if self._parts:
            self._end_fragments()
        picture = self._is_picture(unit)
        first = picture and not orphan and self._is_first_slice(unit)
        if self._has_picture:
            if timestamp != self._time:
                ends = first or not picture or self._last_marked or self._gap
            else:
                ends = (first and not self._fields) or self._begins_unit(unit)
            if ends:
                self._complete()
            elif self._gap:
                self._damaged = True
        elif picture and not first and not self._gap and timestamp == self._sent_time:
            self._distrust()  # the marker stood before the end: the picture that went lacks this slice
        if self._gap:
            self._gap = False
            self._after_hole = True
        if picture and not self._has_picture:
            self._damaged = self._damaged or not first
            self._has_picture = True
            self._time = timestamp
        if len(self._units) >= MAX_NAL_UNITS:
            self._throw_away()

    def _complete(self) -> None:
        """The access unit is complete: hands it on."""
        if self._parts:
            self._end_fragments()
        if self._marks == 1 and self._last_marked:
            self._agreed += 1
            self._told_apart = self._told_apart or self._has_unmarked
            self._trusted = self._told_apart and self._agreed >= AGREED_UNITS
        elif not self._damaged:
            self._distrust()
        units, damaged, after_hole = self._units, self._damaged, self._after_hole
        self._sent_time = self._time
        self._units = []
        self._clear()
        if units:
            self._sink(units, self._sent_time, self._arrival_us, damaged, after_hole)
        elif after_hole or damaged:
            self._after_hole = True

    def _distrust(self) -> None:
        self._agreed = 0
        self._told_apart = self._trusted = False

    def _throw_away(self) -> None:
        self.malformed += 1
        self._units.clear()
        self._clear()
        self._gap = True

    def _clear(self) -> None:
        self._parts.clear()
        self._bytes = 0
        self._marks = 0
        self._has_picture = self._has_unmarked = self._damaged = self._after_hole = False
