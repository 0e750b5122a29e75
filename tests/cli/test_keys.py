"""The commands about keys: those of services, and a nats-server's keys and configuration."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from services.cli import pantau
from services.contracts import subjects
from services.contracts.errors import ConflictError, NotFoundError
from services.contracts.models import Camera
from services.mesh.buckets import Bucket
from services.mesh.bus import Bus
from services.mesh.nats_server import NatsServer, config
from services.mesh.sealing import load_keys
from services.mesh.settings import MeshSettings

CAMERA = Camera.model_validate(
    {"id": "cam-1", "site": "malang", "name": "x", "profiles": {"main": {"url": "rtsp://camera/"}}}
)


def run(*arguments: object) -> Result:
    """A command's result; a refusal is raised as it is."""
    done = CliRunner(env={"PANTAU_SITE": "malang"}).invoke(pantau, [str(each) for each in arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


@pytest.mark.parametrize("group", ["ingest-key", "registry-key"])
def test_a_service_s_key_is_shown_kept_and_changed(group: str, tmp_path: Path) -> None:
    path, copy = tmp_path / "ingest.key", tmp_path / "copy.key"
    with pytest.raises(NotFoundError, match="first start"):
        run(group, "show", "--file", path)
    first = load_keys(path).current.id
    assert run(group, "show", "--file", path).output == f"{first}\n"
    run(group, "backup", copy, "--file", path)
    assert copy.read_text() == path.read_text()
    assert copy.stat().st_mode & 0o077 == 0
    with pytest.raises(ConflictError):
        run(group, "backup", copy, "--file", path)
    assert first not in run(group, "rotate", "--file", path).output
    new, old = run(group, "show", "--file", path).output.splitlines()
    assert new == load_keys(path).current.id
    assert old.startswith(first)


async def test_a_configuration_with_creds_takes_over_what_a_mesh_with_one_password_kept(tmp_path: Path) -> None:
    store = tmp_path / "store"
    former = config(store / "jetstream", login=("pantau", "hunter2"))
    async with NatsServer(tmp_path / "nats", text=former) as server:
        environ = {"PANTAU_NATS_URL": server.url, "PANTAU_NATS_USER": "pantau", "PANTAU_NATS_PASSWORD": "hunter2"}
        bus = await Bus.connect(MeshSettings.load(environ), "registry")
        await (await Bucket.open(bus, subjects.CAMERAS_BUCKET, Camera)).put("cam-1", CAMERA)
        await bus.close()
    folder = tmp_path / "authority"
    for _ in range(2):  # again after an update
        made = run("nats", "init", folder, "--store", store, "--host", "127.0.0.1", "--adopt", store / "jetstream")
    assert "for the site malang" in made.output
    assert [each.name for each in folder.rglob("*") if each.is_file() and each.stat().st_mode & 0o077] == ["nats.conf"]
    text = (folder / "nats.conf").read_text()
    seeds = [path.read_text() for path in (folder / "accounts").glob("*.json")]
    assert not any(part in text for seed in seeds for part in seed.split('"') if part.startswith("SA"))
    text = text.replace("port: 4222", "port: -1").replace("127.0.0.1:8222", "127.0.0.1:-1")
    async with NatsServer(tmp_path / "nats", text=text) as server:
        for service in ("registry", "ingest", "recorder", "front", "relay"):
            settings = MeshSettings(nats_url=server.url, nats_creds=folder / "creds")
            bus = await Bus.connect(settings, service)
            assert await (await Bucket.open(bus, subjects.CAMERAS_BUCKET, Camera)).get("cam-1") == (CAMERA, 1)
            await bus.close()


def test_half_a_certificate_is_refused(tmp_path: Path) -> None:
    assert "go together" in run("nats", "init", tmp_path / "a", "--cert", "x.pem").output


def test_a_certificate_is_made_by_one_command(tmp_path: Path) -> None:
    said = run("ca", tmp_path / "tls", "--host", "wall.malang.example").output
    assert "wall.malang.example" in said
    assert (tmp_path / "tls" / "server.key").stat().st_mode & 0o077 == 0
