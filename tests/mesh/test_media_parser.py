"""The short way for media, held against nats-py's own parser and a client that only notes what it is told."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.errors import ProtocolError

from services.mesh.media_parser import MAX_LINE_BYTES, MediaParser

PAYLOADS = st.binary(max_size=60) | st.sampled_from([b"MSG media 1 3\r\n", b"\r\n", b"", b"PING\r\n"])


class Client:
    """Where nats-py's parser goes with what it read."""

    def __init__(self) -> None:
        self.told: list[tuple[int, bytes]] = []
        self.pings = 0

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes) -> None:
        self.told.append((sid, data))

    async def _process_ping(self) -> None:
        self.pings += 1


@given(
    st.lists(st.tuples(st.integers(1, 3), PAYLOADS, st.sampled_from(["", "inbox.7 ", None])), max_size=12), st.data()
)
def test_however_the_stream_is_cut_media_goes_the_short_way_and_all_else_to_nats_py(
    messages: list[tuple[int, bytes, str | None]], data: st.DataObject
) -> None:
    stream = b""
    for sid, payload, reply in messages:
        if reply is None:
            stream += b"PING\r\n"
        stream += f"MSG media.{sid} {sid} {reply or ''}{len(payload)}\r\n".encode() + payload + b"\r\n"
    client, taken = Client(), list[tuple[int, bytes]]()
    parser = MediaParser(client, lambda: None)  # type: ignore[arg-type]  # the part of it that parsers call
    parser.direct(1, lambda payload: taken.append((1, payload)))
    parser.direct(2, lambda payload: taken.append((2, payload)))

    async def feed() -> None:
        at = 0
        while at < len(stream):
            size = data.draw(st.integers(1, 80))
            await parser.parse(stream[at : at + size])
            at += size

    asyncio.run(feed())
    assert taken == [(sid, payload) for sid, payload, _ in messages if sid != 3]
    assert client.told == [(3, payload) for sid, payload, _ in messages if sid == 3]
    assert client.pings == sum(reply is None for _, _, reply in messages)


@pytest.mark.parametrize("stream", [b"MSG media.1 1 many\r\n", b"MSG 3\r\n", b"x" * (MAX_LINE_BYTES + 1)])
async def test_what_no_server_says_is_an_error_after_which_nats_py_connects_anew(stream: bytes) -> None:
    parser = MediaParser(Client(), lambda: None)  # type: ignore[arg-type]  # the part of it that parsers call
    with pytest.raises(ProtocolError):
        await parser.parse(stream)
