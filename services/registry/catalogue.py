"""The catalogue: cameras and credentials in two buckets, written by compare-and-set. Each change sends events."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from services.contracts.catalogue import (
    CameraEntry,
    CameraInput,
    CameraKey,
    CameraList,
    CameraQuery,
    CameraRemovalReply,
    CameraRemove,
    CameraUpdate,
    ImportReport,
    ImportRequest,
    ImportRow,
    RowProblem,
)
from services.contracts.errors import ConflictError, NotFoundError, PantauError, UnavailableError
from services.contracts.events import Audit, CameraRegistered, CameraRemoved, CameraUpdated
from services.contracts.models import Camera, Credentials, Id
from services.contracts.permissions import Actor
from services.mesh.backoff import Backoff
from services.mesh.clock import Clock, sleep
from services.mesh.event_stream import EventOutbox
from services.registry import changes, rows
from services.registry.changes import CameraChange
from services.registry.ledger import Ledgers
from services.registry.secrets import SecretStore

CONCURRENT_ROWS: Final = 16
"""Rows of an import that are written concurrently."""
ATTEMPTS: Final = 5
_ROW_AGAIN_SECONDS: Final = (0.5, 5.0)
"""Until a row that was not taken is tried again: at first, and at most."""


class CameraCatalogue:
    """Answers the ``cameras-*`` questions in every registry; compare-and-set settles concurrent writes."""

    def __init__(
        self,
        *,
        home: Id,
        ledgers: Ledgers,
        secrets: SecretStore,
        outbox: EventOutbox,
        clock: Clock,
    ) -> None:
        self._home = home
        self._cameras = ledgers.cameras
        self._sites = ledgers.sites
        self._secrets = secrets
        self._states = ledgers.states
        self._told = ledgers.told
        self._outbox = outbox
        self._clock = clock

    async def list(self, query: CameraQuery, _actor: Actor) -> CameraList:
        """The cameras that match ``query``, by id."""
        found = [key for key in sorted(self._cameras.entries) if _matches(self._cameras.entries[key][0], query)]
        page = found[: query.limit]
        return CameraList(
            cameras=tuple(self._entry(key) for key in page), next=page[-1] if len(found) > len(page) else None
        )

    async def get(self, key: CameraKey, _actor: Actor) -> CameraEntry:
        """One camera; raises `NotFoundError`."""
        if key.id not in self._cameras.entries:
            await self._cameras.fetch(key.id)  # another registry may have added it a moment ago
        return self._entry(key.id)

    async def add(self, given: CameraInput, actor: Actor) -> CameraEntry:
        """Adds a camera; raises `ConflictError` where its id is taken."""
        change = changes.added(given, self._home)
        try:
            await self._create(change, actor)
        except ConflictError as error:
            raise ConflictError(
                f"there is a camera {change.camera.id} already; change it, or choose another id"
            ) from error
        return self._entry(change.camera.id)

    async def update(self, update: CameraUpdate, actor: Actor) -> CameraEntry:
        """Changes a camera; raises `NotFoundError`, and `ConflictError` where the revision is not the last."""

        async def change(camera: Camera, revision: int) -> None:
            user = await self._credentials(camera)
            await self._change(changes.patched(camera, user, update.patch), camera, revision, actor)

        await self._at(update.id, update.revision, change)
        return self._entry(update.id)

    async def remove(self, remove: CameraRemove, actor: Actor) -> CameraRemovalReply:
        """Removes a camera and its credentials; raises as `update` does."""

        async def delete(camera: Camera, revision: int) -> None:
            changes.require_own(camera)
            await self._cameras.delete(camera.id, revision)
            await self._secrets.delete(camera.id)
            self._outbox.post(
                CameraRemoved(site=camera.site, at_us=self._clock.now_us(), camera=camera.id, actor=actor.name)
            )
            self._audit(camera, "camera-removed", actor, {"name": camera.name})

        await self._at(remove.id, remove.revision, delete)
        return CameraRemovalReply(id=remove.id)

    async def import_(
        self,
        request: ImportRequest,
        actor: Actor,
        on_row: Callable[[ImportRow, int], None] | None = None,
        *,
        patience_seconds: float = 0.0,
    ) -> ImportReport:
        """Adds and updates cameras row by row. A refused row does not stop the others.

        ``on_row(result, rows in all)`` is called after each. A row that the bus does not take is tried again until none
        was taken for ``patience_seconds``; so is one that conflicts with a camera that changed meanwhile, as a row does
        that was written without an answer.
        """
        table = await asyncio.to_thread(rows.parse, request.format, request.content)
        first: dict[str, int] = {}
        for row in table.rows:
            if not row.problem:
                first.setdefault(row.id, row.number)
        limit = asyncio.Semaphore(CONCURRENT_ROWS)
        taken_at = self._clock.monotonic()

        async def one(row: rows.ParsedRow) -> ImportRow:
            if not row.problem and first[row.id] != row.number:
                problem = f"is the same camera as row {first[row.id]}; give each an id of its own"
                return _refused(row, problem, "same-camera")
            async with limit:
                nonlocal taken_at
                again = Backoff(*_ROW_AGAIN_SECONDS)
                while True:
                    await self._outbox.room(2 * CONCURRENT_ROWS)  # each row has events, of which none may be dropped
                    known = self._cameras.entries.get(row.id)
                    result = await self._import_row(row, actor, dry_run=request.dry_run)
                    if result.code not in _ROW_CODES.values():
                        taken_at = self._clock.monotonic()
                    elif self._clock.monotonic() - taken_at < patience_seconds:
                        await sleep(self._clock, again.next_seconds())
                        if await self._may_be_taken(result, known):
                            continue
                    return result

        async def told(row: rows.ParsedRow) -> ImportRow:
            result = await one(row)
            if on_row is not None:
                on_row(result, len(table.rows))
            return result

        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(told(row)) for row in table.rows]
        return _summary([task.result() for task in running], table, dry_run=request.dry_run)

    async def _import_row(self, row: rows.ParsedRow, actor: Actor, *, dry_run: bool) -> ImportRow:
        if row.problem:
            return _refused(row, row.problem, row.code, row.column)
        known = self._cameras.entries.get(row.id)
        before = known[0] if known else None
        try:
            user = await self._credentials(before) if before else None
            change = changes.from_row(row.id, row.given, before, user, self._home)
            if before is None or known is None:
                if not dry_run:
                    await self._create(change, actor)
                return ImportRow(row=row.number, id=row.id, result="added")
            if not change.fields:
                return ImportRow(row=row.number, id=row.id, result="unchanged")
            if not dry_run:
                await self._change(change, before, known[1], actor)
            return ImportRow(row=row.number, id=row.id, result="updated", detail=", ".join(change.fields))
        except PantauError as error:
            code = _ROW_CODES.get(error.code, "invalid")
            return _refused(row, error.message, code, _field_of(error.message) if code == "invalid" else "")

    async def _may_be_taken(self, refused: ImportRow, known: tuple[Camera, int] | None) -> bool:
        """Whether a row may be taken at another try: a conflict where the camera is not as ``known`` any more."""
        try:
            found = await self._cameras.fetch(refused.id)  # what is known is old where an answer was lost
        except UnavailableError:
            return True
        return refused.code != "conflict" or (found and found[1]) != (known and known[1])

    def _entry(self, key: str) -> CameraEntry:
        camera, revision = self._known(key)
        return CameraEntry(
            camera=changes.masked(camera), revision=revision, state=self._told.newer(key, self._states.get(key))
        )

    def _known(self, key: str) -> tuple[Camera, int]:
        entry = self._cameras.entries.get(key)
        if entry is None:
            raise NotFoundError(f"there is no camera {key!r}")
        return entry

    async def _at(self, key: str, revision: int | None, act: Callable[[Camera, int], Awaitable[None]]) -> None:
        """Acts on the camera's last revision. Without a ``revision`` it tries again after a concurrent write."""
        for attempt in range(ATTEMPTS):
            entry = await self._cameras.fetch(key)
            if entry is None:
                raise NotFoundError(f"there is no camera {key!r}")
            if revision not in (None, entry[1]):
                raise ConflictError(f"{key} is at revision {entry[1]} by now, not {revision}; read it again")
            try:
                await act(*entry)
            except ConflictError:
                if revision is not None or attempt == ATTEMPTS - 1:
                    raise
            else:
                return

    async def _credentials(self, camera: Camera) -> Credentials | None:
        return await self._secrets.get(camera.id) if camera.has_credentials else None

    async def _create(self, change: CameraChange, actor: Actor) -> None:
        camera = change.camera
        self._require_own_site(camera)
        await self._written(camera, self._cameras.create(camera.id, camera))
        if change.credentials is not None:
            await self._secrets.put(camera.id, change.credentials)
        else:
            await self._secrets.delete(camera.id)  # an interrupted removal may have left them
        self._outbox.post(
            CameraRegistered(
                site=camera.site,
                at_us=self._clock.now_us(),
                camera=camera.id,
                camera_name=camera.name,
                actor=actor.name,
            )
        )
        self._audit(camera, "camera-added", actor, {"name": camera.name})

    async def _written(self, camera: Camera, write: Awaitable[object]) -> None:
        """Waits for a write of ``camera``. One whose answer was lost counts where it was taken."""
        try:
            await write
        except UnavailableError:  # the answer was lost, or the question
            entry = await self._cameras.fetch(camera.id)
            if entry is None or entry[0] != camera:
                raise

    async def _change(self, change: CameraChange, before: Camera, revision: int, actor: Actor) -> None:
        if not change.fields:
            return
        camera = change.camera
        self._require_own_site(camera)
        # The camera is written first: its compare-and-set lets one writer win, and only the winner writes credentials.
        await self._written(camera, self._cameras.update(camera.id, camera, revision))
        if "credentials" in change.fields:
            if change.credentials is not None:
                await self._secrets.put(camera.id, change.credentials)
            else:
                await self._secrets.delete(camera.id)
        now_us = self._clock.now_us()
        if camera.site != before.site:  # a subscriber of the old site alone sees it no more
            self._outbox.post(CameraRemoved(site=before.site, at_us=now_us, camera=camera.id, actor=actor.name))
        self._outbox.post(
            CameraUpdated(
                site=camera.site,
                at_us=now_us,
                camera=camera.id,
                camera_name=camera.name,
                changed=change.fields,
                actor=actor.name,
            )
        )
        self._audit(camera, "camera-updated", actor, {"changed": ", ".join(change.fields)})

    def _require_own_site(self, camera: Camera) -> None:
        if self._sites.get(camera.site) is not None:
            raise ConflictError(f"{camera.site} is a joined site: its owner adds cameras to it")

    def _audit(self, camera: Camera, action: str, actor: Actor, detail: dict[str, str]) -> None:
        self._outbox.post(
            Audit.by(
                actor,
                site=camera.site,
                at_us=self._clock.now_us(),
                target=camera.id,
                action=action,
                detail=detail,
            )
        )


def _matches(camera: Camera, query: CameraQuery) -> bool:
    behind = query.after is None or camera.id > query.after
    return behind and camera.matches(site=query.site, tag=query.tag, text=query.text)


_ROW_CODES: Final[dict[str, RowProblem]] = {"conflict": "conflict", "unavailable": "unavailable"}
"""Of errors that are no fault of the row."""


def _refused(row: rows.ParsedRow, detail: str, code: RowProblem, column: str = "") -> ImportRow:
    return ImportRow(row=row.number, id=row.id, result="refused", detail=detail, code=code, column=column)


def _field_of(message: str) -> str:
    """The field that a validation error is about: its text begins with the path. Empty where it is about several."""
    path, colon, rest = message.partition(":")
    alone = colon and "; " not in rest and path.replace(".", "").replace("_", "").isalnum()
    return path if alone else ""


def _summary(results: Iterable[ImportRow], table: rows.ParsedTable, *, dry_run: bool) -> ImportReport:
    ordered = sorted(results, key=lambda row: row.row)
    counts = {name: sum(row.result == name for row in ordered) for name in ("added", "updated", "unchanged", "refused")}
    return ImportReport(rows=tuple(ordered), notes=table.notes, ignored=table.ignored, dry_run=dry_run, **counts)
