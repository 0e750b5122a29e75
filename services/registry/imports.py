"""Import jobs: kept in a bucket, with their files in another, so that any registry can go on with them.

A row changes a camera only where it differs from the row, so a job that was interrupted begins anew without harm: what
it had added is ``unchanged`` then. A file may hold passwords, which do not go into a bucket unsealed: it is sealed with
a key of its own, and that key to each registry that is there when the job begins. Where none of them comes back the job
has failed.
"""

import asyncio
import base64
import os
import secrets
import zlib
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from services.contracts.catalogue import ImportReport, ImportRequest, ImportRow
from services.contracts.errors import ConflictError, NotFoundError, PantauError, UnavailableError
from services.contracts.imports import (
    KEPT_SECONDS,
    ImportFile,
    ImportJob,
    ImportKey,
    ImportReportRows,
    ImportRows,
    ImportRowsQuery,
    ImportsList,
    ImportsQuery,
    KeptImport,
    RefusedRows,
)
from services.contracts.models import Id, WorkerLease
from services.contracts.permissions import Actor, Role
from services.mesh.buckets import Bucket
from services.mesh.clock import Clock
from services.mesh.leases import Workers
from services.mesh.log import get_logger
from services.mesh.sealing import PUBLIC_BYTES, OpeningKey, OpeningKeys, SealingError, key_id, load_keys, seal
from services.registry import rows
from services.registry.catalogue import CameraCatalogue
from services.registry.ledger import Ledgers

log = get_logger()

PROGRESS_SECONDS: Final = 0.5
LOOK_SECONDS: Final = 0.25
PATIENCE_SECONDS: Final = 60.0
"""Rows wait so long for a bus that takes none; what is left then is refused as unavailable."""
SILENT_SECONDS: Final = 5.0
"""Where a registry is silent for so long another that can open the file goes on with its job."""
GONE_SECONDS: Final = 60.0
"""Where it is silent for so long, and no other can open the file, the job has failed."""
KEY_FILE: Final = "registry-imports.key"
SEALS: Final = "seals"
"""In the detail of a registry's lease: the public key that files are sealed to, hexadecimal."""


def packed(text: str) -> str:
    """A text as it is kept: compressed, in letters."""
    return base64.b85encode(zlib.compress(text.encode())).decode()


def unpacked(text: str) -> str:
    """The text that `packed` was given; empty where that was nothing."""
    return zlib.decompress(base64.b85decode(text)).decode() if text else ""


def own_keys(path: Path) -> OpeningKeys:
    """This registry's keys, made where there are none. Where they cannot be kept they are this process's alone: after a
    restart another registry goes on with its jobs."""
    try:
        return load_keys(path)
    except (OSError, SealingError) as error:
        log.warning("import.key_not_kept", error=error)
        return OpeningKeys((OpeningKey(os.urandom(32)),))


def public_keys(registries: Iterable[WorkerLease]) -> set[bytes]:
    """Those that the leases tell. What another version says in their place is passed over."""
    found: set[bytes] = set()
    for lease in registries:
        with suppress(ValueError):
            found.add(bytes.fromhex(lease.detail.get(SEALS, "")))
    return {public for public in found if len(public) == PUBLIC_BYTES}


class Imports:
    """Answers the ``imports-*`` questions in every registry, and goes through the jobs that were given to this one."""

    def __init__(
        self,
        *,
        me: Id,
        ledgers: Ledgers,
        catalogue: CameraCatalogue,
        workers: Workers,
        files: Bucket[ImportFile],
        keys: OpeningKeys,
        clock: Clock,
    ) -> None:
        """``keys`` are this registry's own, whose public half its lease tells (`SEALS`)."""
        self._me = me
        self._ledger = ledgers.imports
        self._catalogue = catalogue
        self._workers = workers
        self._files = files
        self._keys = keys
        self._clock = clock

    async def start(self, request: ImportRequest, actor: Actor) -> ImportJob:
        """Takes a file; returns its job, which is gone through from now on."""
        now_us = self._clock.now_us()
        job = ImportJob(
            id=f"import-{secrets.token_hex(4)}",
            dry_run=request.dry_run,
            actor=actor.name,
            created_us=now_us,
            expires_us=now_us + KEPT_SECONDS * 1_000_000,
        )
        file_key = OpeningKey(os.urandom(32))
        recipients = public_keys(self._workers.alive("registry")) | {self._keys.current.public}
        boxes = {key_id(public): seal(public, file_key.private, job.id) for public in recipients}

        def sealed() -> str:
            return seal(file_key.public, zlib.compress(request.content.encode()), job.id)

        await self._files.put(job.id, ImportFile(box=await asyncio.to_thread(sealed)))
        kept = KeptImport(job=job, role=actor.role, runner=self._me, format=request.format, boxes=boxes)
        await self._ledger.create(job.id, kept)
        return job

    async def list_jobs(self, _query: ImportsQuery, _actor: Actor) -> ImportsList:
        """All jobs that are kept, the newest first."""
        now_us = self._clock.now_us()
        jobs = [kept.job for kept, _ in self._ledger.entries.values() if kept.job.expires_us > now_us]
        return ImportsList(imports=tuple(sorted(jobs, key=lambda job: (-job.created_us, job.id))))

    async def get(self, key: ImportKey, _actor: Actor) -> ImportJob:
        """One job; raises `NotFoundError`."""
        return (await self._kept(key.id)).job

    async def rows(self, query: ImportRowsQuery, _actor: Actor) -> ImportRows:
        """The results of its rows, once it is over; raises `NotFoundError`."""
        kept = await self._kept(query.id)
        text = await asyncio.to_thread(unpacked, kept.rows)
        found = ImportReportRows.model_validate_json(text).rows if text else ()
        wanted = [row for row in found if row.row > query.after and query.result in (None, row.result)]
        page = tuple(wanted[: query.limit])
        return ImportRows(rows=page, next=page[-1].row if len(wanted) > len(page) else None)

    async def refused(self, key: ImportKey, _actor: Actor) -> RefusedRows:
        """Its refused rows as CSV; raises `NotFoundError`, and `ConflictError` while it is not over."""
        kept = await self._kept(key.id)
        if not kept.job.over:
            raise ConflictError("it is not over yet; the refused rows are there when it is")
        return RefusedRows(csv=await asyncio.to_thread(unpacked, kept.refused_csv))

    async def cancel(self, key: ImportKey, _actor: Actor) -> ImportJob:
        """Ends a job where it runs, and forgets it where it is over. What was imported stays."""
        kept = await self._kept(key.id)
        revision = self._ledger.entries[key.id][1]
        if kept.job.over:
            await self._ledger.delete(key.id, revision)
            return kept.job
        job = kept.job.model_copy(update={"status": "cancelled", "finished_us": self._clock.now_us()})
        await self._ledger.update(key.id, kept.model_copy(update={"job": job}), revision)
        await self._forget_file(key.id)
        return job

    async def run(self) -> None:
        """Goes through jobs until it is cancelled."""
        tasks: dict[Id, asyncio.Task[None]] = {}
        try:
            while True:
                tasks = {key: task for key, task in tasks.items() if not task.done() or task.result()}
                for key, (kept, revision) in list(self._ledger.entries.items()):
                    if key not in tasks and not kept.job.over and self._is_mine(kept):
                        tasks[key] = asyncio.create_task(self._go_through(key, kept, revision), name=key)
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)

    def _is_mine(self, kept: KeptImport) -> bool:
        if kept.runner == self._me:
            return True
        can_open = any(key.id in kept.boxes for key in self._keys.keys)
        silent_seconds = self._workers.silent_seconds("registry", kept.runner)
        return silent_seconds > (SILENT_SECONDS if can_open else GONE_SECONDS)

    async def _content(self, key: Id, kept: KeptImport) -> str | None:
        """The file; None where it cannot be opened here, or is gone."""
        found = await self._files.get(key)
        private = self._keys.open(kept.boxes.items(), key)
        if found is None or private is None:
            return None
        opened = await asyncio.to_thread(OpeningKey(private).open, found[0].box, key)
        return zlib.decompress(opened).decode() if opened is not None else None

    async def _forget_file(self, key: Id) -> None:
        with suppress(UnavailableError):  # it is sealed, and expires with its bucket
            await self._files.delete(key)

    async def _go_through(self, key: Id, kept: KeptImport, revision: int) -> None:
        try:
            kept = kept.model_copy(
                update={"runner": self._me, "job": kept.job.model_copy(update={"status": "running"})}
            )
            revision = await self._write(key, kept, revision)
            content = await self._content(key, kept)
            if content is None:
                detail = "the registries that could open the file have ended; import it again"
                await self._ledger.update(key, self._failed(kept, detail), revision)
                return
            request = ImportRequest(format=kept.format, content=content, dry_run=kept.job.dry_run)
            await self._import(key, kept, revision, request)
            await self._forget_file(key)
        except ConflictError:
            log.info("import.ended", job=key)  # cancelled, or another registry has taken it
        except UnavailableError as error:
            log.warning("import.waiting", job=key, error=error)  # it is begun anew

    async def _write(self, key: Id, kept: KeptImport, revision: int) -> int:
        """Writes a job over ``revision``, or over what was written without an answer; returns its revision.

        Raises `ConflictError` where it has ended or is another registry's, and `UnavailableError`.
        """
        try:
            return await self._ledger.update(key, kept, revision)
        except ConflictError:
            entry = await self._ledger.fetch(key)
            if entry is None or entry[0].job.over or entry[0].runner != self._me:
                raise
            return await self._ledger.update(key, kept, entry[1])

    async def _import(self, key: Id, kept: KeptImport, revision: int, request: ImportRequest) -> None:
        counts: Counter[str] = Counter()
        total = 0

        def note(row: ImportRow, of: int) -> None:
            nonlocal total
            counts[row.result] += 1
            total = of

        actor = Actor(kept.job.actor, Role(kept.role))
        work = asyncio.create_task(self._catalogue.import_(request, actor, note, patience_seconds=PATIENCE_SECONDS))
        try:
            while not work.done():
                await asyncio.wait((work,), timeout=PROGRESS_SECONDS)
                if not work.done():
                    job = kept.job.model_copy(update={**counts, "rows": total, "done": counts.total()})
                    with suppress(UnavailableError):
                        revision = await self._write(key, kept.model_copy(update={"job": job}), revision)
            over = await self._over(kept, request, work)
        finally:
            work.cancel()
        while True:
            try:
                await self._write(key, over, revision)
            except UnavailableError:
                await asyncio.sleep(LOOK_SECONDS)
            else:
                return

    async def _over(self, kept: KeptImport, request: ImportRequest, work: asyncio.Task[ImportReport]) -> KeptImport:
        try:
            report = work.result()
        except PantauError as error:
            return self._failed(kept, error.message)
        counts = {name: getattr(report, name) for name in ("added", "updated", "unchanged", "refused")}
        ended = {
            "status": "done",
            "finished_us": self._clock.now_us(),
            "rows": len(report.rows),
            "done": len(report.rows),
            "notes": report.notes,
            "ignored": report.ignored,
        }
        refused = {row.row: row for row in report.rows if row.result == "refused"}

        def pack() -> tuple[str, str]:
            table = rows.refused_csv(request.format, request.content, refused) if refused else ""
            return packed(ImportReportRows(rows=report.rows).model_dump_json()), packed(table)

        kept_rows, refused_csv = await asyncio.to_thread(pack)
        job = kept.job.model_copy(update=ended | counts)
        return kept.model_copy(update={"job": job, "rows": kept_rows, "refused_csv": refused_csv})

    def _failed(self, kept: KeptImport, detail: str) -> KeptImport:
        ended = {"status": "failed", "finished_us": self._clock.now_us(), "detail": detail}
        return kept.model_copy(update={"job": kept.job.model_copy(update=ended)})

    async def _kept(self, key: Id) -> KeptImport:
        entry = self._ledger.entries.get(key) or await self._ledger.fetch(key)
        if entry is None or entry[0].job.expires_us <= self._clock.now_us():
            raise NotFoundError(f"there is no import {key!r}")
        return entry[0]
