"""The nats-server child: up in no time, on the same port again, never left behind."""

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from services.mesh.nats_server import NatsServer, NatsServerError, environment
from tests.processes import runs


async def test_it_comes_back_on_the_same_port_with_what_it_kept(tmp_path: Path) -> None:
    async with NatsServer(tmp_path) as server:
        url, first = server.url, server.pid
        await server.kill()
        assert await server.wait() == -signal.SIGKILL
        await server.start()
        assert server.url == url
        assert server.pid != first


def test_go_has_few_threads_and_collects_seldom_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 16)
    monkeypatch.setattr("os.sysconf", {"SC_PHYS_PAGES": 2_000_000, "SC_PAGE_SIZE": 4096}.__getitem__)
    monkeypatch.setattr("services.mesh.nats_server.cpu_limit", lambda: float("inf"))
    monkeypatch.setattr("services.mesh.nats_server.memory_limit_bytes", lambda: float("inf"))
    given = {"GOMAXPROCS": "4", "GOGC": "400", "GOMEMLIMIT": "2048000000"}
    assert environment({"HOME": "/here"}) == {"HOME": "/here", **given}
    monkeypatch.setattr("services.mesh.nats_server.cpu_limit", lambda: 8.5)
    monkeypatch.setattr("services.mesh.nats_server.memory_limit_bytes", lambda: float(1 << 30))
    assert environment({}) == given | {"GOMAXPROCS": "2", "GOMEMLIMIT": "268435456"}
    own = {"GOMAXPROCS": "12", "GOGC": "100", "GOMEMLIMIT": "1GiB"}
    assert environment(own) == own
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    assert environment({})["GOMAXPROCS"] == "1"


async def test_a_taken_port_is_told(tmp_path: Path) -> None:
    async with NatsServer(tmp_path / "a") as first:
        with pytest.raises(NatsServerError, match="address already in use"):
            await NatsServer(tmp_path / "b", port=first.port).start()


async def test_a_bad_configuration_is_told(tmp_path: Path) -> None:
    with pytest.raises(NatsServerError, match="ended at once"):
        await NatsServer(tmp_path, text="port: -1\nnonsense: {").start()


async def test_its_password_is_for_its_owners_eyes(tmp_path: Path) -> None:
    async with NatsServer(tmp_path, login=("pantau", "hunter2")) as server:
        assert "hunter2" not in server.url
        assert "hunter2" in (tmp_path / "nats.conf").read_text()
        assert (tmp_path / "nats.conf").stat().st_mode & 0o077 == 0
        assert b"hunter2" not in _command_line(server.pid)


async def test_it_ends_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    code = (
        "import asyncio, sys\nfrom pathlib import Path\nfrom services.mesh.nats_server import NatsServer\n"
        "async def main():\n"
        "    server = NatsServer(Path(sys.argv[1])); await server.start(); print(server.pid, flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    child = int(await parent.stdout.readline())
    parent.kill()
    await parent.wait()
    async with asyncio.timeout(90):
        while runs(child):
            await asyncio.sleep(0.02)


def _command_line(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()
