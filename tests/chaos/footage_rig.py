"""The services that footage passes through, each a process that may be killed, frozen or cut off, under a supervisor.

Simulated cameras stamp a number into every frame, so that what is on the disks can be counted.
"""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import IO, NamedTuple

import aiohttp

from services.contracts import subjects
from services.contracts.models import Camera, Profile
from services.mesh.buckets import Bucket
from services.mesh.bus import Bus
from services.mesh.nats_server import NatsServer
from services.mesh.settings import MeshSettings
from services.recorder.storage.fsck import check
from services.sim.pictures.stamp import Stamp
from tests.chaos.namespace import SeverableNetwork, severable_network
from tests.integration.recorded import files, stamps
from tests.processes import descendants
from tests.support.ports import free_port

START_SECONDS = 90.0
RESTART_SECONDS = 0.5
"""Until a process that ended is started again."""
TAIL_SECONDS = 4.0
"""What may still be on its way to a disk: a fragment of 2 s, and a busy machine."""


class Wholeness(NamedTuple):
    """What the disks hold of all cameras."""

    sent: int
    """Frames that cameras sent, from the first that is on a disk on."""
    frames: int
    """Of those, how many are on a disk."""
    missing: int
    twice: int
    """Frames that are on one recorder's disks more than once."""
    disordered: int
    """Files in which a number is not larger than the one before."""
    not_sent: int
    """Numbers that no camera sent: the simulator had no time, or nobody was connected. None of them is missing."""
    longest_hole_seconds: float
    """Between two frames on the disks that follow each other, of the worst camera."""
    most_missing: int
    """Of the worst camera."""

    @property
    def whole(self) -> bool:
        """Whether every frame that was sent is there exactly once."""
        return not (self.missing or self.twice or self.disordered) and self.frames > 0


class Supervised:
    """One service's process, started again where it ends."""

    def __init__(self, name: str, arguments: list[str], environ: dict[str, str], log: IO[bytes]) -> None:
        self.name = name
        self._arguments = arguments
        self._environ = environ
        self._log = log
        self._process: asyncio.subprocess.Process | None = None
        self._wanted = False
        self._ended_at = 0.0

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        self._wanted = True
        self._process = await asyncio.create_subprocess_exec(
            *self._arguments, env=self._environ, stdout=self._log, stderr=self._log
        )

    async def look(self) -> None:
        """Starts it again where it ended and is to run."""
        if self._wanted and self._process is not None and self._process.returncode is not None:
            if not self._ended_at:
                self._ended_at = time.monotonic()
            elif time.monotonic() - self._ended_at >= RESTART_SECONDS:
                self._ended_at = 0.0
                await self.start()

    def signal(self, number: signal.Signals) -> None:
        """To the process and all that it started."""
        for pid in (self.pid, *descendants(self.pid)):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    async def kill(self, *, away: bool = False) -> None:
        """kill -9; ``away``: it is not started again before `start`."""
        self._wanted = not away
        self.signal(signal.SIGKILL)
        if away:
            await self._wait()

    async def stop(self) -> None:
        """SIGTERM, and kill -9 where that is not enough."""
        self._wanted = False
        if self._process is None:
            return
        self.signal(signal.SIGCONT)
        if self._process.returncode is None:
            self._process.terminate()
        try:
            async with asyncio.timeout(15):
                await self._process.wait()
        except TimeoutError:
            self.signal(signal.SIGKILL)
            await self._process.wait()

    async def _wait(self) -> None:
        if self._process is not None:
            await self._process.wait()


class FootageRig:
    """Cameras, nats-server, registry, one ingest and one or more recorders."""

    def __init__(self, folder: Path, *, cameras: int, recorders: int, environ: dict[str, str]) -> None:
        self.folder = folder
        self.cameras = [f"cam-{number:03}" for number in range(1, cameras + 1)]
        self.nats = NatsServer(folder / "nats", host="0.0.0.0", port=free_port())
        self.services: dict[str, Supervised] = {}
        self._recorders = recorders
        self._environ = environ
        self._log: IO[bytes] = (folder / "log").open("ab")
        self._sim_port = free_port()
        self._sim_admin_port = free_port()
        self.network: SeverableNetwork | None = None
        """Where recorders run, if not with all else."""

    def data(self, name: str) -> Path:
        """A service's folder."""
        return self.folder / name

    async def start(self) -> None:
        """Returns when all cameras are recorded."""
        await self.nats.start()
        names = ["sim", "registry", "ingest", *(f"recorder-{number}" for number in range(1, self._recorders + 1))]
        for name in names:
            self._add(name)
            await self.services[name].start()
        bus = await Bus.connect(MeshSettings(nats_url=self._nats_url("127.0.0.1")), "footage-rig")
        try:
            catalogue = await Bucket.open(bus, subjects.CAMERAS_BUCKET, Camera)
            for camera in self.cameras:
                profile = Profile(url=f"rtsp://127.0.0.1:{self._sim_port}/{camera}/main")
                await catalogue.put(camera, Camera(id=camera, site="city", name=camera, profiles={"main": profile}))
        finally:
            await bus.close()
        await self.recorded_since(time.time())

    def _add(self, name: str) -> None:
        kind = name.partition("-")[0]
        network = self.network if kind == "recorder" else None
        environ = {key: value for key, value in os.environ.items() if not key.startswith("PANTAU_")} | {
            "PANTAU_NATS_URL": self._nats_url("127.0.0.1" if network is None else network.host),
            "PANTAU_DATA": str(self.data(name)),
            "PANTAU_ADMIN_PORT": "0",
            "PANTAU_LOG_FORMAT": "json",
            "PANTAU_WORKER": name,
            "PANTAU_INGEST_WORKERS": "1",
            "PANTAU_INGEST_SPOOL_FLOOR_GIGABYTES": "0",
            "PANTAU_RECORDER_FLOOR_GIGABYTES": "0",
            **self._environ,
        }
        arguments = [sys.executable, "-m", "services.cli", kind]
        if kind == "sim":
            arguments += ["--cameras", str(len(self.cameras)), "--port", str(self._sim_port), "--scenes", "1"]
            environ["PANTAU_ADMIN_PORT"] = str(self._sim_admin_port)
        if network is not None:
            arguments = [*network.command, *arguments]
        self.services[name] = Supervised(name, arguments, environ, self._log)

    def _nats_url(self, host: str) -> str:
        return f"nats://{host}:{self.nats.port}"

    @property
    def recorders(self) -> list[Supervised]:
        return [service for name, service in self.services.items() if name.startswith("recorder")]

    async def supervise(self) -> None:
        """Until it is cancelled."""
        while True:
            for service in list(self.services.values()):
                await service.look()
            await asyncio.sleep(0.1)

    async def stop(self) -> None:
        """All of it; recorders last, so that they write what is there."""
        for name in ("registry", "ingest", *(service.name for service in self.recorders), "sim"):
            if name in self.services:
                await self.services[name].stop()
        await self.nats.stop()
        self._log.close()

    # What the disks hold

    def stamps_of(self, recorder: str, camera: str) -> list[list[Stamp]]:
        """The frames of each file of a camera, in the order of the files."""
        found = []
        for path in files(self.data(recorder), camera):
            with suppress(FileNotFoundError):  # an empty one was removed
                found.append(list(stamps(path.read_bytes())))
        return found

    def newest(self, camera: str) -> float:
        """When the newest frame was sent that is on any disk, Unix seconds."""
        return max(
            (
                each[-1].sent_us / 1e6
                for recorder in self.recorders
                for each in self.stamps_of(recorder.name, camera)[-1:]
                if each
            ),
            default=0.0,
        )

    async def recorded_since(self, moment: float, seconds: float = START_SECONDS) -> float:
        """Returns when frames of every camera that were sent after ``moment`` are on disk; how long that took."""
        began = time.monotonic()
        waiting = set(self.cameras)
        while waiting:
            assert time.monotonic() - began < seconds, f"{waiting} not recorded within {seconds} s; see {self.folder}"
            waiting = {camera for camera in waiting if await asyncio.to_thread(self.newest, camera) <= moment}
            await asyncio.sleep(0.2)
        return time.monotonic() - began

    async def sent(self) -> dict[str, list[tuple[int, int]]]:
        """First and last number of each run of frames that a camera has sent so far."""
        async with (
            aiohttp.ClientSession() as client,
            client.get(f"http://127.0.0.1:{self._sim_admin_port}/cameras") as response,
        ):
            return {each["id"]: each["profiles"]["main"]["sent"] for each in await response.json()}

    async def wholeness(self, until: float) -> Wholeness:
        """Holds what the disks have against what cameras sent before ``until``; later ones of each are there."""
        sent = await self.sent()
        each = await asyncio.gather(
            *(asyncio.to_thread(self._wholeness_of, camera, sent[camera], until) for camera in self.cameras)
        )
        return Wholeness(
            sent=sum(found.sent for found in each),
            frames=sum(found.frames for found in each),
            missing=sum(found.missing for found in each),
            twice=sum(found.twice for found in each),
            disordered=sum(found.disordered for found in each),
            not_sent=sum(found.not_sent for found in each),
            longest_hole_seconds=max(found.longest_hole_seconds for found in each),
            most_missing=max(found.most_missing for found in each),
        )

    def _wholeness_of(self, camera: str, runs: list[tuple[int, int]], until: float) -> Wholeness:
        twice = disordered = 0
        union: dict[int, int] = {}
        for recorder in self.recorders:
            numbers: list[int] = []
            for content in self.stamps_of(recorder.name, camera):
                own = [stamp.frame for stamp in content]
                disordered += own != sorted(set(own))
                numbers += own
                union |= {stamp.frame: stamp.sent_us for stamp in content}
            twice += len(numbers) - len(set(numbers))
        first = min(union)
        end = min(number for number, sent_us in union.items() if sent_us / 1e6 > until)
        sent = {number for begin, last in runs for number in range(max(begin, first), min(last + 1, end))}
        there = sorted(number for number in union if number <= end)
        missing = len(sent - union.keys())
        return Wholeness(
            sent=len(sent),
            frames=len(there) - 1,
            missing=missing,
            twice=twice,
            disordered=disordered,
            not_sent=end - first - len(sent),
            longest_hole_seconds=max(((union[b] - union[a]) / 1e6 for a, b in pairwise(there)), default=0.0),
            most_missing=missing,
        )

    def spool_bytes(self) -> int:
        """What ingest has in its spool just now."""
        return sum(path.stat().st_size for path in (self.data("ingest") / "spool").rglob("*.spool"))

    def fsck(self) -> list[str]:
        """What is wrong on the recorders' disks; after `stop`."""
        reports = {recorder.name: check(self.data(recorder.name), verify=True) for recorder in self.recorders}
        return [f"{name}: {report}" for name, report in reports.items() if not report.clean]

    def log(self) -> list[dict[str, object]]:
        """What all services have logged."""
        lines = (self.folder / "log").read_text(errors="replace").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]


@asynccontextmanager
async def footage_rig(
    folder: Path, *, cameras: int, recorders: int = 1, severable: bool = False, environ: dict[str, str] | None = None
) -> AsyncIterator[FootageRig]:
    """A running one. When it is left, all of it has ended and `FootageRig.fsck` may be asked.

    ``severable``: recorders run in a `FootageRig.network` of their own, which may be cut off from the rest.
    """
    rig = FootageRig(folder, cameras=cameras, recorders=recorders, environ=environ or {})
    async with AsyncExitStack() as stack:
        if severable:
            rig.network = stack.enter_context(severable_network())
        stack.push_async_callback(rig.stop)
        await rig.start()
        supervising = asyncio.ensure_future(rig.supervise())
        try:
            yield rig
        finally:
            supervising.cancel()
