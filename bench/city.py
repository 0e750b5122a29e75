"""A whole city's metadata: 660 cameras on 7 boxes and 10,000 on 100, by synthetic workers over a real bus and registry.

Beside it a front answers for the list of cameras: a page, a filter, a count, and a page that has not changed.

No media flows. Each ingest worker has a lease and reports on its cameras every 2 s, as a real one does; recorders have
leases alone. Measured are the registry's and nats-server's CPU time and the messages that nats-server takes, after all
cameras are online.
"""

import asyncio
import json
import os
import sys
import tempfile
import time
import urllib.request
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median

from bench.report import percentile, table
from bench.stack import cpu_seconds
from services.contracts import subjects
from services.contracts.catalogue import ImportRequest
from services.contracts.errors import PantauError
from services.contracts.imports import ImportJob, ImportKey
from services.contracts.models import (
    Assignment,
    CameraReport,
    CameraState,
    Id,
    IngestReport,
    ProfileReport,
    Status,
    WorkerLease,
)
from services.contracts.permissions import SYSTEM
from services.ingest.digest import ReportDigest
from services.mesh import rpc
from services.mesh.buckets import Bucket, Mirror
from services.mesh.bus import Bus, BusMessage
from services.mesh.leases import Lease, new_incarnation
from services.mesh.nats_server import NatsServer
from services.mesh.settings import MeshSettings
from services.mesh.states import StateMirror
from tests.wall.front.running import running_front, viewer_account

CITIES = ((660, 7), (10_000, 100))
"""Cameras and boxes; each box has an ingest worker and a recorder."""
IMPORT_ROWS = 5000
REPORT_SECONDS = 2.0
MEASURE_SECONDS = 30.0
SETTLED_SECONDS = 8.0
PATIENCE_SECONDS = 600.0
LISTS = ("limit=500", "text=Camera 65&limit=100", "status=offline&limit=1")
"""Questions to the front: a page, a filter, a count. The counts by status come with each."""
ASKED = 15
HOME = "city"
LEADER_CORES, MESSAGES, IMPORT_SECONDS = 0.25, 20_000, 10.0
"""What is promised of 10,000 cameras (a quiet machine), and of an import of 5,000 rows."""


class Box:
    """A machine with an ingest worker and a recorder, as the bus sees them."""

    def __init__(self, bus: Bus, number: int, cameras: int) -> None:
        self.name = f"box-{number:03d}"
        self._bus = bus
        self._incarnation = new_incarnation()
        self._capacity = cameras
        self.digest = ReportDigest()

    def leases(self) -> list[Lease]:
        """To be kept by `Lease.run`."""
        return [
            Lease(self._bus, HOME, lambda: self._lease("ingest")),
            Lease(self._bus, HOME, lambda: self._lease("recorder")),
        ]

    def _lease(self, role: str) -> WorkerLease:
        return WorkerLease.model_validate(
            {
                "role": role,
                "worker": f"{role}-{self.name}",
                "incarnation": self._incarnation,
                "capacity": self._capacity,
                "machine": self.name,
            }
        )

    async def report(self, held: "Held", frames: int) -> None:
        """Says once what is observed of all cameras that this box ingests."""
        profile = ProfileReport(
            status="online", codec="h264", width_px=1920, height_px=1080, frame_rate=25, frames=frames, since_us=1
        )
        worker = f"ingest-{self.name}"
        mine = [
            CameraReport(camera=each.camera, site=each.site, epoch=revision, profiles={"main": profile, "sub": profile})
            for each, revision in held.by_worker[worker].values()
        ]
        if mine:
            whole, steady = self.digest.split(mine)
            report = IngestReport(worker=worker, at_us=time.time_ns() // 1000, cameras=whole, steady=steady)
            await self._bus.publish(subjects.report(HOME, worker), report.pack())


class Held:
    """Which cameras each ingest worker has."""

    def __init__(self) -> None:
        self.by_worker: defaultdict[Id, dict[str, tuple[Assignment, int]]] = defaultdict(dict)
        self._worker: dict[str, Id] = {}

    def note(self, key: str, assignment: Assignment | None, revision: int) -> None:
        """Takes what a mirror of the assignments tells."""
        if key in self._worker:
            self.by_worker[self._worker.pop(key)].pop(key, None)
        if assignment is not None and assignment.workers and key.startswith("ingest."):
            self._worker[key] = assignment.workers[0]
            self.by_worker[assignment.workers[0]][key] = (assignment, revision)


@asynccontextmanager
async def registry(settings: MeshSettings) -> AsyncIterator[int]:
    """A registry process; gives its pid."""
    environ = {
        **os.environ,
        "PANTAU_NATS_URL": settings.nats_url,
        "PANTAU_DATA": str(settings.data),
        "PANTAU_ADMIN_PORT": "0",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.cli", "registry", env=environ,
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield process.pid
    finally:
        process.terminate()
        await process.wait()


def messages_taken(server: NatsServer) -> int:
    """How many messages nats-server has taken so far."""
    with urllib.request.urlopen(server.health_url.replace("/healthz", "/varz"), timeout=5) as answer:
        return int(json.load(answer)["in_msgs"])


async def import_rows(bus: Bus, first: int, count: int) -> float:
    """Imports cameras as a job; returns how long it took."""
    rows = "".join(
        f"cam-{n:05d},Camera {n},rtsp://10.{n // 65536}.{n // 256 % 256}.{n % 256}/main,rtsp://10.0.0.1/sub,admin,p\n"
        for n in range(first, first + count)
    )
    request = ImportRequest(format="csv", content="id,name,main_url,sub_url,username,password\n" + rows)
    began = time.monotonic()
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            try:
                job = await ask(bus, "imports-start", request, ImportJob)
                break
            except PantauError:  # it starts
                await asyncio.sleep(0.2)
                began = time.monotonic()
        while not job.over:
            await asyncio.sleep(0.2)
            job = await ask(bus, "imports-get", ImportKey(id=job.id), ImportJob)
    if job.added + job.unchanged != count:  # unchanged: written, but its answer came too late
        raise AssertionError(f"of {count} rows {job.added} were added: {job.detail}")
    return time.monotonic() - began


async def ask(bus: Bus, endpoint: str, question: ImportRequest | ImportKey, reply: type[ImportJob]) -> ImportJob:
    """A question to the registry."""
    subject = subjects.rpc(HOME, "registry", endpoint)
    return await rpc.call(bus, subject, question, reply, actor=SYSTEM, timeout_seconds=30)


async def city(cameras: int, boxes: int, seconds: float) -> list[float]:
    """One row of the table."""
    with tempfile.TemporaryDirectory() as folder:
        async with NatsServer(Path(folder) / "nats") as server:
            settings = MeshSettings(nats_url=server.url, data=Path(folder) / "registry")
            bus = await Bus.connect(settings, "city")
            async with registry(settings) as pid, asyncio.TaskGroup() as tasks:
                imports = [
                    await import_rows(bus, first, min(IMPORT_ROWS, cameras - first))
                    for first in range(0, cameras, IMPORT_ROWS)
                ]
                held = Held()
                assignments = Mirror(await Bucket.open(bus, subjects.ASSIGNMENTS_BUCKET, Assignment), held.note)
                states = StateMirror(await Bucket.open(bus, subjects.STATE_BUCKET, CameraState), HOME)
                running = [tasks.create_task(assignments.run()), tasks.create_task(states.run())]
                all_boxes = [Box(bus, number, round(cameras / boxes * 1.3)) for number in range(boxes)]
                for box in all_boxes:
                    running += [tasks.create_task(lease.run()) for lease in box.leases()]
                lateness: list[float] = []

                async def called(_message: BusMessage) -> None:
                    for box in all_boxes:
                        box.digest.forget()

                await bus.subscribe(subjects.roll_call(HOME), called)
                running.append(tasks.create_task(_report_all(all_boxes, held, lateness)))
                began = time.monotonic()
                async with asyncio.timeout(PATIENCE_SECONDS):
                    while not all(_online(states, number) for number in range(cameras)):
                        await asyncio.sleep(0.5)
                online_after = time.monotonic() - began
                await _settled(bus)
                before, taken, at = cpu_seconds(pid), messages_taken(server), time.monotonic()
                nats_before = cpu_seconds(server.pid)
                await asyncio.sleep(seconds)
                passed = time.monotonic() - at
                row: list[float] = [
                    cameras, boxes, max(imports), online_after,
                    (cpu_seconds(pid) - before) / passed, (cpu_seconds(server.pid) - nats_before) / passed,
                    (messages_taken(server) - taken) / passed, percentile(lateness, 0.99),
                ]  # fmt: skip
                row += await list_milliseconds(settings, Path(folder), cameras)
                for task in running:
                    task.cancel()
            await bus.close()
    return row


async def list_milliseconds(settings: MeshSettings, folder: Path, cameras: int) -> list[float]:
    """Medians: each of `LISTS`, and the first of them where nothing has changed since (304)."""
    accounts, known = viewer_account(folder)
    found: list[float] = []
    async with running_front(settings, accounts_file=accounts) as front:

        async def ask_list(query: str, etag: str = "") -> tuple[float, str, int]:
            """Milliseconds, the answer's ETag, and how many cameras match."""
            began = time.monotonic()
            headers = {**known, "If-None-Match": etag} if etag else known
            async with front.http.get(f"/api/v1/cameras?fields=brief&{query}", headers=headers) as response:
                body = await response.read()
                took = (time.monotonic() - began) * 1e3
                total = json.loads(body)["total"] if response.status == 200 else 0
                return took, response.headers.get("ETag", ""), total

        async with asyncio.timeout(PATIENCE_SECONDS):
            while (await ask_list("limit=1"))[2] < cameras:
                await asyncio.sleep(0.5)
        for query in LISTS:
            found.append(median([(await ask_list(query))[0] for _ in range(ASKED)]))
        etag = (await ask_list(LISTS[0]))[1]
        found.append(median([(await ask_list(LISTS[0], etag))[0] for _ in range(ASKED)]))
    return found


async def _settled(bus: Bus) -> None:
    """Waits until nothing is assigned and no event of what has happened is sent any more."""
    names = (f"KV_{subjects.ASSIGNMENTS_BUCKET}", subjects.EVENTS_STREAM, subjects.AUDIT_STREAM)
    before: list[int] = []
    async with asyncio.timeout(PATIENCE_SECONDS):
        while before != (present := [(await bus.js.stream_info(name)).state.last_seq for name in names]):
            before = present
            await asyncio.sleep(SETTLED_SECONDS)


async def _report_all(boxes: list[Box], held: Held, lateness: list[float]) -> None:
    frames = 0
    while True:
        for box in boxes:
            due = time.monotonic() + REPORT_SECONDS / len(boxes)
            await box.report(held, frames := frames + 50)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            lateness.append(time.monotonic() - due)


def _online(states: StateMirror, number: int) -> bool:
    state = states.get(f"cam-{number:05d}")
    return state is not None and state.status is Status.ONLINE


async def run(*, quick: bool) -> None:
    """Prints the table."""
    rows = [await city(*size, seconds=10.0 if quick else MEASURE_SECONDS) for size in CITIES]
    growth = [after / max(before, 1e-9) for before, after in zip(*rows, strict=True)]
    columns = (
        "cameras", "boxes", f"s for an import of {IMPORT_ROWS} rows or fewer", "s until all are online",
        "cores of the registry", "cores of nats-server", "messages/s", "s that the bench itself is late (p99)",
        "ms for a page of 500", "ms for a filter", "ms for a count", "ms for a page that is the same",
    )  # fmt: skip
    note = (
        f"The last row is the growth. Promised of 10,000, on a quiet machine: {LEADER_CORES} of a core for the leader, "
        f"{MESSAGES} messages/s, {IMPORT_SECONDS:g} s for {IMPORT_ROWS} rows."
    )
    print(table("A city's metadata", columns, [*rows, growth], note))
