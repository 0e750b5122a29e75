"""The stamp in every H.264 and H.265 access unit of a simulated camera: its camera, frame number and sending time.

It is an SEI message ``user_data_unregistered`` (H.264 annex D.2.7, H.265 annex D.3.7) whose text has a fixed length
and is hexadecimal ASCII, so it can be overwritten in a finished packet and needs no emulation prevention bytes. Tests
and benches measure latency and losses with it, without decoding a picture.
"""

import re
from typing import Final, NamedTuple

UUID: Final = bytes.fromhex("7a1d5c3e9b4f4e2c8d617061f3746175")
"""Marks our SEI messages. No byte of it is below 4, so it cannot begin an emulated start code."""

TEXT_BYTES: Final = 4 + 10 + 14
_PLACEHOLDER: Final = b"0" * TEXT_BYTES
_PAYLOAD_TYPE: Final = 5
_RBSP_STOP: Final = b"\x80"
_TEXT: Final = re.compile(rb"[0-9a-f]{%d}" % TEXT_BYTES)


class Stamp(NamedTuple):
    """The content of a stamp."""

    camera: int
    """The camera's number: 1 for ``cam-001``."""
    frame: int
    """Counts every frame since the simulator's start, in sending order; modulo the loop's length it is the position
    in the loop (which the picture's marker shows, in presentation order)."""
    sent_us: int
    """Unix time in microseconds when the frame was handed to the socket."""


def text(camera: int, frame: int, sent_us: int) -> bytes:
    """The fixed-length text of a stamp."""
    return b"%04x%010x%014x" % (camera, frame, sent_us)


def h264_sei() -> bytes:
    """A whole H.264 SEI NAL unit with an empty stamp; its text stands at `text_offset`."""
    return b"\x06" + _message()


def hevc_sei() -> bytes:
    """A whole H.265 prefix SEI NAL unit with an empty stamp."""
    return b"\x4e\x01" + _message()


def text_offset(data: bytes) -> int:
    """Where in ``data`` the text of the first stamp begins; -1 when there is none."""
    found = data.find(UUID)
    return -1 if found < 0 else found + len(UUID)


def parse(payload: bytes) -> Stamp | None:
    """The stamp in an access unit of any framing (Annex B, length-prefixed, RTP); None without one."""
    begin = text_offset(payload)
    if begin < 0:
        return None
    found = _TEXT.match(payload, begin)
    if found is None:
        return None
    digits = found.group()
    return Stamp(int(digits[:4], 16), int(digits[4:14], 16), int(digits[14:], 16))


def _message() -> bytes:
    return bytes((_PAYLOAD_TYPE, len(UUID) + TEXT_BYTES)) + UUID + _PLACEHOLDER + _RBSP_STOP
