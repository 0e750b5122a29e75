"""`pantau up` as a person runs it: one line, everything behind it, and an end in order."""

import asyncio
import json
import re
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import aiohttp
import nats
import pytest

from services.mesh.nats_server import NatsServer
from tests.integration.recorded import files, recorded
from tests.integration.up_process import environment, running, running_with

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]
FRAMES = 50


def refused(*arguments: str, **environ: str) -> str:
    """What a start that must fail says; it may not take longer than a person waits."""
    result = subprocess.run(
        [sys.executable, "-m", "services.cli", "up", *arguments],
        env=environment(**environ), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert result.returncode == 1, result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    return result.stderr


def count_frames(path: Path) -> int:
    """As ffprobe counts them."""
    entries = ["-count_packets", "-show_entries", "stream=nb_read_packets", "-of", "csv=p=0"]
    said = subprocess.run(["ffprobe", "-v", "error", *entries, path], capture_output=True, text=True, check=True).stdout
    return int(said.strip().strip(","))


async def test_one_line_then_cameras_deliver_are_recorded_and_all_ends(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with running(data, "--demo=2") as up:
        await up.online("cam-001", "cam-002")
        async with aiohttp.ClientSession() as client, client.get(up.url) as response:
            assert response.status == 200
            assert "text/html" in response.headers["Content-Type"]
        async with asyncio.timeout(90):
            while any(len(recorded(data, camera)) < FRAMES for camera in ("cam-001", "cam-002")):
                await asyncio.sleep(0.2)
        await up.stop()
    assert up.process.returncode == 0
    stopped = [line["service"] for line in up.log() if line["event"] == "service.stopped"]
    relays_apart = [name for index, name in enumerate(stopped) if name not in stopped[:index]]
    assert relays_apart == ["wall", "ingest", "sim", "recorder", "registry"]
    assert "child.killed" not in {line["event"] for line in up.log()}
    assert running_with(str(data)) == []
    for camera in ("cam-001", "cam-002"):
        assert sum(map(count_frames, files(data, camera))) >= FRAMES


async def test_what_was_registered_is_there_again_and_what_is_simulated_no_more_is_not(tmp_path: Path) -> None:
    async with running(tmp_path, "--demo=2") as up:
        assert set(await up.cameras()) == {"cam-001", "cam-002"}
    async with running(tmp_path) as up:
        assert set(await up.cameras()) == {"cam-001", "cam-002"}
    async with running(tmp_path, "--demo=1") as up:
        await up.online("cam-001")


async def test_a_nats_server_that_is_named_is_used(tmp_path: Path, nats_server: NatsServer) -> None:
    data = tmp_path / "data"
    async with running(data, PANTAU_NATS_URL=nats_server.url):
        client = await nats.connect(nats_server.url)
        inbox = await client.subscribe(reply := client.new_inbox())
        names: set[str] = set()
        async with asyncio.timeout(90):
            while not {"registry", "recorder", "relay"} <= names:
                await client.publish("$SRV.PING", reply=reply)
                with suppress(nats.errors.TimeoutError):
                    while True:
                        names.add(json.loads((await inbox.next_msg(timeout=0.3)).data)["name"])
        await client.close()
    assert not (data / "nats").exists()


async def test_its_nats_server_wants_a_key_that_nobody_sees_and_its_folder_is_its_own(tmp_path: Path) -> None:
    async with running(tmp_path) as up:
        (url,) = [line["url"] for line in up.log() if line["event"] == "nats.started"]
        with pytest.raises(nats.errors.Error, match=r"(?i)authorization"):
            await nats.connect(url, allow_reconnect=False, connect_timeout=60)
        seeds = [
            re.findall(r"\bS[OAU][A-Z2-7]{50,}", path.read_text())
            for path in (tmp_path / "nats" / "authority").rglob("*") if path.is_file() and path.name != "server.json"
        ]  # fmt: skip
        files = [path for path in (tmp_path / "nats").rglob("*") if path.suffix in (".nk", ".json", ".creds", ".conf")]
        assert all(seeds)
        assert [path for path in files if path.stat().st_mode & 0o077] == []
        public = (tmp_path / "nats" / "nats.conf").read_text() + (tmp_path / "log").read_text()
        for (seed,) in seeds:
            assert running_with(seed, ("cmdline", "environ")) == []
            assert seed not in public
        said = await asyncio.to_thread(refused, "--data", str(tmp_path), "--http", "127.0.0.1:0")
        assert f"in use by another pantau up (process {up.process.pid})" in said


def test_a_taken_port_is_told_with_what_to_do(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = refused("--data", str(tmp_path), "--http", f"127.0.0.1:{port}")
    assert said == (
        f"pantau: cannot listen on 127.0.0.1:{port}: address already in use; "
        "stop the program that listens there, or choose another port with --http\n"
    )


def test_a_port_that_only_a_service_finds_taken_ends_the_start_with_its_reason(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("0.0.0.0", 0))
        port = taken.getsockname()[1]
        said = refused("--data", str(tmp_path), "--http", "127.0.0.1:0", PANTAU_WALL_UDP_PORT=str(port))
    assert str(port) in said
    assert "refuses to start" in said


def test_an_address_that_others_reach_is_refused_without_accounts(tmp_path: Path) -> None:
    assert "pantau accounts add" in refused("--data", str(tmp_path), "--http", "0.0.0.0:0")


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"PANTAU_RECORDR_FLOOR": "1"}, "PANTAU_RECORDR_FLOOR"),
        ({"PANTAU_RECORDER_SYNC_SECONDS": "-1"}, "recorder.sync_seconds (PANTAU_RECORDER_SYNC_SECONDS)"),
        ({"PANTAU_ADMIN_PORT": "9000"}, "PANTAU_ADMIN_PORT"),
    ],
)
def test_a_bad_setting_is_said_before_anything_starts(tmp_path: Path, environ: dict[str, str], says: str) -> None:
    data = tmp_path / "data"
    assert says in refused("--data", str(data), "--http", "127.0.0.1:0", **environ)
    assert not data.exists()
