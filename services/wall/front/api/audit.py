"""``/api/v1/audit``: who saw, exported, steered or changed what, and the signed digests of it."""

import csv
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from heapq import heappush, heappushpop
from typing import Annotated, Final

from aiohttp import hdrs, web
from pydantic import BaseModel, ConfigDict, Field

from services.contracts.audit_digest import DIGEST_ACTION, AuditDigest, AuditHash
from services.contracts.events import VIEW_PART_SECONDS, VIEWS, WALL_TARGET, Audit
from services.contracts.models import Id
from services.contracts.subjects import AUDIT_STREAM
from services.mesh.bus import Bus
from services.mesh.event_stream import StreamEvent, count_events, events_since, last_event_number
from services.wall.front.context import FrontRequest
from services.wall.front.http.errors import FieldError, FieldsError
from services.wall.front.http.route import json_response
from services.wall.front.http.times import Moment, TimeUs, rfc3339, to_us

MOST: Final = 10_000
_READ: Final = 200_000
"""Events that one question may have read: the newest."""
_START_US: Final = 5_000_000
_MARGIN_US: Final = (VIEW_PART_SECONDS + 600) * 1_000_000
"""A view is told at its beginning and its end, which lie so far apart at most."""
_BEGINNINGS: Final = frozenset(begin for begin, _ in VIEWS.values())
_ENDS: Final = frozenset(end for _, end in VIEWS.values())
COLUMNS: Final = (
    "at", "action", "person", "role", "address", "session", "site", "target", "since", "until", "from", "to", "detail",
)  # fmt: skip


class AuditQuery(BaseModel):
    """Which entries: all filters hold together. Of a view it is enough that it overlaps the time."""

    from_: Moment = Field(alias="from")
    to: Moment
    camera: Id | None = Field(default=None, description="Only what was done with this camera.")
    person: str | None = Field(default=None, max_length=128, description="Only what this account did.")
    action: tuple[Annotated[str, Field(max_length=64)], ...] = Field(
        default=(), max_length=64, description="Only these actions, as in viewed-live."
    )
    limit: int = Field(default=1000, ge=1, le=MOST, description="The newest so many.")


class AuditEntry(BaseModel):
    """One thing that somebody did."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)

    at: TimeUs
    action: str
    person: str
    role: str
    address: str
    session: str = Field(description="Id of the sign-in.")
    site: str
    target: str = Field(description="The camera or incident; or wall.")
    since: str = Field(default="", description="Of a view: when it began.")
    until: str = Field(default="", description="Of a view: when it ended; empty: it goes on, or its relay was lost.")
    detail: dict[str, str]


class AuditView(BaseModel):
    """Entries, newest first."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)

    entries: list[AuditEntry]
    complete: bool = Field(description="Whether these are all that match.")


class DigestEntry(BaseModel):
    """The digest of all entries since the one before, signed by a recorder."""

    at: TimeUs
    day: str
    entries: int
    sha256: str
    previous: str
    recorder: str
    key: str
    signature: str
    signed: bool = Field(description="Whether the signature is that key's over this digest.")
    matches: bool = Field(description="Whether the entries are still those: none is altered, added or missing.")


class DigestsView(BaseModel):
    """Digests, oldest first."""

    digests: list[DigestEntry]


async def audit(request: FrontRequest) -> web.Response:
    """Answers with `AuditView`."""
    return json_response(await _find(request, request.query(AuditQuery)))


async def audit_csv(request: FrontRequest) -> web.Response:
    """The same as a table for spreadsheets."""
    found = await _find(request, request.query(AuditQuery))
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(COLUMNS)
    for entry in found.entries:
        rest = dict(entry.detail)
        span = rest.pop("from", ""), rest.pop("to", "")
        told = "; ".join(f"{name}: {value}" for name, value in rest.items())
        table.writerow(
            _harmless(cell)
            for cell in (
                rfc3339(entry.at), entry.action, entry.person, entry.role, entry.address, entry.session, entry.site,
                entry.target, entry.since, entry.until, *span, told,
            )
        )  # fmt: skip
    return web.Response(
        body=text.getvalue().encode(),
        content_type="text/csv",
        charset="utf-8",
        headers={hdrs.CONTENT_DISPOSITION: 'attachment; filename="pantau-audit.csv"'},
    )


async def digests(request: FrontRequest) -> web.Response:
    """Answers with `DigestsView`: each is held against what the stream keeps now."""
    front = request.front
    made: list[tuple[Audit, AuditDigest]] = []
    async for event in events_since(front.bus, AUDIT_STREAM, Audit.filter_of(DIGEST_ACTION, WALL_TARGET), 0):
        entry = _read(event)
        if entry is not None and (digest := AuditDigest.of_detail(entry.detail)) is not None:
            made.append((entry, digest))
    hashes = [AuditHash() for _ in made]
    current = 0
    last = await last_event_number(front.bus, AUDIT_STREAM) if made else 0
    async for event in events_since(front.bus, AUDIT_STREAM, Audit.subject_filter(), 0, until=last):
        while current < len(made) and event.sequence > made[current][1].last:
            current += 1
        if current == len(made):
            break
        if event.sequence > made[current][1].after:
            hashes[current].add(event.message.subject, event.message.data)
    return json_response(
        DigestsView(
            digests=[
                DigestEntry(
                    at=entry.at_us,
                    day=digest.day,
                    entries=digest.entries,
                    sha256=digest.sha256,
                    previous=digest.previous,
                    recorder=entry.detail.get("recorder", ""),
                    key=entry.detail.get("key", ""),
                    signature=entry.detail.get("signature", ""),
                    signed=digest.is_signed(entry.detail.get("key", ""), entry.detail.get("signature", "")),
                    matches=(found.entries, found.hexdigest()) == (digest.entries, digest.sha256),
                )
                for (entry, digest), found in zip(made, hashes, strict=True)
            ]
        )
    )


async def _find(request: FrontRequest, query: AuditQuery) -> AuditView:
    from_us, to_us_ = to_us(query.from_), to_us(query.to)
    if to_us_ <= from_us:
        raise FieldsError([FieldError("to", "must be after from")])
    found, complete = await _matching(request, query, from_us, to_us_)
    detail = {"from": rfc3339(from_us), "to": rfc3339(to_us_), "person": query.person or "", "rows": str(found.count)}
    if not request.is_head:
        request.audit("audit-read", query.camera or WALL_TARGET, detail)
    return AuditView(entries=found.newest_first(), complete=complete and found.count <= query.limit)


class _Newest:
    """The newest ``limit`` of the entries that are added: all of a year do not fit into the memory."""

    def __init__(self, limit: int) -> None:
        self.count = 0
        """Of all that were added."""
        self._limit = limit
        self._kept: list[tuple[int, int, AuditEntry]] = []
        """A heap, the oldest first."""

    def add(self, entry: AuditEntry) -> None:
        self.count += 1
        push = heappush if len(self._kept) < self._limit else heappushpop
        push(self._kept, (entry.at, self.count, entry))

    def newest_first(self) -> list[AuditEntry]:
        return [entry for *_, entry in sorted(self._kept, reverse=True)]


async def _matching(request: FrontRequest, query: AuditQuery, from_us: int, to_us_: int) -> tuple[_Newest, bool]:
    """Entries of the time, and whether all were read."""
    found = _Newest(query.limit)
    going: dict[str, AuditEntry] = {}
    """Views by their number whose end has not been read."""
    subject = Audit.filter_of("*", query.camera or "*")

    async def count(at_us: int) -> int:
        return await count_events(request.front.bus, AUDIT_STREAM, subject, at_us)

    begin_us = max(from_us - _MARGIN_US, 0)
    end_us = max(min(to_us_ + _MARGIN_US, request.front.clock.now_us()), begin_us)
    since_us = await start_of_newest(count, begin_us, end_us, _READ)
    complete = since_us == begin_us
    async for number, entry in _entries(request.front.bus, subject, since_us):
        if number >= _READ:
            complete = False
            break
        if entry.at_us > to_us_ + _MARGIN_US:
            break
        if query.person not in (None, entry.actor):
            continue
        view = entry.detail.get("view", "")
        wanted = not query.action or entry.action in query.action
        if entry.action in _BEGINNINGS:
            if entry.at_us < to_us_:
                going[view] = _shown(entry)
        elif entry.action in _ENDS:
            begun = going.pop(view, None)
            if wanted and entry.at_us >= from_us and (begun is not None or entry.at_us < to_us_):
                found.add(_shown(entry))
        elif wanted and from_us <= entry.at_us < to_us_:
            found.add(_shown(entry))
    for entry_going in going.values():
        if not query.action or entry_going.action in query.action:
            found.add(entry_going)
    return found, complete


async def start_of_newest(count: Callable[[int], Awaitable[int]], from_us: int, to_us_: int, most: int) -> int:
    """From when on there are at most ``most`` entries up to ``to_us_``, to some seconds: ``from_us`` where it can be.

    ``count``: how many entries there are since a time.
    """
    most += await count(to_us_)
    if await count(from_us) <= most:
        return from_us
    early, late = from_us, to_us_
    while late - early > _START_US:
        middle = (early + late) // 2
        if await count(middle) > most:
            early = middle
        else:
            late = middle
    return late


async def _entries(bus: Bus, subject: str, since_us: int) -> AsyncIterator[tuple[int, Audit]]:
    number = 0
    async for event in events_since(bus, AUDIT_STREAM, subject, since_us):
        if (entry := _read(event)) is not None:
            yield number, entry
            number += 1


def _read(event: StreamEvent) -> Audit | None:
    try:
        return Audit.unpack(event.message.data)
    except ValueError:  # of another version
        return None


def _shown(entry: Audit) -> AuditEntry:
    detail: Mapping[str, str] = entry.detail
    return AuditEntry(
        at=entry.at_us,
        action=entry.action,
        person=entry.actor,
        role=entry.role,
        address=entry.address,
        session=entry.session,
        site=entry.site,
        target=entry.target,
        since=detail.get("since", ""),
        until=detail.get("until", ""),
        detail={name: value for name, value in detail.items() if name not in ("since", "until", "view")},
    )


def _harmless(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell
