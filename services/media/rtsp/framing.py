"""One RTSP connection's bytes: messages and interleaved packets told apart (RFC 2326, 10.12), garbage skipped.

An interleaved packet stands behind ``$``, a channel and a 16-bit length. Nothing marks where garbage ends or whether a
length is true, so a packet is believed for one of three reasons:

1. its channel's receiver knows it (payload type, SSRC and sequence number are those it expects);
2. it is whole, of a usual size, and what follows it begins like a packet or a message;
3. it is whole, of a usual size, looks like RTP or RTCP, and nothing follows it yet.

Anything else is garbage: the next place where a packet that a receiver knows, or a response, begins is looked for byte
by byte, so that a false length costs the packets it lies on and never the bytes it claims.

The framer holds one message at most: `MAX_HEAD_BYTES` and `MAX_BODY_BYTES`, or one packet.
"""

import re
from collections.abc import Callable
from struct import Struct
from typing import Final, Protocol

from services.media.rtsp.messages import RtspMessage, RtspRequest, RtspResponse, RtspSyntaxError, parse_head

MAX_HEAD_BYTES: Final = 16_384
MAX_BODY_BYTES: Final = 65_536
MAX_PLAYING_BODY_BYTES: Final = 8192
"""Once packets come, what announces more is garbage: waiting for it would swallow packets."""
BUFFER_BYTES: Final = 320 * 1024
"""Room for a keyframe of 240 KiB, which waits for its rest, and a read behind it. Pages that no data reaches cost
no memory."""
LEAST_ROOM_BYTES: Final = 64 * 1024
USUAL_PACKET_BYTES: Final = 4096
"""A length up to this, or up to twice the longest packet so far, is believed before what follows it was seen."""
MAX_GARBAGE_BYTES: Final = 512 * 1024
"""So much garbage in a row, and the connection cannot be read any further."""
HEADER_BYTES: Final = 4
_LEAST_RTP_BYTES: Final = 12
_LEAST_RTCP_BYTES: Final = 4
_JUDGED_BYTES: Final = HEADER_BYTES + _LEAST_RTP_BYTES
_DOLLAR: Final = 0x24
_MARKER: Final = 0x80
_PREFIX: Final = Struct(">BBH")
_RTP: Final = Struct(">BBHII")
_MAX_GAP_BYTES: Final = 1024
"""Of garbage between the first two packets."""
_REQUEST_START: Final = re.compile(rb"[A-Z_]{3,16} [^\r\n]{1,2000} RTSP/\d")
_RESPONSE_START: Final = re.compile(rb"RTSP/\d\.\d +\d{3}[ \r\n]")
_RESPONSE_WORD: Final = b"RTSP/"
_LEAST_RESPONSE_BYTES: Final = 13
_MAX_LINE_BYTES: Final = 2048
_MEDIA_LINE: Final = re.compile(rb"(?:^|[\r\n])m=.*[\r\n]")
_HEAD_END: Final = re.compile(rb"\r\n\r\n|\n\n|\n\r\n")


class ChannelReceiver(Protocol):
    """What takes the packets of one interleaved channel. It must copy what it keeps: the buffer is used again."""

    def receive(self, buffer: bytearray, start: int, end: int) -> bool:
        """Takes the packet if it is certainly one of this receiver's; else does nothing and returns False."""

    def receive_unknown(self, buffer: bytearray, start: int, end: int) -> None:
        """Takes, or drops, a packet that `receive` did not know, now that it is known to be a packet."""

    def knows(self, buffer: bytearray, start: int, end: int) -> bool:
        """Whether a packet of this receiver's begins at ``start``; at least 12 bytes of it are there."""

    @property
    def started(self) -> bool:
        """Whether it has taken a packet, so that `knows` means that one's sender."""


ReceivePictures = Callable[[bytearray, int, int], int]
"""``receive_pictures(buffer, at, end)`` takes pictures whose interleaved packets lie whole between the two places;
returns where the first packet stands that it leaves; the complement where that packet waits for the rest of its
picture."""


class RtspFramer:
    """Feed it bytes as they come; it calls receivers for packets and ``on_message`` for messages, in their order.

    Bytes come by `feed`, or without a copy through `room` and `wrote`. Either raises `RtspSyntaxError` where the
    connection cannot be read any further.
    """

    def __init__(
        self,
        on_message: Callable[[RtspMessage], None],
        on_stray: Callable[[int, bytearray, int, int], None] | None = None,
    ) -> None:
        """``on_stray`` gets the packets of channels that have no receiver: channel, buffer, start, end."""
        self.garbage_bytes = 0
        """What was skipped in all."""
        self.packets_seen = False
        self.pictures_first = False
        """Behind a picture's last packet, and another track's, pictures are looked for again."""
        self._on_message = on_message
        self._on_stray = on_stray
        self._receivers: dict[int, ChannelReceiver] = {}
        self._receive: dict[int, Callable[[bytearray, int, int], bool]] = {}
        self._pictures: dict[int, ReceivePictures] = {}
        self._buffer = bytearray(BUFFER_BYTES)
        self._view = memoryview(self._buffer)
        self._begin = 0
        self._end = 0
        self._garbage_run = 0
        self._longest = USUAL_PACKET_BYTES // 2
        self._previous = 0
        """How long the last packet was."""
        self._messages = 0
        self._head_seen = 0
        self._head: tuple[RtspMessage, int] | None = None
        """A message whose head is parsed, and how many bytes of body are still to come behind `_begin`."""

    def add_receiver(
        self, channel: int, receiver: ChannelReceiver, receive_pictures: ReceivePictures | None = None
    ) -> None:
        """Packets of ``channel`` go to ``receiver`` from now on; those of whole pictures may go to its
        ``receive_pictures``."""
        self._receivers[channel] = receiver
        self._receive[channel] = receiver.receive
        self._pictures.pop(channel, None)
        if receive_pictures is not None:
            self._pictures[channel] = receive_pictures

    @property
    def pending_bytes(self) -> int:
        """Bytes of a message or packet that is not whole yet."""
        return self._end - self._begin

    def room(self) -> memoryview:
        """Where the next bytes are to be written; never empty."""
        return self._view[self._end :]

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Takes bytes."""
        at = 0
        while at < len(data):
            piece = data[at : at + BUFFER_BYTES - self._end]
            self._buffer[self._end : self._end + len(piece)] = piece
            at += len(piece)
            self.wrote(len(piece))

    def wrote(self, count: int) -> None:
        """``count`` bytes were written into `room`."""
        self._end += count
        self._parse()
        self.tidy()

    @property
    def buffer(self) -> bytearray:
        """What `room` is a part of."""
        return self._buffer

    @property
    def span(self) -> tuple[int, int]:
        """Where in the buffer what is not taken begins and ends."""
        return self._begin, self._end

    @span.setter
    def span(self, span: tuple[int, int]) -> None:
        self._begin, self._end = span

    @property
    def within_message(self) -> bool:
        """Whether a message's body is still to come."""
        return self._head is not None

    def go_on(self, begin: int, end: int, *, took: bool) -> int:
        """Somebody else has written into the buffer, up to ``end``, and ``took`` packets in front of ``begin``; what
        is there is looked at. Returns where it begins then. `tidy` is to follow."""
        if took:
            self._garbage_run = 0
            self.packets_seen = True
        self._begin, self._end = begin, end
        self._parse()
        return self._begin

    def tidy(self) -> None:
        """Makes room behind what is left."""
        if self._begin == self._end:
            self._begin = self._end = 0
        elif BUFFER_BYTES - self._end < LEAST_ROOM_BYTES and self._begin:
            rest = self._end - self._begin
            self._buffer[:rest] = self._buffer[self._begin : self._end]
            self._begin, self._end = 0, rest

    def _parse(self) -> None:
        buffer, end, unpack, receivers = self._buffer, self._end, _PREFIX.unpack_from, self._receive
        while True:
            at = self._begin
            if at + HEADER_BYTES < end and (receive_pictures := self._pictures.get(buffer[at + 1])) is not None:
                at = receive_pictures(buffer, at, end)
                if at < 0:
                    self._begin = ~at
                    return
            # The way of nearly every packet: whole, and known to its channel's receiver.
            while at + HEADER_BYTES < end:
                dollar, channel, length = unpack(buffer, at)
                if dollar != _DOLLAR:
                    break
                behind = at + HEADER_BYTES + length
                if behind > end or (behind < end and buffer[behind] != _DOLLAR):
                    break
                receive = receivers.get(channel)
                if receive is None or not receive(buffer, at + HEADER_BYTES, behind):
                    break
                self._previous = length
                if length > self._longest:
                    self._longest = length
                begins = self.pictures_first and (buffer[at + 5] & _MARKER or channel not in self._pictures)
                at = behind
                if begins:
                    break
            if at != self._begin:
                self._begin = at
                self._garbage_run = 0
                self.packets_seen = True
                if self.pictures_first:
                    continue
            if not self._step():
                return

    def _step(self) -> bool:
        """Takes what is not the usual packet; False where more bytes are needed."""
        if self._head is not None:
            return self._take_body()
        at, end, buffer = self._begin, self._end, self._buffer
        while at < end and buffer[at] in b"\r\n":
            at += 1
        self._begin = at
        if at == end:
            return False
        if buffer[at] == _DOLLAR:
            return self._take_unusual_packet()
        return self._take_head()

    def settle(self) -> None:
        """Nothing came for a while: a description whose length is wrong, or not said, is taken as it is."""
        if self._head is None or self.packets_seen:
            return
        body = bytes(self._buffer[self._begin : self._end])
        if _MEDIA_LINE.search(body):
            self._head = self._head[0], len(body)
            self._parse()

    # packets

    def _take_unusual_packet(self) -> bool:
        at, end, buffer = self._begin, self._end, self._buffer
        if end - at <= HEADER_BYTES:
            return False
        _, channel, length = _PREFIX.unpack_from(buffer, at)
        start = at + HEADER_BYTES
        behind = start + length
        usual = length <= max(USUAL_PACKET_BYTES, 2 * self._longest)
        receiver = self._receivers.get(channel)
        seen = min(end, behind) - start
        # Only what a receiver knows may be long; and of an unknown channel only what looks like RTP.
        looks_like_rtp = seen < 1 or buffer[start] & 0xC0 == 0x80
        known = receiver is not None and seen >= _LEAST_RTP_BYTES and receiver.knows(buffer, start, end)
        if behind > end:
            if seen < _LEAST_RTP_BYTES:
                return False if usual or seen < 1 or looks_like_rtp else self._skip_garbage()
            if not (known or (usual and looks_like_rtp)):
                return self._skip_garbage()
            if usual:
                return False
            return self._skip_garbage() if self._find_packet(start + _LEAST_RTP_BYTES, within=True) >= 0 else False
        follows = self._begins_something(behind)
        if follows is False and known and usual and (believed := self._stands_alone(start, behind)) is not False:
            if believed is None:
                return False
            follows = True
        if follows is False or (follows is None and not (usual and looks_like_rtp)):
            # Nothing that follows a packet stands behind it: its length is false, or it is none.
            if follows is None and (known or looks_like_rtp):
                return False
            return self._skip_garbage()
        self._begin = behind
        self._garbage_run = 0
        self.packets_seen = True
        if receiver is None:
            if self._on_stray is not None and looks_like_rtp and length >= _LEAST_RTP_BYTES:
                self._on_stray(channel, buffer, start, behind)
        elif not receiver.receive(buffer, start, behind):
            receiver.receive_unknown(buffer, start, behind)
        self._longest = max(self._longest, length)
        self._previous = length
        return True

    def _stands_alone(self, start: int, behind: int) -> bool | None:
        """Whether a known packet with garbage behind it is as long as it says; None where too little is there to say.

        It is not where the next packet begins within it. Before its receiver has started, the next one of its numbers
        must stand a little behind it, since anything may look like a first packet.
        """
        if 0 <= self._find_packet(start + _LEAST_RTP_BYTES, within=True) < behind:
            return False
        receiver = self._receivers[self._buffer[start - HEADER_BYTES + 1]]
        at = self._find_packet(behind, within=True)
        if receiver.started:
            return not self._is_too_short(start, behind, at)
        _, _, number, _, source = _RTP.unpack_from(self._buffer, start)
        if at < 0 or at + _JUDGED_BYTES > self._end:
            return None if self._end - behind < _MAX_GAP_BYTES else False
        _, _, following, _, other = _RTP.unpack_from(self._buffer, at + HEADER_BYTES)
        return at - behind < _MAX_GAP_BYTES and other == source and (following - number) & 0xFFFF == 1

    def _is_too_short(self, start: int, behind: int, following: int) -> bool:
        """Whether a packet that ends at ``behind`` by its length goes on until the next one at ``following``: then it
        is as long as that one or the one before. Of other packets what is cut cannot be told from garbage behind them.
        """
        if following < 0:
            return False
        _, channel, length = _PREFIX.unpack_from(self._buffer, following)
        same = length if channel == self._buffer[start - HEADER_BYTES + 1] else 0
        return following - start in (same, self._previous) and following > behind

    def _begins_something(self, at: int) -> bool | None:
        """Whether a packet, a message or an empty line begins at ``at``; None where too little is there to say."""
        left = self._end - at
        if left <= 0:
            return None
        first = self._buffer[at]
        if first == _DOLLAR:
            if left < 2:
                return None
            if self._buffer[at + 1] in self._receivers:
                return True
            return None if left <= HEADER_BYTES else self._buffer[at + HEADER_BYTES] & 0xC0 == 0x80
        if first in b"\r\n":
            return True
        text = bytes(self._buffer[at : min(self._end, at + _MAX_LINE_BYTES)])
        if text[:5] == _RESPONSE_WORD[: len(text)]:
            if len(text) < _LEAST_RESPONSE_BYTES:
                return None if not text[5:].strip(b"0123456789. ") else False
            return _RESPONSE_START.match(text) is not None
        if _REQUEST_START.match(text):
            return True
        return None if b"\n" not in text and re.fullmatch(rb"[A-Z_]{1,16}( [^\r\n]*)?\r?", text) else False

    def _find_packet(self, begin: int, *, within: bool = False) -> int:
        """The first place from ``begin`` on where a packet that its receiver knows, or a response, begins; else -1.

        ``within``: no message is looked for, since what is searched is a packet's payload.
        """
        buffer, end = self._buffer, self._end
        at = buffer.find(b"$", begin, end)
        while 0 <= at <= end - _JUDGED_BYTES:
            receiver = self._receivers.get(buffer[at + 1])
            length = buffer[at + 2] << 8 | buffer[at + 3]
            if receiver is not None and length >= _LEAST_RTCP_BYTES and receiver.knows(buffer, at + HEADER_BYTES, end):
                break
            at = buffer.find(b"$", at + 1, end)
        else:
            at = -1
        if not within:
            message = _RESPONSE_START.search(buffer, begin, end)
            if message is not None and (at < 0 or message.start() < at):
                return message.start()
        return at

    def _skip_garbage(self) -> bool:
        """Goes on with the next packet or message behind the present place."""
        begin = self._begin
        found = self._find_packet(begin + 1)
        if found >= 0:
            self._begin = found
        else:
            # What could be the beginning of a packet stays, from its dollar on.
            dollar = self._buffer.find(b"$", max(begin + 1, self._end - _JUDGED_BYTES + 1), self._end)
            self._begin = dollar if dollar >= 0 else self._end
        skipped = self._begin - begin
        self.garbage_bytes += skipped
        self._garbage_run += skipped
        if self._garbage_run > MAX_GARBAGE_BYTES:
            raise RtspSyntaxError("nothing but garbage came for half a mebibyte")
        return found >= 0

    # messages

    def _take_head(self) -> bool:
        at, end = self._begin, self._end
        begins = self._begins_something(at)
        if begins is None and end - at < _MAX_LINE_BYTES:
            return False
        if not begins:
            if not self._messages and not self.packets_seen:
                raise RtspSyntaxError("what came first is no RTSP")
            return self._skip_garbage()
        ends = _HEAD_END.search(self._buffer, at + max(0, self._head_seen - 4), min(end, at + MAX_HEAD_BYTES))
        if ends is None:
            self._head_seen = end - at
            if end - at < MAX_HEAD_BYTES:
                return False
            if self.packets_seen:
                return self._skip_garbage()
            raise RtspSyntaxError(f"a message's head is over {MAX_HEAD_BYTES} bytes")
        self._head_seen = 0
        head = bytes(self._buffer[at : ends.start()])
        try:
            message = parse_head(head)
        except RtspSyntaxError:
            if self.packets_seen:
                return self._skip_garbage()
            raise
        if self.packets_seen and b"\0" in head:
            return self._skip_garbage()  # packets lie in what began like a message
        body_bytes = _content_length(message)
        if not body_bytes and not self.packets_seen and _is_described(message):
            body_bytes = MAX_BODY_BYTES  # it says no length: `settle` finds the end
        if self.packets_seen and body_bytes > MAX_PLAYING_BODY_BYTES:
            return self._skip_garbage()
        if body_bytes > MAX_BODY_BYTES:
            raise RtspSyntaxError(f"a message announces a body of {body_bytes} bytes")
        self._begin = ends.end()
        self._garbage_run = 0
        self._messages += 1
        self._head = message, body_bytes
        # What has no body is told at once: pictures behind it may be taken without coming back here.
        return self._take_body() if not body_bytes else True

    def _take_body(self) -> bool:
        assert self._head is not None
        message, body_bytes = self._head
        if self._end - self._begin < body_bytes:
            return False
        if body_bytes:
            body = bytes(self._buffer[self._begin : self._begin + body_bytes])
            self._begin += body_bytes
            if isinstance(message, RtspRequest):
                message = RtspRequest(message.method, message.url, message.headers, body, message.version)
            else:
                message = RtspResponse(message.status, message.headers, body)
        self._head = None
        self._on_message(message)
        return True


def _is_described(message: RtspMessage) -> bool:
    """Whether a description follows, of a length that is not said."""
    if not isinstance(message, RtspResponse) or message.status != 200 or "content-length" in message.headers:
        return False
    return message.headers.get("content-type").lower().startswith("application/sdp")


def _content_length(message: RtspMessage) -> int:
    text = message.headers.get("content-length", "0").strip()
    if not text.isascii() or not text.isdigit():
        return 0
    return int(text[:12])
