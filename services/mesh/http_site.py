"""Where an aiohttp application listens."""

from collections.abc import Callable

from aiohttp import web

from services.mesh.admin import cannot_listen


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
        raise cannot_listen(error, host, port, what, setting) from error
    return int(runner.addresses[-1][1])
