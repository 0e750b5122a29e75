"""What the children are told, and how."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from services.contracts.errors import PantauError
from services.mesh.settings import MeshSettings
from services.up.app import (
    STOP_ORDER,
    STOP_SECONDS,
    UpPlan,
    bus_environment,
    child_environment,
    command,
    first_leaf,
    relay_environment,
)

PLAN = UpPlan(
    settings=MeshSettings(data=Path("/data")),
    embedded_nats=True,
    nats_host="127.0.0.1",
    nats_port=0,
    nats_certificate=None,
    http_host="127.0.0.1",
    http_port=8080,
    https=False,
    relay_ports=(8189,),
    demo_cameras=0,
    demo_story=True,
    config=Path("/etc/pantau.toml"),
    forked_modules=(),
)
NATS = MeshSettings(nats_url="nats://127.0.0.1:4333", nats_user="pantau", nats_password=SecretStr("hunter2"))


def test_what_is_decided_here_goes_before_what_the_environment_says() -> None:
    given = {"PANTAU_NATS_URL": "nats://else", "PANTAU_NATS_PASSWORD_FILE": "/else", "PANTAU_SITE": "malang", "A": "b"}
    assert child_environment(PLAN, given, NATS, "@socket") == {
        "PANTAU_SITE": "malang",
        "A": "b",
        "PANTAU_NATS_URL": "nats://127.0.0.1:4333",
        "PANTAU_NATS_USER": "pantau",
        "PANTAU_NATS_PASSWORD": "hunter2",
        "PANTAU_DATA": "/data",
        "PANTAU_WALL_HTTP": "127.0.0.1:8080",
        "PANTAU_CONFIG": "/etc/pantau.toml",
        "NOTIFY_SOCKET": "@socket",
    }


def test_each_child_gets_its_own_creds_and_no_others(tmp_path: Path) -> None:
    nats = MeshSettings(nats_url="nats://127.0.0.1:4333", nats_creds=tmp_path)
    for child, user in (("registry", "registry"), ("wall", "front"), ("wall relay 1", "relay"), ("ingest", "ingest")):
        own = bus_environment(child, child_environment(PLAN, {}, nats, "@socket"), nats)
        assert own["PANTAU_NATS_CREDS"] == str(tmp_path / f"{user}.creds")
        assert "PANTAU_NATS_PASSWORD" not in own


def test_a_relay_has_a_port_of_its_own_whatever_was_given_for_the_first() -> None:
    given = {"PANTAU_WALL_UDP_PORT_FILE": "/port", "A": "b"}
    assert relay_environment(given, 8190) == {"A": "b", "PANTAU_WALL_UDP_PORT": "8190"}


def test_no_secret_stands_on_a_command_line() -> None:
    assert "hunter2" not in " ".join(command("wall", "--role", "all"))


@pytest.mark.parametrize(("host", "url"), [("127.0.0.1", "http://127.0.0.1:8080"), ("::1", "http://[::1]:8080")])
def test_the_url_can_be_opened(host: str, url: str) -> None:
    assert PLAN.__class__(**{**PLAN.__dict__, "http_host": host}).url == url


def test_the_order_of_stopping_leaves_time_for_nats_within_five_seconds() -> None:
    names = [name for name, _ in STOP_ORDER]
    assert names.index("wall") < names.index("ingest") < names.index("recorder") < names.index("registry")
    before_recorder = sum(patience for name, patience in STOP_ORDER if names.index(name) < names.index("recorder"))
    assert STOP_SECONDS - before_recorder >= 1.5  # the least a recorder has to close its files
    assert STOP_SECONDS < 4.5


def test_the_message_of_a_refusal_is_found_in_a_group_of_groups() -> None:
    error = PantauError("the port is taken")
    group = ExceptionGroup("a", [ExceptionGroup("b", [error]), ValueError()]).subgroup(PantauError)
    assert group is not None
    assert first_leaf(group) is error
