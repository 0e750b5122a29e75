"""JSON answers."""

from collections.abc import Mapping
from typing import Final

from aiohttp import hdrs, web
from pydantic import BaseModel

from services.wall.front.http.errors import PreconditionFailedError

COMPRESS_BYTES: Final = 4096


def json_response(body: BaseModel, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """``body`` as JSON, under its own field names."""
    data = body.model_dump_json(by_alias=True).encode()
    response = web.Response(status=status, body=data, content_type="application/json", headers=headers)
    if len(data) > COMPRESS_BYTES:
        response.enable_compression()  # where the client takes it
    return response


def expected_revision(request: web.Request) -> int | None:
    """The revision that a change names by ``If-Match``; None where any will do. Raises `PreconditionFailedError`."""
    given = request.headers.get(hdrs.IF_MATCH, "*").strip()
    if given == "*":
        return None
    if not given.strip('"').isdecimal():
        raise PreconditionFailedError(f"If-Match must be the ETag of an earlier answer, not {given}")
    return int(given.strip('"'))
