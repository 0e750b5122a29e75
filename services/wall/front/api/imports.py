"""``/api/v1/imports``: files of cameras as jobs of the registry, which a page may leave and find again."""

from typing import TypeVar

from aiohttp import hdrs, web
from pydantic import BaseModel, Field

from services.contracts import subjects
from services.contracts.catalogue import ImportRequest, ImportRow
from services.contracts.imports import (
    ImportJob,
    ImportKey,
    ImportRows,
    ImportRowsQuery,
    ImportsList,
    ImportsQuery,
    RefusedRows,
    RowResult,
)
from services.contracts.models import Model
from services.mesh.rpc import call as ask
from services.wall.front.api.cameras import ImportQuery
from services.wall.front.context import FrontRequest
from services.wall.front.http.route import json_response

R = TypeVar("R", bound=Model)
ASK_SECONDS = 30.0
"""To read a large file may take a while."""


class ImportRowsFilter(BaseModel):
    """Which rows."""

    result: RowResult | None = Field(default=None, description="Only rows with this result.")
    limit: int = Field(default=1000, ge=1, le=5000, description="How many at most.")
    cursor: int = Field(default=0, ge=0, description="`next` of the page before.")


class ImportRowsView(BaseModel):
    """Rows in the order of the file."""

    rows: list[ImportRow]
    next: int | None
    """The cursor of the next page; None: this was the last one."""


async def start_import(request: FrontRequest) -> web.Response:
    """Takes a file; its job is gone through from now on."""
    query = request.query(ImportQuery)
    question = ImportRequest.of(await request.body(), request.body_type(), dry_run=query.dry_run)
    job = await _ask(request, "start", question, ImportJob)
    return json_response(job, status=202, headers={hdrs.LOCATION: f"/api/v1/imports/{job.id}"})


async def list_imports(request: FrontRequest) -> web.Response:
    """The imports of the last day, the newest first."""
    return json_response(await _ask(request, "list", ImportsQuery(), ImportsList))


async def get_import(request: FrontRequest) -> web.Response:
    """How far one is."""
    return json_response(await _ask(request, "get", _key(request), ImportJob))


async def import_rows(request: FrontRequest) -> web.Response:
    """What became of its rows, once it is over."""
    query = request.query(ImportRowsFilter)
    question = ImportRowsQuery(id=_key(request).id, result=query.result, after=query.cursor, limit=query.limit)
    page = await _ask(request, "rows", question, ImportRows)
    return json_response(ImportRowsView(rows=list(page.rows), next=page.next))


async def refused_rows(request: FrontRequest) -> web.Response:
    """The refused rows as a file, to be mended and imported again."""
    key = _key(request)
    table = await _ask(request, "refused", key, RefusedRows)
    headers = {hdrs.CONTENT_DISPOSITION: f'attachment; filename="{key.id}-refused.csv"'}
    return web.Response(text=table.csv, content_type="text/csv", charset="utf-8", headers=headers)


async def end_import(request: FrontRequest) -> web.Response:
    """Ends one where it runs, and forgets it where it is over."""
    await _ask(request, "cancel", _key(request), ImportJob)
    return web.Response(status=204)


def _key(request: FrontRequest) -> ImportKey:
    return ImportKey(id=request.path_id("import"))


async def _ask(request: FrontRequest, verb: str, question: Model, reply: type[R]) -> R:
    endpoint = subjects.rpc(request.front.home, "registry", f"imports-{verb}")
    return await ask(request.front.bus, endpoint, question, reply, actor=request.actor, timeout_seconds=ASK_SECONDS)
