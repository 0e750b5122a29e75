"""``pantau sim`` as a process."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest

pytestmark = pytest.mark.integration


async def start(*arguments: str, **environ: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.cli", "sim", *arguments,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "PANTAU_ADMIN_PORT": "0", **environ},
    )  # fmt: skip


async def test_it_says_where_it_listens_takes_faults_and_ends_on_sigterm(tmp_path: Path) -> None:
    catalogue = tmp_path / "cameras.json"
    process = await start(
        "--cameras", "3", "--scenes", "1", "--port", "0", "--auth", "digest", "--catalogue", str(catalogue),
        "--fault", "cam-002=stall", PANTAU_SIM_PASSWORD="s3cret",
    )  # fmt: skip
    try:
        assert process.stdout is not None
        async with asyncio.timeout(90):
            said = json.loads(await process.stdout.readline())
        assert said["cameras"] == 3
        cameras = json.loads(catalogue.read_text())
        assert cameras[0]["profiles"]["main"]["url"] == said["rtsp"]
        assert cameras[0]["credentials"] == {"username": "operator", "password": "s3cret"}
        async with aiohttp.ClientSession(said["control"]) as http, asyncio.timeout(90):
            while (await http.get("/readyz")).status != 200:
                await asyncio.sleep(0.1)
            listed = await (await http.get("/cameras")).json()
            assert listed[1]["profiles"]["main"]["faults"] == {"stall": 0}
    finally:
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(90):
            _, errors = await process.communicate()
    assert process.returncode == 0
    assert b"s3cret" not in errors
    assert b"Traceback" not in errors


async def test_a_taken_port_ends_it_with_one_line_that_says_so() -> None:
    holder = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
    port = holder.sockets[0].getsockname()[1]
    process = await start("--cameras", "1", "--port", str(port))
    async with asyncio.timeout(90):
        _, errors = await process.communicate()
    holder.close()
    assert process.returncode == 78
    assert f":{port}".encode() in errors
    assert b"Traceback" not in errors


@pytest.mark.parametrize("arguments", [("--cameras", "0"), ("--fault", "cam-001=what"), ("--profile", "what")])
async def test_an_option_that_makes_no_sense_is_refused_by_name(arguments: tuple[str, str]) -> None:
    process = await start(*arguments)
    async with asyncio.timeout(90):
        _, errors = await process.communicate()
    assert process.returncode not in (0, None)
    assert arguments[0].strip("-").encode() in errors
