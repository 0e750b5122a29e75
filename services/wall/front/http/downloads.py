"""Footage on its way to a client: sent as fast as it is taken, broken off visibly, and written down."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Final

from aiohttp import web

from services.contracts.errors import PantauError
from services.contracts.events import Audit
from services.contracts.models import Id
from services.mesh.log import get_logger
from services.mesh.metrics import counter
from services.wall.front.http.request import Call

log = get_logger()

STALLED_SECONDS: Final = 60.0
"""A client that takes nothing for so long is given up."""

_sent = counter("front_download_bytes", "Bytes of footage sent")
_broken = counter("front_downloads_broken", "Downloads that broke off: a recorder failed, or the client took nothing")


async def send(call: Call, response: web.StreamResponse, chunks: AsyncIterator[bytes]) -> web.StreamResponse:
    """Sends ``chunks`` as ``response``.

    What fails before the first chunk is raised and has its own status. Later the connection is cut before the body's
    end, which tells the client that this is not all.
    """
    first = await anext(chunks, b"")
    await response.prepare(call.request)
    try:
        await _write(response, first)
        async for chunk in chunks:
            await _write(response, chunk)
        await response.write_eof()
    except (PantauError, TimeoutError) as error:
        _broken.inc()
        log.warning("front.download_broken", path=call.request.path, error=error)
        if call.request.transport is not None:
            call.request.transport.abort()
    return response


async def _write(response: web.StreamResponse, chunk: bytes) -> None:
    async with asyncio.timeout(STALLED_SECONDS):
        await response.write(chunk)
    _sent.inc(len(chunk))


def audit(call: Call, action: str, camera_id: Id, detail: Mapping[str, str]) -> None:
    """Writes down what the signed-in person did with a camera's footage."""
    front = call.front
    camera = front.cameras.get(camera_id)
    front.outbox.post(
        Audit(
            site=camera.site if camera else front.home,
            at_us=front.clock.now_us(),
            target=camera_id,
            action=action,
            actor=call.actor.name,
            role=call.actor.role,
            detail=dict(detail),
        )
    )
