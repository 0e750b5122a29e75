"""The stream from a libav process: what was encoded is decoded, however it is cut; anything else is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.contracts.frames import Codec
from services.contracts.models import Reason
from services.ingest.readers.libav_messages import (
    MAX_BODY_BYTES,
    LibavMessage,
    LibavMessages,
    decode_request,
    encode_alive,
    encode_close,
    encode_end,
    encode_opened,
    encode_packet,
    encode_read,
)
from services.ingest.readers.source import Packet, ReaderEnd, Source, Track

TIMES = st.none() | st.integers(-(2**62), 2**62)
PACKETS = st.builds(
    Packet,
    st.sampled_from(["video", "audio"]),
    st.binary(max_size=300),
    TIMES,
    TIMES,
    st.integers(0, 2**62),
    TIMES,
    st.booleans(),
    st.integers(0, 0xFFFF),
)
TRACKS = (Track("video", Codec.HEVC, b"\1\2"), Track("audio", Codec.PCM_ALAW, b"", 16_000))


class Said:
    """What came out."""

    def __init__(self) -> None:
        self.all: list[object] = []
        self.messages = LibavMessages(
            on_packet=self.all.append,
            on_opened=lambda tracks, transport, bursts: self.all.append((tracks, transport, bursts)),
            on_end=self.all.append,
        )


@given(st.lists(PACKETS, max_size=5), st.integers(1, 400))
def test_what_was_said_is_heard_however_it_is_cut(packets: list[Packet], chunk: int) -> None:
    end = ReaderEnd(Reason.BAD_STREAM, "none")
    stream = encode_alive() + encode_opened(TRACKS, "udp", bursts=True)
    stream += b"".join(encode_packet(packet) for packet in packets) + encode_alive() + encode_end(end)
    said = Said()
    for at in range(0, len(stream), chunk):
        said.messages.feed(stream[at : at + chunk])
    assert said.all == [(TRACKS, "udp", True), *packets, end]


def test_a_length_that_cannot_be_is_refused_before_it_is_waited_for() -> None:
    head = bytearray(encode_alive())
    head[4:8] = (MAX_BODY_BYTES + 1).to_bytes(4, "little")
    with pytest.raises(ValueError, match="not a libav"):
        Said().messages.feed(bytes(head))


@pytest.mark.parametrize("kind", [LibavMessage.OPENED, LibavMessage.END])
@pytest.mark.parametrize("body", [b"", b"\x01", b"\x92\x01\x02", b"\x93\x91\x90\xa0\xc2", b"\xc1"])
def test_what_says_something_else_is_refused(kind: LibavMessage, body: bytes) -> None:
    head = bytearray(encode_alive())
    head[0], head[4:8] = kind, len(body).to_bytes(4, "little")
    with pytest.raises(ValueError, match="not a libav"):
        Said().messages.feed(bytes(head) + body)


def test_requests_come_as_they_were_sent() -> None:
    source = Source("rtsp://h/1", "udp", "u", "p", audio=True, open_seconds=3)
    assert decode_request(encode_read(7, source)) == (7, source, False)
    assert decode_request(encode_close(7, now=True)) == (7, None, True)
