"""A service's own admin port: ``/livez``, ``/readyz`` and ``/metrics``."""

import errno
from collections.abc import Callable
from typing import Final

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from services.contracts.errors import PantauError
from services.mesh.log import get_logger

log = get_logger()

Check = Callable[[], str | None]
"""None when well, else a text for people that says what is missing."""

_STARTING: Final = "service"
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


async def listen(
    runner: web.AppRunner,
    host: str,
    port: int,
    *,
    what: str,
    setting: str,
    make_site: Callable[[web.AppRunner, str, int], web.BaseSite] = web.TCPSite,
) -> int:
    """Starts a site; returns the port. Raises `PortTakenError` that says what to change."""
    try:
        await make_site(runner, host, port).start()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortTakenError(
                f"{what} cannot listen on {host}:{port}: the port is taken by another program; "
                f"stop it, or choose another port with {setting}"
            ) from error
        raise PortTakenError(f"{what} cannot listen on {host}:{port}: {error.strerror or error}") from error
    return int(runner.addresses[-1][1])


async def start(health: Health, service: str, host: str, port: int | None) -> web.AppRunner:
    """Serves the admin port; without ``port`` the service's own, or the next free one above it."""

    async def livez(_request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_request: web.Request) -> web.Response:
        missing = health.missing()
        text = "".join(f"{name}: {text}\n" for name, text in missing.items()) or "ok\n"
        text += "".join(f"{name}: {note}\n" for name, note in health.notes().items())
        return web.Response(text=text, status=503 if missing else 200)

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.add_routes([web.get("/livez", livez), web.get("/readyz", readyz), web.get("/metrics", metrics)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    candidates = [port] if port is not None else [*range(DEFAULT_PORTS[service], DEFAULT_PORTS[service] + 100, 10), 0]
    for candidate in candidates:
        try:
            bound = await listen(runner, host, candidate, what="the admin port", setting="PANTAU_ADMIN_PORT")
            log.info("admin.listening", host=host, port=bound)
            return runner
        except PortTakenError:
            if candidate == candidates[-1]:
                await runner.cleanup()
                raise
    raise AssertionError("unreachable: the last candidate either listens or raises")
