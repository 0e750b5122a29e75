"""Makes one export's file, in a process of its own: what goes wrong here ends one job and nothing else.

The order comes on standard input; reports go out on standard output, one JSON object a line: `ExportReport`.
"""

import asyncio
import hashlib
import os
import shutil
import zipfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple
from zoneinfo import ZoneInfo

from services.contracts import subjects
from services.contracts.errors import NotFoundError, PantauError, UnavailableError
from services.contracts.exports import ExportedCamera, ExportJob, LeftOut
from services.contracts.models import CameraState, Model, Reason
from services.contracts.permissions import Right
from services.contracts.recordings import TimelineQuestion
from services.footage.clips import Clip, clip_name, open_clip
from services.footage.evidence.export import BundleRequest, NamedCamera
from services.footage.evidence.handing_out import NO_FOOTAGE, first_to_tell, left_out, open_evidence
from services.footage.owners import NotGrantedError, Owner, SiteAwayError
from services.mesh.buckets import Bucket
from services.mesh.bus import Bus
from services.mesh.clock import SystemClock
from services.mesh.leases import roll_call
from services.mesh.log import get_logger
from services.mesh.settings import MeshSettings
from services.wall.exports.clip_times import ClipTimes, conversion_of
from services.wall.exports.folder import used_bytes
from services.wall.masking import rectangles

log = get_logger()

LOOK_BYTES: Final = 16 * 1024 * 1024
"""After so many bytes it is looked whether there is room for more."""
ROOM_SECONDS: Final = 120.0
"""So long a job waits for retention to make room."""
RECORDERS_SECONDS: Final = 20.0
"""So long it waits for recorders that were there when the job was made."""
SETTLE_FOR_LESS: Final = 5
"""From this attempt on a recorder that is still away is left out; the timeline says what is missing. A site's owner who
does not answer has not granted it then: the attempts before took 15 s, and a site is away after 8."""
_READ_BYTES: Final = 4 * 1024 * 1024
_FETCHING: Final = 0.2
"""What fetching a clip that is then converted counts for."""


class ExportsFullError(PantauError):
    """Exports already take what they may."""

    code = "exports-full"
    status = 507


class ExportOrder(Model):
    """A job to be made."""

    job: ExportJob
    mesh: dict[str, object]
    """`MeshSettings`, the password in clear: it goes through a pipe and nowhere else."""
    folder: str
    """Of the finished files."""
    part: str
    """Of what is being made."""
    budget_bytes: int
    floor_bytes: int

    @classmethod
    def of(
        cls, job: ExportJob, mesh: MeshSettings, *, folder: Path, part: Path, budget_bytes: int, floor_bytes: int
    ) -> "ExportOrder":
        """The order for one attempt at ``job``."""
        settings = mesh.model_dump(mode="json") | {"nats_password": mesh.nats_password.get_secret_value()}
        return cls(
            job=job,
            mesh=settings,
            folder=str(folder.absolute()),
            part=str(part.absolute()),
            budget_bytes=budget_bytes,
            floor_bytes=floor_bytes,
        )


class ExportMade(Model):
    """A finished file, still in its part folder."""

    path: str
    file_name: str
    media_type: str
    size_bytes: int
    sha256: str
    conversion: str = ""
    made_up: bool = False
    detail: str = ""
    left_out: tuple[LeftOut, ...] = ()


class ExportReport(Model):
    """What the process tells: how far it is, then one of the others."""

    progress: float | None = None
    made: ExportMade | None = None
    failed: str = ""
    code: str = ""
    """Of the failure."""
    again: bool = False
    """The same may succeed later."""

    @classmethod
    def of_disk(cls, error: OSError) -> "ExportReport":
        """The file cannot be written."""
        why = f"the file cannot be written: {error.strerror or error}"
        return cls(failed=why, code="disk-failed", again=True)


Tell = Callable[[ExportReport], None]


async def make(order: ExportOrder, tell: Tell) -> ExportMade:
    """Makes the file of ``order``. Raises `PantauError`; `UnavailableError` where another attempt may succeed."""
    job = order.job
    await asyncio.to_thread(_make_empty, Path(order.part))
    bus = await Bus.connect(MeshSettings.model_validate(order.mesh), "export")
    try:
        own = any(camera.owner_id is None for camera in job.cameras)
        recorders = await _alive_recorders(bus, str(order.mesh["site"]), job.recorders) if own else 0
        making = _Making(bus, str(order.mesh["site"]), order, recorders, tell)
        if job.kind == "bundle":
            return await making.bundle()
        return await making.clips()
    finally:
        await bus.close()


def _make_empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)


async def _alive_recorders(bus: Bus, home: str, wanted: int) -> int:
    """How many recorders there are, once it is as many as when the job was made. Raises `UnavailableError`."""
    deadline = asyncio.get_running_loop().time() + RECORDERS_SECONDS
    while True:
        found = sum(lease.role == "recorder" for lease in await roll_call(bus, home))
        if found >= max(wanted, 1) or asyncio.get_running_loop().time() > deadline:
            break
        await asyncio.sleep(1.0)
    if not found:
        raise UnavailableError("no recorder runs just now")
    return max(found, wanted)


class _Fetched(NamedTuple):
    """A camera's clip on disk."""

    path: Path
    file_name: str
    made_up: bool


class _Making:
    """One attempt."""

    def __init__(self, bus: Bus, home: str, order: ExportOrder, recorders: int, tell: Tell) -> None:
        self._bus = bus
        self._home = home
        self._order = order
        self._job = order.job
        self._recorders = recorders
        self._tell = tell
        self._part = Path(order.part)

    async def bundle(self) -> ExportMade:
        """An evidence bundle."""
        job = self._job
        wanted = BundleRequest(
            {camera.camera: NamedCamera(camera.site, camera.name) for camera in job.cameras},
            job.from_us,
            job.to_us,
            job.owner,
            job.reason,
            job.incident,
        )
        asked = [(camera.camera, await self._owner(camera, Right.EVIDENCE)) for camera in job.cameras]
        owners = {camera: owner for camera, owner in asked if owner is not None}
        evidence = await open_evidence(
            self._bus, self._home, wanted, owners, recorders=self._recorders, clock=SystemClock(), settle=self._settles
        )
        path = self._part / "bundle.zip"
        try:
            if evidence.recorders is not None:
                self._require_answers(evidence.recorders)
            async with aclosing(evidence.chunks()) as chunks:
                await self._write(path, chunks, lambda _bytes: evidence.progress)
        finally:
            await evidence.close()
        made = await asyncio.to_thread(_finished, path, f"{evidence.name}.zip", "application/zip")
        return made.model_copy(update={"made_up": evidence.made_up, **_told(evidence.left_out)})

    async def clips(self) -> ExportMade:
        """A clip of one camera, or a ZIP with a clip of each."""
        cameras = self._job.cameras
        fetched: list[_Fetched] = []
        absent: list[LeftOut] = []
        errors: list[PantauError] = []
        for number, camera in enumerate(cameras):
            try:
                fetched.append(await self._clip(camera, number))
            except (NotFoundError, NotGrantedError, SiteAwayError) as error:
                absent += left_out([camera.camera], error, settle=self._settles)
                errors.append(error)
        if not fetched:
            raise first_to_tell(errors)
        conversion = conversion_of(named=self._job.burn_in, masked=self._job.masked)
        if len(cameras) == 1:
            made = await asyncio.to_thread(_finished, fetched[0].path, fetched[0].file_name, "video/mp4")
        else:
            path = self._part / "clips.zip"
            await asyncio.to_thread(_pack, path, fetched)
            made = await asyncio.to_thread(_finished, path, f"{self._job.id}.zip", "application/zip")
        made_up = any(clip.made_up for clip in fetched)
        return made.model_copy(update={"conversion": conversion, "made_up": made_up, **_told(absent)})

    async def _clip(self, camera: ExportedCamera, number: int) -> _Fetched:
        job, count = self._job, len(self._job.cameras)
        question = TimelineQuestion(
            camera=camera.camera, site=camera.site, profile=job.profile, from_us=job.from_us, to_us=job.to_us
        )
        converted = job.burn_in or bool(camera.masks)
        fetching = _FETCHING if converted else 1.0
        owner = await self._owner(camera, Right.CLIP)

        async with AsyncExitStack() as stack:
            clip = await open_clip(
                self._bus, self._home, question, recorders=self._recorders, stack=stack, actor=job.owner,
                info={"export": job.id}, owner=owner,
            )  # fmt: skip
            if owner is None:
                self._require_answers(clip.timeline.recorders)
            self._require_budget(clip)
            path = self._part / f"{camera.camera}.mp4"
            size = clip.size_bytes
            await self._write(path, clip.chunks(), lambda done: (number + fetching * done / size) / count)
            times = ClipTimes(clip.layout.start_us, clip.layout.lead_us, clip.layout.duration_us)
            made_up = clip.layout.made_up
            name = clip_name(camera.camera, job.from_us)
        if converted:
            from services.wall.exports.clip_conversion import Drawing, convert_clip  # loads FFmpeg and PIL

            plain, path = path, path.with_suffix(".converted.mp4")
            await asyncio.to_thread(
                convert_clip,
                plain,
                path,
                drawing=Drawing(
                    camera.name if job.burn_in else None, ZoneInfo(job.time_zone), rectangles(camera.masks)
                ),
                made_up=made_up,
                times=times,
                progress=lambda share: self._progress((number + _FETCHING + (1 - _FETCHING) * share) / count),
            )
            plain.unlink()
            name = name.replace(".mp4", "_converted.mp4")
        return _Fetched(path, name, made_up)

    async def _owner(self, camera: ExportedCamera, right: Right) -> Owner | None:
        if camera.owner_id is None:
            return None
        state = await (await Bucket.open(self._bus, subjects.STATE_BUCKET, CameraState)).get(camera.camera)
        away = state is not None and state[0].reason is Reason.SITE_AWAY
        since_us = state[0].since_us if state is not None and away else None
        return Owner(camera.site, camera.owner_id, right, since_us)

    @property
    def _settles(self) -> bool:
        """Whether this attempt leaves out what cannot be had now."""
        return self._job.attempts >= SETTLE_FOR_LESS

    def _progress(self, share: float) -> None:
        self._tell(ExportReport(progress=share))

    def _require_answers(self, answered: int) -> None:
        if answered < self._recorders and not self._settles:
            raise UnavailableError(f"{answered} of {self._recorders} recorders answered")

    def _require_budget(self, clip: Clip) -> None:
        if used_bytes(Path(self._order.folder)) + clip.size_bytes > self._order.budget_bytes:
            raise self._full()

    def _full(self) -> ExportsFullError:
        return ExportsFullError(
            f"exports may take {self._order.budget_bytes / 1e9:g} GB (PANTAU_WALL_EXPORTS_GIGABYTES) and do; "
            "delete some, or ask for less"
        )

    async def _write(self, path: Path, chunks: AsyncIterator[bytes], share: Callable[[int], float]) -> None:
        done = looked = 0
        with path.open("wb") as file:
            async for chunk in chunks:
                file.write(chunk)
                done += len(chunk)
                if done - looked >= LOOK_BYTES:
                    looked = done
                    await self._wait_for_room(file)
                self._progress(share(done))

    async def _wait_for_room(self, file: BinaryIO) -> None:
        """Raises `ExportsFullError`, or `UnavailableError` where the disk stays full."""
        file.flush()
        folder = Path(self._order.folder)
        if used_bytes(folder) > self._order.budget_bytes:
            raise self._full()
        deadline = asyncio.get_running_loop().time() + ROOM_SECONDS
        while shutil.disk_usage(folder).free < self._order.floor_bytes:
            if asyncio.get_running_loop().time() > deadline:
                raise UnavailableError("the disk has no room for this export")
            await asyncio.sleep(1.0)


def _told(absent: Sequence[LeftOut]) -> dict[str, object]:
    """What an `ExportMade` says of cameras that are not in the file."""
    empty = [each.camera for each in absent if each.code == NO_FOOTAGE]
    texts = [f"no footage in this range: {', '.join(empty)}"] if empty else []
    texts += [f"{each.camera}: {each.detail}" for each in absent if each.code != NO_FOOTAGE]
    return {"left_out": tuple(absent), "detail": "; ".join(texts)}


def _pack(path: Path, fetched: list[_Fetched]) -> None:
    """A plain ZIP of clips, and removes them one by one as they are in it."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for item in fetched:
            archive.write(item.path, item.file_name)
            item.path.unlink()


def _finished(path: Path, name: str, media_type: str) -> ExportMade:
    """Makes the content durable, and hashes what the disk has."""
    digest = hashlib.sha256()
    with path.open("rb+") as file:
        os.fsync(file.fileno())
        while data := file.read(_READ_BYTES):
            digest.update(data)
        size = file.tell()
    return ExportMade(path=str(path), file_name=name, media_type=media_type, size_bytes=size, sha256=digest.hexdigest())
