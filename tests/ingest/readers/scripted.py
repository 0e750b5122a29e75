"""A server that answers an RTSP client's requests as a script says, for what no sound camera does."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Writes = Callable[[asyncio.StreamWriter, bytes], Awaitable[None]]
Answer = str | Writes | None
"""Status line and headers, joined by newlines, and behind an empty line the body; or its writer, given the request's
CSeq; or None: the connection is closed."""
VIDEO = "v=0\no=- 0 0 IN IP4 0.0.0.0\ns=x\nt=0 0\nm=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\na=control:t0\n"
AUDIO = "v=0\no=- 0 0 IN IP4 0.0.0.0\ns=x\nt=0 0\nm=audio 0 RTP/AVP 8\na=control:t0\n"


def described(sdp: str) -> str:
    """An answer to DESCRIBE."""
    length = len(sdp) + sdp.count("\n")  # lines end with two characters on the wire
    return f"200 OK\nContent-Type: application/sdp\nContent-Length: {length}\n\n{sdp}"


WELL: Mapping[str, Answer] = {
    "OPTIONS": "200 OK\nPublic: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN",
    "DESCRIBE": described(VIDEO),
    "SETUP": "200 OK\nSession: 1\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1",
    "PLAY": "200 OK\nSession: 1",
    "TEARDOWN": "200 OK",
}


@dataclass
class ScriptedServer:
    """What was asked of it."""

    port: int = 0
    connections: int = 0
    requests: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Its address."""
        return f"rtsp://127.0.0.1:{self.port}/s"


@asynccontextmanager
async def scripted(answers: Mapping[str, Answer] | Writes) -> AsyncIterator[ScriptedServer]:
    """Serves; ``answers`` go before those of a sound server, or write to each new connection by themselves."""
    served = ScriptedServer()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.connections += 1
        try:
            if callable(answers):
                await answers(writer, b"")
            else:
                await converse(reader, writer, {**WELL, **answers})
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client has hung up
        finally:
            writer.close()

    async def converse(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, all_answers: Mapping[str, Answer]
    ) -> None:
        while True:
            request = await reader.readuntil(b"\r\n\r\n")
            method = request.partition(b" ")[0].decode()
            served.requests.append(method)
            number = next(line for line in request.split(b"\r\n") if line.lower().startswith(b"cseq"))
            answer = all_answers.get(method)
            if answer is None:
                return
            if callable(answer):
                await answer(writer, number)
                continue
            head, _, body = answer.replace("\n", "\r\n").partition("\r\n\r\n")
            status, _, headers = head.partition("\r\n")
            text = f"RTSP/1.0 {status}\r\n{number.decode()}\r\n{headers}".rstrip() + f"\r\n\r\n{body}"
            writer.write(text.encode())

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    served.port = server.sockets[0].getsockname()[1]
    try:
        yield served
    finally:
        server.close()


async def silence(_writer: asyncio.StreamWriter, _number: bytes) -> None:
    """Says nothing more."""
    await asyncio.sleep(60)


async def endless_header(writer: asyncio.StreamWriter, number: bytes) -> None:
    """A header block without an end."""
    writer.write(b"RTSP/1.0 200 OK\r\n" + number + b"\r\n")
    while True:
        writer.write(b"X-Filler: " + b"a" * 100 + b"\r\n")
        await writer.drain()


async def endless_body(writer: asyncio.StreamWriter, number: bytes) -> None:
    """A body that is announced and never comes to its end."""
    head = b"\r\nContent-Type: application/sdp\r\nContent-Length: 900000000\r\n\r\n"
    writer.write(b"RTSP/1.0 200 OK\r\n" + number + head)
    while True:
        writer.write(b"a=x\r\n" * 100)
        await writer.drain()
        await asyncio.sleep(0.01)


async def redirect(writer: asyncio.StreamWriter, number: bytes) -> None:
    """To itself, again and again."""
    port = writer.get_extra_info("sockname")[1]
    writer.write(b"RTSP/1.0 302 Moved\r\n" + number + b"\r\nLocation: rtsp://127.0.0.1:%d/again\r\n\r\n" % port)


async def garbage(writer: asyncio.StreamWriter, _number: bytes) -> None:
    """No protocol at all."""
    writer.write(b"\x00\xff\x13rubbish\r\n" * 200)
    await writer.drain()


async def hang_up(_writer: asyncio.StreamWriter, _number: bytes) -> None:
    """Returns at once, and the connection is closed."""
