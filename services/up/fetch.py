"""Asks this machine's own services over HTTP: one request a connection, as HTTP/1.0 has it (RFC 1945).

An HTTP library would take 10 MB of a process that asks for little.
"""

import asyncio
import re
import ssl
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from services.contracts.errors import UnavailableError

MAX_ANSWER_BYTES: Final = 16 * 1024 * 1024
_LENGTH: Final = re.compile(rb"^content-length:[ \t]*(\d+)", re.IGNORECASE | re.MULTILINE)


class Fetched(NamedTuple):
    """An answer."""

    status: int
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether the server did what was asked."""
        return self.status < 400


async def fetch(url: str, *, timeout_seconds: float, posted: bytes | None = None) -> Fetched:
    """GETs ``url``, or POSTs JSON to it. A certificate is not checked: it need not name this address.

    Raises `UnavailableError` where nothing answers that speaks HTTP, or not to the end.
    """
    where = urlsplit(url)
    if not where.hostname:
        raise UnavailableError(f"{url!r} names no server")
    trusting = None
    if where.scheme == "https":
        trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    try:
        async with asyncio.timeout(timeout_seconds):
            port = where.port or (443 if trusting else 80)
            reader, writer = await asyncio.open_connection(where.hostname, port, ssl=trusting)
            try:
                writer.write(_request(where.netloc, where.path + (f"?{where.query}" if where.query else ""), posted))
                answer = await _all(reader)
            finally:
                writer.close()
    except (OSError, TimeoutError) as error:
        raise UnavailableError(f"{url} does not answer: {error or 'in time'}") from error
    head, ended, body = answer.partition(b"\r\n\r\n")
    words = head.split(b" ", 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
        raise UnavailableError(f"{url} does not speak HTTP")
    length = _LENGTH.search(head)
    if not ended or (length is not None and len(body) < int(length[1])):
        raise UnavailableError(f"{url} ended within its answer")
    return Fetched(int(words[1]), body)


def _request(host: str, target: str, posted: bytes | None) -> bytes:
    lines = [f"{'GET' if posted is None else 'POST'} {target or '/'} HTTP/1.0", f"Host: {host}", "Accept: */*"]
    if posted is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(posted)}"]
    return "\r\n".join([*lines, "", ""]).encode() + (posted or b"")


async def _all(reader: asyncio.StreamReader) -> bytes:
    pieces, size = [], 0
    while size < MAX_ANSWER_BYTES and (piece := await reader.read(65536)):
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces)
