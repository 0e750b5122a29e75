"""The wall's roles: relays' names, and what they are told."""

import asyncio

from services.contracts.subjects import is_id
from services.mesh.settings import MeshSettings
from services.wall.app import MAX_RELAY_NAME, relay_name
from services.wall.children import environment, relay_ports, relay_processes, stop_with


def test_relays_of_one_machine_have_names_of_their_own_that_fit_into_a_session_id() -> None:
    mesh = MeshSettings()
    names = {relay_name(mesh, port) for port in range(8189, 8199)}
    assert len(names) == 10
    assert all(is_id(name) and len(name) <= MAX_RELAY_NAME for name in names)
    assert relay_name(MeshSettings(worker="relay-7"), 8189) == "relay-7"
    long = [relay_name(MeshSettings(worker="x" * 62 + digit), 8189) for digit in "12"]
    assert long[0] != long[1]
    assert all(is_id(name) and len(name) <= MAX_RELAY_NAME for name in long)


def test_each_relay_has_ports_and_a_name_of_its_own_and_says_to_the_parent_that_it_is_well() -> None:
    mesh = MeshSettings(worker="wall-1", admin_port=9200)
    given = {"NOTIFY_SOCKET": "/run/x", "PATH": "/bin"}
    first, second = (environment(i, given, mesh, 8189 + i, "@front") for i in range(2))
    assert (first["PANTAU_WALL_UDP_PORT"], second["PANTAU_WALL_UDP_PORT"]) == ("8189", "8190")
    assert (first["PANTAU_WORKER"], second["PANTAU_WORKER"]) == ("wall-1-0", "wall-1-1")
    assert (first["PANTAU_ADMIN_PORT"], second["PANTAU_ADMIN_PORT"]) == ("9201", "9202")
    assert first["NOTIFY_SOCKET"] == "@front"
    assert first["PATH"] == "/bin"
    free = environment(3, {}, MeshSettings(admin_port=0), 0, "@front")
    assert (free["PANTAU_WALL_UDP_PORT"], free["PANTAU_ADMIN_PORT"]) == ("0", "0")
    assert "PANTAU_ADMIN_PORT" not in environment(0, {}, MeshSettings(), 0, "@front")


def test_there_is_a_relay_for_each_core_unless_a_number_is_given() -> None:
    assert len(relay_processes(None, MeshSettings(), 8189, None, "@front")) >= 1
    assert len(relay_processes(3, MeshSettings(), 8189, None, "@front")) == 3
    assert relay_processes(0, MeshSettings(), 8189, None, "@front") == []
    assert relay_ports(3, 8189) == (8189, 8190, 8191)
    assert relay_ports(2, 0) == (0, 0)


async def test_relays_are_asked_to_end_when_the_wall_is() -> None:
    stopping = asyncio.Event()
    relays = relay_processes(2, MeshSettings(), 0, None, "@front")
    waiting = asyncio.create_task(stop_with(stopping, relays))
    await asyncio.sleep(0)
    assert not any(relay.ended.is_set() for relay in relays)
    stopping.set()
    await waiting
    assert all(relay.ended.is_set() for relay in relays)  # they never ran
