"""Sends a body of unknown length as fast as the client takes it; a failure on the way is visible to the client."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from aiohttp import hdrs, web

from services.contracts.errors import PantauError
from services.mesh.log import get_logger
from services.mesh.metrics import counter

log = get_logger()

STALLED_SECONDS: Final = 60.0
"""A client that reads nothing for so long is disconnected."""

_sent = counter("front_download_bytes", "Bytes of footage sent")
_broken = counter("front_downloads_broken", "Downloads that broke off: a recorder failed, or the client took nothing")


async def send_chunks(
    request: web.Request, response: web.StreamResponse, chunks: AsyncIterator[bytes]
) -> web.StreamResponse:
    """Sends ``chunks`` as ``response``.

    HEAD is answered with the headers alone, and nothing is made. A failure before the first chunk is raised and has its
    own status. A later one cuts the connection before the body's end, so that the client sees that the body is
    incomplete.
    """
    if request.method == hdrs.METH_HEAD:
        await response.prepare(request)
        return response
    first = await anext(chunks, b"")
    await response.prepare(request)
    try:
        await _write(response, first)
        async for chunk in chunks:
            await _write(response, chunk)
        await response.write_eof()
    except (PantauError, TimeoutError) as error:
        _broken.inc()
        log.warning("front.download_broken", path=request.path, error=error)
        if request.transport is not None:
            request.transport.abort()
    return response


async def _write(response: web.StreamResponse, chunk: bytes) -> None:
    async with asyncio.timeout(STALLED_SECONDS):
        await response.write(chunk)
    _sent.inc(len(chunk))
