"""The parent: what it starts, whom it finds, whom it kills."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from services.ingest.app import WorkerKeeper, worker_environment
from services.ingest.names import Name
from services.mesh.child import ChildRefusedError
from services.mesh.lifecycle import EXIT_REFUSED
from services.mesh.settings import MeshSettings

WORKER = """
import sys, time
from services.ingest.names import HeldName, Name
from services.mesh.settings import MeshSettings
held = HeldName.take(Name(MeshSettings(nats_url="nats://127.0.0.1:4333"), "worker", "ingest-host-1"))
if held is None:
    sys.exit(3)
while True:
    held.beat(ready=True)
    time.sleep(0.1)
"""

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))


def name() -> Name:
    """In this test's folder."""
    return Name(MeshSettings(nats_url="nats://127.0.0.1:4333"), "worker", "ingest-host-1")


def keeper(program: str = WORKER) -> WorkerKeeper:
    return WorkerKeeper(name(), [sys.executable, "-c", program], dict(os.environ))


@asynccontextmanager
async def kept(keeper: WorkerKeeper) -> AsyncIterator[asyncio.Event]:
    stopping = asyncio.Event()
    keeping = asyncio.create_task(keeper.keep(stopping))
    try:
        yield stopping
    finally:
        stopping.set()
        await keeping


async def holder_but(pid: int) -> int:
    """The pid of the name's holder, once that is not ``pid``."""
    async with asyncio.timeout(90):
        while (holder := name().holder()) is None or holder.pid in (0, pid):
            await asyncio.sleep(0.02)
        return holder.pid


async def test_a_worker_is_started_and_again_when_it_is_killed_or_hangs_and_ends_with_its_parent() -> None:
    keeping = keeper()
    async with kept(keeping):
        first = await holder_but(0)
        os.kill(first, signal.SIGKILL)
        second = await holder_but(first)
        os.kill(second, signal.SIGSTOP)
        third = await holder_but(second)
        async with asyncio.timeout(90):
            while not keeping.ready:
                await asyncio.sleep(0.02)
    assert name().holder() is None
    assert third != second


async def test_a_worker_of_an_earlier_parent_is_kept_and_ended() -> None:
    earlier = await asyncio.create_subprocess_exec(sys.executable, "-c", WORKER)
    pid = await holder_but(0)
    keeping = keeper("raise SystemExit('nothing is to be started')")
    async with kept(keeping):
        async with asyncio.timeout(90):
            while not keeping.ready:
                await asyncio.sleep(0.02)
        assert pid == earlier.pid
        assert earlier.returncode is None
    assert await earlier.wait() == -signal.SIGTERM


async def test_a_worker_that_refuses_its_settings_is_not_started_again() -> None:
    with pytest.raises(ChildRefusedError, match="ingest-host-1"):
        await keeper(f"raise SystemExit({EXIT_REFUSED})").keep(asyncio.Event())


def test_a_worker_has_its_own_name_and_admin_port_and_says_nothing_to_the_supervisor() -> None:
    environ = {"NOTIFY_SOCKET": "@x", "PANTAU_WORKER": "north", "PANTAU_NATS_URL": "nats://n"}
    own = worker_environment(environ, "north-2", 9182, 1)
    assert own == {"PANTAU_WORKER": "north-2", "PANTAU_NATS_URL": "nats://n", "PANTAU_ADMIN_PORT": "9184"}
    assert worker_environment(environ, "north-2", 0, 1)["PANTAU_ADMIN_PORT"] == "0"
    assert "PANTAU_ADMIN_PORT" not in worker_environment(environ, "north-2", None, 1)
