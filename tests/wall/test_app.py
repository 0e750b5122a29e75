"""The wall's roles: relays' names, and what they are told."""

import asyncio
from pathlib import Path

import pytest

from services.contracts.subjects import is_id
from services.mesh.settings import MeshSettings
from services.wall import children
from services.wall.app import MAX_RELAY_NAME, relay_name
from services.wall.children import RelayProcess, RelayRefusedError, environment, relay_ports, relay_processes


def test_relays_of_one_machine_have_names_of_their_own_that_fit_into_a_session_id() -> None:
    mesh = MeshSettings()
    names = {relay_name(mesh, port) for port in range(8189, 8199)}
    assert len(names) == 10
    assert all(is_id(name) and len(name) <= MAX_RELAY_NAME for name in names)
    assert relay_name(MeshSettings(worker="relay-7"), 8189) == "relay-7"
    long = [relay_name(MeshSettings(worker="x" * 62 + digit), 8189) for digit in "12"]
    assert long[0] != long[1]
    assert all(is_id(name) and len(name) <= MAX_RELAY_NAME for name in long)


def test_each_relay_has_ports_and_a_name_of_its_own_and_none_of_the_parents_sockets() -> None:
    mesh = MeshSettings(worker="wall-1", admin_port=9200)
    first, second = (environment(i, {"NOTIFY_SOCKET": "/run/x", "PATH": "/bin"}, mesh, 8189 + i) for i in range(2))
    assert (first["PANTAU_WALL_UDP_PORT"], second["PANTAU_WALL_UDP_PORT"]) == ("8189", "8190")
    assert (first["PANTAU_WORKER"], second["PANTAU_WORKER"]) == ("wall-1-0", "wall-1-1")
    assert (first["PANTAU_ADMIN_PORT"], second["PANTAU_ADMIN_PORT"]) == ("9201", "9202")
    assert "NOTIFY_SOCKET" not in first
    assert first["PATH"] == "/bin"
    free = environment(3, {}, MeshSettings(admin_port=0), 0)
    assert (free["PANTAU_WALL_UDP_PORT"], free["PANTAU_ADMIN_PORT"]) == ("0", "0")
    assert "PANTAU_ADMIN_PORT" not in environment(0, {}, MeshSettings(), 0)


def test_there_is_a_relay_for_each_core_unless_a_number_is_given() -> None:
    assert len(relay_processes(None, MeshSettings(), 8189, None)) >= 1
    assert len(relay_processes(3, MeshSettings(), 8189, None)) == 3
    assert relay_processes(0, MeshSettings(), 8189, None) == []
    assert relay_ports(3, 8189) == (8189, 8190, 8191)
    assert relay_ports(2, 0) == (0, 0)


def script(relay: RelayProcess, code: str) -> RelayProcess:
    """Runs ``code`` in the relay's place."""
    relay._arguments = ["-c", code]
    return relay


async def test_a_relay_that_refuses_at_its_first_start_ends_the_wall() -> None:
    with pytest.raises(RelayRefusedError, match="relay 0"):
        await script(RelayProcess("relay 0", {}, None), "raise SystemExit(78)").keep(asyncio.Event())


async def test_a_relay_that_dies_is_started_again_within_a_second(tmp_path: Path) -> None:
    starts = tmp_path / "starts"
    code = f"open({str(starts)!r}, 'a').write('x'); raise SystemExit(1)"
    stopping = asyncio.Event()
    keeping = asyncio.create_task(script(RelayProcess("relay 0", {}, None), code).keep(stopping))
    async with asyncio.timeout(30):
        while not starts.exists() or len(starts.read_text()) < 3:
            await asyncio.sleep(0.02)
    stopping.set()
    async with asyncio.timeout(2):
        await keeping


async def test_a_relay_that_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(children, "STOP_SECONDS", 0.2)
    armed = tmp_path / "armed"
    code = (
        "import pathlib, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        f"pathlib.Path({str(armed)!r}).touch(); time.sleep(60)"
    )
    relay = script(RelayProcess("relay 0", {}, None), code)
    stopping = asyncio.Event()
    keeping = asyncio.create_task(relay.keep(stopping))
    async with asyncio.timeout(30):
        while not armed.exists():
            await asyncio.sleep(0.01)
    stopping.set()
    async with asyncio.timeout(2):
        await keeping
    assert relay.pid is None
