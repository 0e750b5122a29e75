"""The one lifecycle: start, readiness, SIGTERM, end. Each service here is a real process."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.contracts.subjects import is_id
from services.mesh.lifecycle import EXIT_REFUSED, default_worker
from services.mesh.nats_server import NatsServer

SERVICE = """
import asyncio, os, sys
from services.mesh import lifecycle
from services.contracts.errors import ConflictError, UnavailableError
from services.mesh.settings import MeshSettings

async def run(service):
    service.health.add("work", lambda: None if os.path.exists(sys.argv[1]) else "not yet")
    {body}

sys.exit(lifecycle.main("ingest", MeshSettings.load(os.environ), run))
"""
WAITS = "await service.stopping.wait()"


@dataclass
class Process:
    """A service's process and its log."""

    process: asyncio.subprocess.Process
    log: list[dict[str, object]] = field(default_factory=list)

    async def until(self, event: str) -> dict[str, object]:
        """Reads the log up to ``event``."""
        assert self.process.stderr is not None
        async with asyncio.timeout(90):
            while line := await self.process.stderr.readline():
                with contextlib.suppress(ValueError):
                    self.log.append(json.loads(line))
                    if self.log[-1]["event"] == event:
                        return self.log[-1]
        raise AssertionError(f"no {event} in {self.log}")

    async def exit_status(self) -> int:
        """Waits for its end."""
        assert self.process.stderr is not None
        rest = await asyncio.wait_for(self.process.stderr.read(), 30)
        for line in rest.splitlines():
            with contextlib.suppress(ValueError):
                self.log.append(json.loads(line))
        return await self.process.wait()


@contextlib.asynccontextmanager
async def running(body: str, url: str, marker: str = "/nonexistent", **environ: str) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVICE.replace("{body}", body), marker,
        env={**os.environ, "PANTAU_NATS_URL": url, "PANTAU_ADMIN_PORT": "0", **environ},
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield Process(process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _get(port: object, path: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as client, client.get(f"http://127.0.0.1:{port}{path}") as response:
        return response.status, await response.text()


async def test_sigterm_ends_it_in_order(nats_server: NatsServer) -> None:
    async with running(f"{WAITS}; print('put away', file=sys.stderr)", nats_server.url) as service:
        await service.until("service.started")
        service.process.send_signal(signal.SIGTERM)
        assert await service.exit_status() == 0
        assert service.log[-1]["event"] == "service.stopped"


async def test_it_lives_before_it_is_ready_and_says_what_is_missing(
    nats_server: NatsServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    marker = tmp_path_factory.mktemp("marker") / "done"
    async with running(WAITS, nats_server.url, str(marker)) as service:
        port = (await service.until("admin.listening"))["port"]
        await service.until("service.started")
        assert await _get(port, "/livez") == (200, "ok\n")
        assert await _get(port, "/readyz") == (503, "work: not yet\n")
        marker.touch()
        await service.until("service.ready")
        assert await _get(port, "/readyz") == (200, "ok\n")
        status, metrics = await _get(port, "/metrics")
        assert status == 200
        assert "pantau_bus_connected 1.0" in metrics
        await nats_server.kill()
        await service.until("bus.lost")
        assert await _get(port, "/livez") == (200, "ok\n")
        assert await _get(port, "/readyz") == (503, "bus: NATS is away\n")


async def test_it_can_be_stopped_while_it_waits_for_the_bus(nats_server: NatsServer) -> None:
    await nats_server.stop()
    async with running(WAITS, nats_server.url) as service:
        port = (await service.until("admin.listening"))["port"]
        assert await _get(port, "/livez") == (200, "ok\n")
        assert await _get(port, "/readyz") == (503, "bus: NATS is away\n")
        service.process.send_signal(signal.SIGINT)
        assert await service.exit_status() == 0


@pytest.mark.parametrize(
    ("body", "status", "event"),
    [
        ("raise RuntimeError('rtsp://u:hunter2@cam/')", 1, "service.died"),
        ("raise UnavailableError('not now')", 1, "service.refused"),
        ("raise ConflictError('never')", EXIT_REFUSED, "service.refused"),
        ("service.tasks.create_task(asyncio.to_thread(int, 'x')); await service.stopping.wait()", 1, "service.died"),
    ],
)
async def test_a_failure_ends_the_process_with_its_status(
    nats_server: NatsServer, body: str, status: int, event: str
) -> None:
    async with running(body, nats_server.url) as service:
        assert await service.exit_status() == status
        assert event in [line["event"] for line in service.log]
        assert "hunter2" not in json.dumps(service.log)


async def test_it_is_not_ready_before_it_has_said_what_it_needs(
    nats_server: NatsServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Else a supervisor would take one that refuses at its start for one that has once worked."""
    marker = tmp_path_factory.mktemp("marker") / "done"
    marker.touch()
    late = "service.health.starting(); await asyncio.sleep(0.3); raise ConflictError('never')"
    async with running(late, nats_server.url, str(marker)) as service:
        assert await service.exit_status() == EXIT_REFUSED
        assert "service.ready" not in [line["event"] for line in service.log]


async def test_a_service_that_does_not_end_is_cut_off(nats_server: NatsServer) -> None:
    async with running("await asyncio.sleep(60)", nats_server.url) as service:
        await service.until("service.started")
        service.process.send_signal(signal.SIGTERM)
        assert await service.exit_status() == 0
        assert "service.drain_cut" in [line["event"] for line in service.log]


STUBBORN = """for _ in range(3):
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:  # as wait_for may on Python 3.11
            pass"""


async def test_a_service_that_swallows_its_cancellation_ends_all_the_same_and_is_named(nats_server: NatsServer) -> None:
    async with running(STUBBORN, nats_server.url) as service:
        await service.until("service.started")
        service.process.send_signal(signal.SIGTERM)
        assert await service.exit_status() == 0
        (stuck,) = [line for line in service.log if line["event"] == "service.tasks_stuck"]
        assert stuck["tasks"] == ["ingest"]


async def test_a_taken_admin_port_is_refused_with_the_setting_to_change(nats_server: NatsServer) -> None:
    async with running(WAITS, nats_server.url, PANTAU_ADMIN_PORT=str(nats_server.port)) as service:
        assert await service.exit_status() == EXIT_REFUSED
        assert "PANTAU_ADMIN_PORT" in str(service.log[-1]["error"])


@given(st.text(max_size=100), st.sampled_from(["registry", "ingest", "recorder", "wall"]))
def test_any_hosts_name_makes_an_id(host: str, service: str) -> None:
    assert is_id(default_worker(service, host))
