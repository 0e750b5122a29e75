"""``/api/v1/audit/export.jsonl``: the audit's entries byte for byte, with the signed digests among them."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import date
from typing import Final

from aiohttp import hdrs, web
from pydantic import BaseModel, Field

from services.contracts.audit_digest import DIGEST_ACTION, AuditDigest
from services.contracts.audit_export import AuditRecord, end_line, entry_line, head_line
from services.contracts.events import WALL_TARGET, Audit
from services.contracts.subjects import AUDIT_STREAM
from services.mesh.bus import Bus
from services.mesh.event_stream import events_since, stream_fill
from services.wall.front.context import FrontRequest
from services.wall.front.http.downloads import send_chunks
from services.wall.front.http.errors import FieldError, FieldsError

JSON_LINES: Final = "application/jsonl"
_CHUNK_BYTES: Final = 64 * 1024


class AuditExportQuery(BaseModel):
    """Which days, in UTC, as digests have them; default: all that is kept."""

    from_: date | None = Field(default=None, alias="from", description="The first day, as in 2026-03-01.")
    to: date | None = Field(default=None, description="The last day.")


async def audit_export(request: FrontRequest) -> web.StreamResponse:
    """Streams the file: whole digests, with all that they cover."""
    query, front = request.query(AuditExportQuery), request.front
    if query.from_ is not None and query.to is not None and query.to < query.from_:
        raise FieldsError([FieldError("to", "must not be before from")])
    after, last = await _borders(front.bus, query)
    headers = {
        hdrs.CONTENT_TYPE: JSON_LINES,
        hdrs.CONTENT_DISPOSITION: 'attachment; filename="pantau-audit.jsonl"',
    }
    if not request.is_head:
        days = {"from": str(query.from_ or ""), "to": str(query.to or "")}
        request.audit("audit-read", WALL_TARGET, {"as": "export.jsonl", **days})
    async with aclosing(_lines(front.bus, front.home, after, last)) as chunks:
        with request.cut_at_sign_out():
            return await send_chunks(request.raw, web.StreamResponse(headers=headers), chunks)


async def _borders(bus: Bus, query: AuditExportQuery) -> tuple[int, int]:
    """Entries above the first number and up to the second: from the digest before the days to that of the last day."""
    fill = await stream_fill(bus, AUDIT_STREAM)
    after, last = fill.first - 1, fill.last
    async for event in events_since(bus, AUDIT_STREAM, Audit.filter_of(DIGEST_ACTION, WALL_TARGET), 0, until=fill.last):
        record = AuditRecord(event.sequence, event.message.subject, event.message.data).event()
        digest = AuditDigest.of_detail(record.detail) if record is not None else None
        if digest is None:
            continue
        if query.from_ is not None and digest.day < query.from_.isoformat():
            after = max(after, digest.last)
        elif query.to is not None and digest.day >= query.to.isoformat():
            last = event.sequence
            break
    return after, last


async def _lines(bus: Bus, site: str, after: int, last: int) -> AsyncGenerator[bytes, None]:
    chunk, entries = bytearray(head_line(site, after, last)), 0
    async for event in events_since(bus, AUDIT_STREAM, Audit.subject_filter(), 0, after=after, until=last):
        chunk += entry_line(AuditRecord(event.sequence, event.message.subject, event.message.data))
        entries += 1
        if len(chunk) >= _CHUNK_BYTES:
            yield bytes(chunk)
            chunk.clear()
    yield bytes(chunk) + end_line(entries)
