"""A service's own admin port: ``/livez``, ``/readyz`` and ``/metrics``.

It speaks as much of HTTP as probes and Prometheus do (RFC 9112): an HTTP library takes 10 MB of each process.
"""

import asyncio
import errno
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from services.contracts.errors import PantauError
from services.mesh.log import get_logger

log = get_logger()

Check = Callable[[], str | None]
"""None when well, else a text for people that says what is missing."""

_STARTING: Final = "service"
_SILENCE_SECONDS: Final = 75.0
"""So long a client may take for its next request, or for reading an answer."""
_MAX_HEAD_BYTES: Final = 16 * 1024
_MAX_CLIENTS: Final = 64
_TEXT: Final = "text/plain; charset=utf-8"
DEFAULT_PORTS: Final = {"registry": 9181, "ingest": 9182, "recorder": 9183, "wall": 9184, "sim": 9185}


class PortTakenError(PantauError):
    """Another program listens on the port."""

    code = "port-taken"


class Health:
    """What ``/livez`` and ``/readyz`` answer."""

    def __init__(self) -> None:
        self._checks: dict[str, Check] = {}
        self._notes: dict[str, Check] = {}

    def starting(self) -> None:
        """Not ready from now on, until the service adds its own check."""
        self._checks[_STARTING] = lambda: "it is starting"

    def add(self, name: str, check: Check) -> None:
        """Adds a readiness check. Liveness never depends on others: the loop that answers is the proof."""
        self._checks.pop(_STARTING, None)
        self._checks[name] = check

    def note(self, name: str, check: Check) -> None:
        """Adds what ``/readyz`` says besides, ready or not: of other services."""
        self._notes[name] = check

    def notes(self) -> dict[str, str]:
        """Note → what is to be said."""
        return {name: text for name, check in self._notes.items() if (text := check()) is not None}

    def missing(self) -> dict[str, str]:
        """Check → what is missing; empty when ready."""
        return {name: text for name, check in self._checks.items() if (text := check()) is not None}


def cannot_listen(error: OSError, host: str, port: int, what: str, setting: str) -> PortTakenError:
    """Why ``what`` does not listen there, and which ``setting`` is to be changed."""
    if error.errno == errno.EADDRINUSE:
        return PortTakenError(
            f"{what} cannot listen on {host}:{port}: the port is taken by another program; "
            f"stop it, or choose another port with {setting}"
        )
    return PortTakenError(f"{what} cannot listen on {host}:{port}: {error.strerror or error}")


class AdminServer:
    """Answers on one port, after `listen`.

    The oldest of more than `_MAX_CLIENTS` connections is closed: those who hold them keep no probe out.
    """

    def __init__(self, health: Health) -> None:
        self._health = health
        self._clients: dict[asyncio.Task[None], None] = {}
        """In the order in which they came."""
        self._server: asyncio.Server | None = None

    async def listen(self, host: str, port: int) -> int:
        """Returns the port. Raises `PortTakenError` that says what to change."""
        try:
            self._server = await asyncio.start_server(self._on_client, host, port, limit=_MAX_HEAD_BYTES)
        except OSError as error:
            raise cannot_listen(error, host, port, "the admin port", "PANTAU_ADMIN_PORT") from error
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Ends all connections."""
        if self._server is not None:
            self._server.close()
        for client in self._clients:
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)

    def _on_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._clients) >= _MAX_CLIENTS:
            oldest = next(iter(self._clients))
            del self._clients[oldest]
            oldest.cancel()
        client = asyncio.get_running_loop().create_task(self._serve(reader, writer), name="admin client")
        self._clients[client] = None
        client.add_done_callback(partial(self._on_end, writer))

    def _on_end(self, writer: asyncio.StreamWriter, client: asyncio.Task[None]) -> None:
        self._clients.pop(client, None)
        writer.transport.abort()  # closing would wait for a client that reads nothing

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(None) as silence:
                with suppress(EOFError, asyncio.LimitOverrunError):
                    keep = True
                    while keep:
                        silence.reschedule(asyncio.get_running_loop().time() + _SILENCE_SECONDS)
                        answer, keep = self._answer(await reader.readuntil(b"\r\n\r\n"))
                        writer.write(answer)
                        await writer.drain()
                writer.close()
                await writer.wait_closed()

    def _answer(self, head: bytes) -> tuple[bytes, bool]:
        """The answer to a request, and whether another may follow on the connection."""
        first, *lines = head.decode("latin-1").lstrip("\r\n").split("\r\n")  # empty lines before: RFC 9112, 2.2
        fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        words = first.split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            method, (status, kind, body) = "", (400, _TEXT, b"this is no HTTP request\n")
        elif (method := words[0]) not in ("GET", "HEAD"):
            status, kind, body = 405, _TEXT, b"it is asked with GET\n"
        else:
            path = words[1].partition("?")[0]
            if not path.startswith("/"):  # with scheme and host: RFC 9112, 3.2.2
                path = "/" + path.partition("://")[2].partition("/")[2]
            status, kind, body = self._page(path)
        has_body = fields.get("content-length", "0") != "0" or "transfer-encoding" in fields
        wanted = fields.get("connection", "close" if words[-1] == "HTTP/1.0" else "keep-alive").lower()
        keep = method in ("GET", "HEAD") and not has_body and wanted == "keep-alive"
        answer = (
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
            f"Connection: {'keep-alive' if keep else 'close'}\r\n" + ("Allow: GET, HEAD\r\n" if status == 405 else "")
        )
        return answer.encode() + b"\r\n" + (body if method != "HEAD" else b""), keep

    def _page(self, path: str) -> tuple[int, str, bytes]:
        """Status, media type and body."""
        if path == "/livez":
            return 200, _TEXT, b"ok\n"
        if path == "/readyz":
            missing = self._health.missing()
            text = "".join(f"{name}: {text}\n" for name, text in missing.items()) or "ok\n"
            text += "".join(f"{name}: {note}\n" for name, note in self._health.notes().items())
            return 503 if missing else 200, _TEXT, text.encode()
        if path == "/metrics":
            return 200, CONTENT_TYPE_LATEST, generate_latest()
        return 404, _TEXT, b"there are /livez, /readyz and /metrics\n"


async def start(health: Health, service: str, host: str, port: int | None) -> AdminServer:
    """Serves the admin port; without ``port`` the service's own, or the next free one above it."""
    server = AdminServer(health)
    candidates = [port] if port is not None else [*range(DEFAULT_PORTS[service], DEFAULT_PORTS[service] + 100, 10), 0]
    for candidate in candidates:
        try:
            bound = await server.listen(host, candidate)
        except PortTakenError:
            if candidate == candidates[-1]:
                raise
        else:
            log.info("admin.listening", host=host, port=bound)
            return server
    raise AssertionError("unreachable: the last candidate either listens or raises")
