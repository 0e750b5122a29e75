"""Turns a clip into RTP packets once, so that sending a frame is patching headers in a copy.

The simulator has packetizers of its own, although `services.media` has some: it is the other end in the tests of
ingest, and a mistake shared by both ends would cancel itself.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from struct import Struct
from typing import Final

from services.sim.clip import ClipUnit, EncodedClip
from services.sim.pictures import stamp

PAYLOAD_BYTES: Final = 1400
"""Largest RTP payload: an Ethernet frame with room for tunnels."""

HEADER_BYTES: Final = 12
INTERLEAVED_BYTES: Final = 4
PAYLOAD_TYPES: Final = {"h264": 96, "hevc": 96, "mjpeg": 26, "pcm_mulaw": 0, "pcm_alaw": 8, "aac": 97}

_PREFIX: Final = Struct(">cBHBBHII")
_PATCH: Final = Struct(">HII")


@dataclass(frozen=True, slots=True)
class PacketRun:
    """All packets of one access unit, each behind its interleaved header (RFC 2326 section 10.12), back to back."""

    template: bytes
    offsets: tuple[int, ...]
    """Where each RTP header begins."""
    stamp_at: int
    """Where the stamp's text begins; -1 for none."""
    delay_ticks: int
    """Presentation time less sending time, in ticks; never positive (B-frames come late)."""
    keyframe: bool

    def render(
        self, channel: int, sequence: int, timestamp: int, ssrc: int, stamp_text: bytes | None = None
    ) -> bytearray:
        """The run as it goes over TCP; its packets as they go over UDP are `packets` of it."""
        wire = bytearray(self.template)
        if stamp_text is not None and self.stamp_at >= 0:
            wire[self.stamp_at : self.stamp_at + stamp.TEXT_BYTES] = stamp_text
        patch = _PATCH.pack_into
        for offset in self.offsets:
            patch(wire, offset + 2, sequence & 0xFFFF, timestamp, ssrc)
            sequence += 1
        if channel:
            for offset in self.offsets:
                wire[offset - 3] = channel
        return wire

    def packets(self, wire: bytearray) -> Iterator[memoryview]:
        """Each RTP packet in what `render` gave."""
        view = memoryview(wire)
        ends = (*(offset - INTERLEAVED_BYTES for offset in self.offsets[1:]), len(wire))
        for offset, end in zip(self.offsets, ends, strict=True):
            yield view[offset:end]


class Reel:
    """A clip and its packets, shared by all cameras that play it."""

    def __init__(self, clip: EncodedClip) -> None:
        self.clip = clip
        self._runs = {True: packet_runs(clip)}

    def runs(self, *, in_band: bool = True) -> tuple[PacketRun, ...]:
        """One run for each unit of the clip; ``in_band``: with the parameter sets before each keyframe."""
        if in_band not in self._runs:
            self._runs[in_band] = packet_runs(self.clip, in_band=in_band)
        return self._runs[in_band]


def packet_runs(clip: EncodedClip, *, in_band: bool = True) -> tuple[PacketRun, ...]:
    """What `Reel.runs` keeps."""
    payload_type = PAYLOAD_TYPES[clip.codec]
    reorder = max(unit.presentation - index for index, unit in enumerate(clip.units))
    runs = []
    for index, unit in enumerate(clip.units):
        payloads = list(_payloads(clip, unit, in_band))
        delay = (unit.presentation - index - reorder) * clip.unit_ticks
        # Of a picture the last packet carries the marker bit; of audio only the first after a silence would.
        runs.append(
            packet_run(
                payloads, payload_type, delay, unit.keyframe, last_marked=clip.width_px > 0 or clip.codec == "aac"
            )
        )
    return tuple(runs)


def packet_run(
    payloads: Iterable[bytes], payload_type: int, delay_ticks: int, keyframe: bool, *, last_marked: bool = True
) -> PacketRun:
    """A run of the given RTP payloads."""
    parts: list[bytes] = []
    offsets = []
    at = 0
    payloads = list(payloads)
    for index, payload in enumerate(payloads):
        marked = last_marked and index == len(payloads) - 1
        head = _PREFIX.pack(b"$", 0, HEADER_BYTES + len(payload), 0x80, marked << 7 | payload_type, 0, 0, 0)
        parts += (head, payload)
        offsets.append(at + INTERLEAVED_BYTES)
        at += len(head) + len(payload)
    template = b"".join(parts)
    return PacketRun(template, tuple(offsets), stamp.text_offset(template), delay_ticks, keyframe)


def _payloads(clip: EncodedClip, unit: ClipUnit, in_band: bool) -> Iterator[bytes]:
    if clip.codec in ("h264", "hevc"):
        hevc = clip.codec == "hevc"
        sets = clip.parameter_sets if in_band and unit.keyframe else ()
        for nal in (*sets, stamp.hevc_sei() if hevc else stamp.h264_sei(), *split_nal_units(unit.data)):
            yield from hevc_payloads(nal) if hevc else h264_payloads(nal)
    elif clip.codec == "mjpeg":
        yield from jpeg_payloads(unit.data)
    elif clip.codec == "aac":
        # RFC 3640 AAC-hbr: one AU header of 13 bits size and 3 bits index.
        yield b"\x00\x10" + (len(unit.data) << 3).to_bytes(2, "big") + unit.data
    else:
        yield unit.data


def split_nal_units(data: bytes) -> Iterator[bytes]:
    """NAL units that stand behind 4-byte lengths."""
    at = 0
    while at < len(data):
        end = at + 4 + int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : end]
        at = end


def h264_payloads(nal: bytes) -> Iterator[bytes]:
    """A single NAL unit packet, or FU-A fragments (RFC 6184 sections 5.6 and 5.8)."""
    if len(nal) <= PAYLOAD_BYTES:
        yield nal
        return
    indicator, kind = nal[0] & 0xE0 | 28, nal[0] & 0x1F
    for first, last, piece in _fragments(nal[1:], PAYLOAD_BYTES - 2):
        yield bytes((indicator, first << 7 | last << 6 | kind)) + piece


def hevc_payloads(nal: bytes) -> Iterator[bytes]:
    """A single NAL unit packet, or fragmentation units (RFC 7798 sections 4.4.1 and 4.4.3)."""
    if len(nal) <= PAYLOAD_BYTES:
        yield nal
        return
    kind = nal[0] >> 1 & 0x3F
    header = bytes((nal[0] & 0x81 | 49 << 1, nal[1]))
    for first, last, piece in _fragments(nal[2:], PAYLOAD_BYTES - 3):
        yield header + bytes((first << 7 | last << 6 | kind,)) + piece


def jpeg_payloads(jpeg: bytes) -> Iterator[bytes]:
    """RFC 2435, quantization tables in-band (Q = 255). Raises ValueError for a JPEG that it cannot carry."""
    kind, width, height, tables, scan = parse_jpeg(jpeg)
    quantization = b"\x00\x00" + len(tables).to_bytes(2, "big") + tables
    at = 0
    while at < len(scan):
        head = b"\x00" + at.to_bytes(3, "big") + bytes((kind, 255, width // 8, height // 8))
        if at == 0:
            head += quantization
        piece = scan[at : at + PAYLOAD_BYTES - len(head)]
        yield head + piece
        at += len(piece)


def parse_jpeg(jpeg: bytes) -> tuple[int, int, int, bytes, bytes]:
    """RFC 2435's type, width, height, the luma and chroma tables, and the scan without markers around it.

    Raises ValueError where the picture is not baseline 4:2:0 or 4:2:2 of a size that the format can say.
    """
    tables: dict[int, bytes] = {}
    kind = width = height = -1
    used = (0, 0)
    at = 2
    while at + 4 <= len(jpeg):
        marker, length = jpeg[at + 1], int.from_bytes(jpeg[at + 2 : at + 4], "big")
        body = jpeg[at + 4 : at + 2 + length]
        at += 2 + length
        if marker == 0xDB:
            for begin in range(0, len(body), 65):
                tables[body[begin] & 15] = body[begin + 1 : begin + 65]
        elif marker == 0xC0:
            height, width = int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big")
            kind = {0x21: 0, 0x22: 1}.get(body[7], -1)
            used = body[8], body[11]
        elif marker == 0xDA:
            end = jpeg.rfind(b"\xff\xd9")
            if kind < 0 or width % 8 or height % 8 or max(width, height) > 2040 or end < at:
                raise ValueError(f"RTP carries no JPEG like this one ({width}×{height}, sampling {kind})")
            return kind, width, height, tables[used[0]] + tables[used[1]], jpeg[at:end]
    raise ValueError("the JPEG has no scan")


def _fragments(data: bytes, size: int) -> Iterator[tuple[bool, bool, bytes]]:
    for at in range(0, len(data), size):
        yield at == 0, at + size >= len(data), data[at : at + size]
