"""Has the embedded nats-server take its certificate anew when the files change."""

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final

from services.mesh.log import get_logger
from services.mesh.nats_server import NatsServer, NatsServerError

log = get_logger()
LOOK_SECONDS: Final = 2.0

_Files = tuple[Path, Path]
_Print = tuple[tuple[int, int, int], ...]


async def follow_certificate(server: NatsServer, files: _Files, text: Callable[[], str]) -> None:
    """Looks at certificate and key until it is cancelled. A pair that does not fit is told once, and left. Where
    nats-server cannot take it now, it is tried again.

    ``text`` makes the configuration, which nats-server reads again, too: an account that was revoked since the start
    would come back with the former one.
    """
    seen = await asyncio.to_thread(_print, files)
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        found = await asyncio.to_thread(_print, files)
        if found == seen or not server.running:
            continue
        try:
            await asyncio.to_thread(_check, files)
        except (OSError, ssl.SSLError) as error:
            log.warning("nats.certificate_kept", error=error)
            seen = found
            continue
        try:
            server.configure(text())
            server.reload()
        except (OSError, NatsServerError) as error:  # it has just ended, or its disk is full
            log.warning("nats.certificate_later", error=error)
            continue
        seen = found
        log.info("nats.certificate_taken", file=str(files[0]))


def _print(files: _Files) -> _Print | None:
    try:
        return tuple((stat.st_ino, stat.st_size, stat.st_mtime_ns) for stat in map(Path.stat, files))
    except OSError:
        return None


def _check(files: _Files) -> None:
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(*files)
