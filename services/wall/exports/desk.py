"""Takes export jobs out of the bucket, has each made by a process, keeps the files until they expire, and sends them.

| a job that is | when | becomes |
|---|---|---|
| waiting, of nobody or of this folder | a place is free, and its pause is over | running, of this folder |
| running, of this folder | its process is none of this desk's (this one was restarted) | running, from its beginning |
| waiting or running, of another folder | nothing was heard of it for `SILENT_SECONDS` | of this folder, and made anew |
| running | its process made the file | done |
| running | its process failed, and may succeed later | waiting, `MAX_ATTEMPTS` times, or while its site is away |
| running | its process failed otherwise | failed |
| waiting or running | somebody asked for its end | cancelled |
| done | its file is gone | failed |
| any | it expired | forgotten, and so is its file |

Each failure has one owner: of a process that dies this desk, of a desk that dies its next start or another folder's
desk, of a bus that is away the write that is tried again.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from subprocess import PIPE
from typing import Final

from pydantic import ValidationError

from services.contracts import subjects
from services.contracts.errors import ConflictError, NotFoundError, UnavailableError
from services.contracts.exports import (
    EXPORT_FILE,
    SERVICE,
    ExportFileOpened,
    ExportFileQuestion,
    ExportJob,
    ExportStatus,
)
from services.contracts.models import Id
from services.contracts.permissions import Actor, Right
from services.footage.owners import SiteAwayError
from services.mesh import rpc, transfer
from services.mesh.buckets import Bucket, Mirror
from services.mesh.child import ChildProcess
from services.mesh.lifecycle import Service
from services.mesh.log import get_logger
from services.mesh.metrics import counter
from services.mesh.tasks import end
from services.wall.exports.folder import ExportFolder
from services.wall.exports.making import ExportMade, ExportOrder, ExportReport
from services.wall.settings import WallSettings

log = get_logger()

LOOK_SECONDS: Final = 0.5
TAKE_AGAIN_SECONDS: Final = 5.0
"""How often it is tried to get the folder while another process has it, or it cannot be written."""
SWEEP_SECONDS: Final = 60.0
PROGRESS_SECONDS: Final = 1.0
"""A job's entry is written at most so often."""
ALIVE_SECONDS: Final = 10.0
"""…and at least so often while it is made."""
SILENT_SECONDS: Final = 60.0
MAX_ATTEMPTS: Final = 12
PAUSES_SECONDS: Final = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
END_SECONDS: Final = 0.5
REPORT_BYTES: Final = 1024 * 1024
"""The longest has 64 cameras that were left out, each with its reason twice."""
_CHUNK_BYTES: Final = 1024 * 1024
_CHANGES: Final = 8
_HOUR_US: Final = 3600 * 1_000_000

_ended = counter("exports_ended", "Export jobs that ended", "status")


class LostJobError(Exception):
    """The job was forgotten, or another folder took it."""


def is_tried_again(report: ExportReport, attempts: int) -> bool:
    """Whether a job goes on after ``attempts`` of which the last failed. A line may be cut for days."""
    return report.again and (attempts < MAX_ATTEMPTS or report.code == SiteAwayError.code)


class ExportDesk:
    """One wall's share of the exports. `run` works until it is cancelled."""

    def __init__(self, service: Service, settings: WallSettings) -> None:
        self._service = service
        self._settings = settings
        self._clock = service.clock
        self._running: dict[Id, asyncio.Task[None]] = {}
        self._not_before: dict[Id, float] = {}
        self._heard: dict[Id, tuple[int, float]] = {}
        """Job → the revision of its entry, and when this desk first saw that."""
        self._swept_at = float("-inf")

    async def run(self) -> None:
        """Takes the folder, then works."""
        folder = await self._take_folder()
        try:
            self._bucket = await Bucket.open(self._service.bus, subjects.EXPORTS_BUCKET, ExportJob)
            self._jobs = Mirror(self._bucket)
            self._folder = folder
            following = self._service.tasks.create_task(self._jobs.run(), name="exports mirror")
            answering = await rpc.serve(
                self._service.bus,
                self._service.tasks,
                home=self._service.home,
                service=SERVICE,
                worker=folder.name,
                endpoints=[
                    rpc.Endpoint(EXPORT_FILE, ExportFileQuestion, self._send_file, (Right.CLIP, Right.EVIDENCE))
                ],
            )
            try:
                await self._jobs.ready.wait()
                log.info("exports.ready", folder=str(folder.path), maker=folder.name)
                while True:
                    await self._look()
                    await asyncio.sleep(LOOK_SECONDS)
            finally:
                await end([following, *self._running.values()])
                if self._service.bus.connected:
                    await answering.stop()
        finally:
            folder.close()

    async def _take_folder(self) -> ExportFolder:
        data, said = self._service.settings.data, False
        while True:
            try:
                folder = await asyncio.to_thread(ExportFolder.take, data)
            except OSError as error:
                folder = None
                if not said:
                    log.warning("exports.no_folder", data=str(data), error=error)
                said = True
            if folder is not None:
                return folder
            await asyncio.sleep(TAKE_AGAIN_SECONDS)

    async def _look(self) -> None:
        """One look at all jobs. What the bus does not take now is done at a later look."""
        for job_id, (job, revision) in sorted(self._jobs.entries.items(), key=lambda item: item[1][0].created_us):
            try:
                await self._look_at(job_id, job, revision)
            except (LostJobError, ConflictError, UnavailableError) as error:
                log.debug("export.later", job=job_id, error=error)
            except OSError as error:
                log.warning("exports.disk", job=job_id, error=error)
        for job_id in [job_id for job_id in self._running if job_id not in self._jobs.entries]:
            await self._stop(job_id)  # it was forgotten
        if self._clock.monotonic() - self._swept_at >= SWEEP_SECONDS:
            self._swept_at = self._clock.monotonic()
            try:
                await self._sweep()
            except OSError as error:
                log.warning("exports.disk", error=error)

    async def _look_at(self, job_id: Id, job: ExportJob, revision: int) -> None:
        now_us, now = self._clock.now_us(), self._clock.monotonic()
        others = job.maker not in ("", self._folder.name)
        if self._heard.get(job_id, (0, 0.0))[0] != revision:
            self._heard[job_id] = (revision, now)
        if job.expires_us + (_HOUR_US if others else 0) < now_us:
            await self._stop(job_id)
            await self._bucket.delete(job_id, revision)
            await asyncio.to_thread(self._folder.drop, job_id)
            self._heard.pop(job_id, None)
        elif job.status.over:
            return
        elif others:
            if now - self._heard[job_id][1] >= SILENT_SECONDS:
                await self._bucket.update(job_id, job.model_copy(update={"maker": self._folder.name}), revision)
                log.info("export.taken_over", job=job_id, maker=job.maker)
        elif job.cancelling:
            await self._stop(job_id)
            await self._end_job(job_id, ExportStatus.CANCELLED)
            await asyncio.to_thread(self._folder.drop, job_id)
        elif (
            job_id not in self._running
            and len(self._running) < self._settings.exports_at_once
            and self._not_before.get(job_id, 0.0) <= now
        ):
            task = self._service.tasks.create_task(self._work(job_id), name=f"export {job_id}")
            self._running[job_id] = task
            task.add_done_callback(lambda _: self._running.pop(job_id, None))

    async def _stop(self, job_id: Id) -> None:
        if (task := self._running.get(job_id)) is not None:
            await end([task])

    async def _sweep(self) -> None:
        mine = {job.id: job for job in self._jobs.values() if job.maker == self._folder.name}
        await asyncio.to_thread(self._folder.sweep, set(mine) | set(self._running), set(self._running))
        for job in mine.values():
            gone = job.status is ExportStatus.DONE and await asyncio.to_thread(self._folder.find, job.id) is None
            if gone:
                with suppress(LostJobError, ConflictError, UnavailableError):
                    detail = "its file is gone from the disk"
                    await self._change(job.id, status=ExportStatus.FAILED, code="not-found", detail=detail)

    async def _work(self, job_id: Id) -> None:
        """One attempt at a job."""
        try:
            entry = await self._bucket.get(job_id)
            if entry is None:
                return  # the mirror is behind
            before, revision = entry
            if before.status.over or before.cancelling or before.maker not in ("", self._folder.name):
                return
            taken = {"status": ExportStatus.RUNNING, "maker": self._folder.name, "attempts": before.attempts + 1}
            took = before.model_copy(update=taken | {"progress": 0.0, "code": "", "detail": ""})
            await self._bucket.update(job_id, took, revision)
            try:
                report = await self._make(took)
                if report.made is not None:
                    await self._finish(took, report.made)
                    return
            except OSError as error:
                report = ExportReport.of_disk(error)
            if is_tried_again(report, took.attempts):
                pause = PAUSES_SECONDS[min(took.attempts, len(PAUSES_SECONDS)) - 1]
                self._not_before[job_id] = self._clock.monotonic() + pause
                detail = f"{report.failed}; it is tried again"
                await self._change_surely(job_id, status=ExportStatus.WAITING, detail=detail, code=report.code)
            else:
                await self._end_job(job_id, ExportStatus.FAILED, detail=report.failed, code=report.code)
        except LostJobError as error:
            log.info("export.lost", job=job_id, because=str(error))
        except (ConflictError, UnavailableError) as error:
            log.debug("export.later", job=job_id, error=error)
        finally:
            with suppress(OSError):
                await asyncio.to_thread(
                    self._folder.sweep, set(self._jobs.entries) | {job_id}, set(self._running) - {job_id}
                )

    async def _make(self, job: ExportJob) -> ExportReport:
        """Runs the process; its last report."""
        settings = self._settings
        order = ExportOrder.of(
            job,
            self._service.settings,
            folder=self._folder.path,
            part=self._folder.part(job.id),
            budget_bytes=int(settings.exports_gigabytes * 1e9),
            floor_bytes=int(settings.exports_floor_gigabytes * 1e9),
        )
        command = [sys.executable, "-m", "services.wall.exports"]
        process = await ChildProcess.start(command, stdin=PIPE, stdout=PIPE, read_bytes=REPORT_BYTES)
        try:
            process.stdin.write(order.pack())
            process.stdin.close()
            last = ExportReport(failed="the process that made it died", code="internal", again=True)
            written = self._clock.monotonic()
            told = 0.0
            async for line in process.stdout:
                try:
                    report = ExportReport.model_validate_json(line)
                except ValidationError:
                    continue
                if report.progress is None:
                    last = report
                    continue
                now = self._clock.monotonic()
                due = PROGRESS_SECONDS if report.progress != told else ALIVE_SECONDS
                if now - written >= due:
                    written, told = now, report.progress
                    with suppress(UnavailableError, ConflictError):
                        await self._change(job.id, progress=report.progress)
            await process.wait()
        finally:
            await process.end(END_SECONDS)
        return last

    async def _finish(self, job: ExportJob, made: ExportMade) -> None:
        path = Path(made.path)
        await asyncio.to_thread(self._folder.keep, path, job.id)
        now_us = self._clock.now_us()
        await self._end_job(
            job.id,
            ExportStatus.DONE,
            progress=1.0,
            code="",
            detail=made.detail,
            left_out=made.left_out,
            file_name=made.file_name,
            media_type=made.media_type,
            size_bytes=made.size_bytes,
            sha256=made.sha256,
            conversion=made.conversion,
            made_up=made.made_up,
            expires_us=now_us + int(self._settings.exports_hours * _HOUR_US),
        )
        log.info("export.done", job=job.id, size_bytes=made.size_bytes)

    async def _end_job(self, job_id: Id, status: ExportStatus, **changes: object) -> None:
        await self._change_surely(job_id, status=status, finished_us=self._clock.now_us(), **changes)
        _ended.labels(status.value).inc()

    async def _change_surely(self, job_id: Id, **changes: object) -> None:
        """As `_change`, again while the bus is away."""
        while True:
            try:
                await self._change(job_id, **changes)
            except (UnavailableError, ConflictError) as error:
                log.debug("export.not_written", job=job_id, error=error)
                await asyncio.sleep(PROGRESS_SECONDS)
            else:
                return

    async def _change(self, job_id: Id, **changes: object) -> None:
        """Writes some fields of a job that is this folder's, or nobody's.

        Raises `LostJobError`, `UnavailableError`, `ConflictError` where it keeps changing.
        """
        for _ in range(_CHANGES):
            entry = await self._bucket.get(job_id)
            if entry is None:
                raise LostJobError("it was forgotten")
            before, revision = entry
            if before.maker not in ("", self._folder.name):
                raise LostJobError(f"{before.maker} took it")
            after = before.model_copy(update=changes)
            with suppress(ConflictError):
                await self._bucket.update(job_id, after, revision)
                return
        raise ConflictError(f"{job_id} keeps changing")

    async def _send_file(self, question: ExportFileQuestion, actor: Actor) -> ExportFileOpened:
        job = self._jobs.get(question.id)
        path = await asyncio.to_thread(self._folder.find, question.id)
        if job is None or path is None or not job.visible_to(actor):
            raise NotFoundError(f"there is no file of export {question.id!r}")
        control = await transfer.send(
            self._service.bus,
            self._service.tasks,
            question.deliver_to,
            _chunks(path, question.offset, question.size_bytes),
            name=f"export {question.id}",
        )
        return ExportFileOpened(control=control)


async def _chunks(path: Path, offset: int, size_bytes: int) -> AsyncIterator[bytes]:
    """A part of a file. Raises `UnavailableError` where it is shorter, or cannot be read any more."""
    try:
        with await asyncio.to_thread(path.open, "rb") as file:
            await asyncio.to_thread(file.seek, offset)
            while size_bytes:
                data = await asyncio.to_thread(file.read, min(size_bytes, _CHUNK_BYTES))
                if not data:
                    raise UnavailableError("the export's file is shorter than it was")
                size_bytes -= len(data)
                yield data
    except OSError as error:
        raise UnavailableError(f"the export's file cannot be read ({error.strerror})") from error
