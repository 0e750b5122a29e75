"""JSON answers."""

from collections.abc import Mapping

from aiohttp import web
from pydantic import BaseModel


def json_response(body: BaseModel, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """``body`` as JSON, under its own field names."""
    return web.Response(
        status=status,
        body=body.model_dump_json(by_alias=True).encode(),
        content_type="application/json",
        headers=headers,
    )
