"""kill -9 of everything that takes part in an export, one after the other while it is made: it is made all the same."""

import asyncio
import hashlib
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from services.wall.front.http.times import rfc3339
from tests.eventually import while_it_moves
from tests.integration.up_process import Up, running

# Pictures are converted by a process of low priority, and each kill begins it again.
pytestmark = [pytest.mark.chaos, pytest.mark.timeout(1200)]
LENGTH_SECONDS = 20
PATIENCE_SECONDS = 120.0


async def ask(up: Up, method: str, path: str, body: object = None) -> Any:
    """An answer of the API; again where the wall is on its way back."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        with suppress(aiohttp.ClientError, TimeoutError):
            async with (
                aiohttp.ClientSession() as client,
                client.request(method, f"{up.url}/api/v1{path}", json=body) as answer,
            ):
                if answer.status < 500:
                    assert answer.status < 300, await answer.text()
                    return await answer.read() if path.endswith("/file") else await answer.json()
        assert time.monotonic() < deadline, path
        await asyncio.sleep(0.2)


async def until_status(up: Up, job: str, *statuses: str) -> dict[str, Any]:
    """The job once it is one of ``statuses``. A process of low priority makes it: beside others it takes minutes."""
    return dict(
        await while_it_moves(
            lambda: ask(up, "GET", f"/exports/{job}"),
            lambda found: found["status"] in statuses,
            lambda found: (found["status"], found["progress"], found["detail"]),
        )
    )


async def test_an_export_outlives_the_death_of_every_service(tmp_path: Path) -> None:
    async with running(tmp_path, "--demo=2") as up:
        cameras = ["cam-001", "cam-002"]
        await up.online(*cameras)
        begun_us = time.time_ns() // 1000
        await asyncio.sleep(LENGTH_SECONDS + 12)
        body = {
            "kind": "clip",
            "cameras": cameras,
            "from": rfc3339(begun_us),
            "to": rfc3339(begun_us + LENGTH_SECONDS * 1_000_000),
            "burn_in": True,
        }
        made = (await ask(up, "POST", "/exports", body))["id"]
        for victim in ("wall", "recorder", "registry", "nats"):
            await until_status(up, made, "running", "waiting", "done")
            await up.kill_child(victim)
        done = await until_status(up, made, "done", "failed")
        assert done["status"] == "done", done["detail"]
        for victim in ("nats", "wall"):
            await up.kill_child(victim)
            data = await ask(up, "GET", f"/exports/{made}/file")
            assert hashlib.sha256(data).hexdigest() == done["file"]["sha256"]
        (job,) = (await ask(up, "GET", "/exports"))["exports"]
        assert (job["id"], job["detail"]) == (made, ""), "no camera's footage is missing in it"
