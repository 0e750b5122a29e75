"""Cameras' credentials on the way from the registry to ingest: sealed, migrated, sealed anew, and nowhere on disk."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from services.contracts import subjects
from services.contracts.models import CameraSecret, Credentials, SealingKey
from services.ingest.secrets import OpenedSecrets
from services.mesh.buckets import Bucket
from services.mesh.bus import Bus
from services.mesh.sealing import load_keys, rotate_keys
from services.mesh.tasks import end
from services.registry.secrets import SecretStore
from tests.eventually import eventually

pytestmark = pytest.mark.integration

LOGIN = Credentials(username="operator-of-jalan-ijen", password="hunter2-hunter2-hunter2")


@asynccontextmanager
async def ingest(bus: Bus, data: Path) -> AsyncIterator[OpenedSecrets]:
    """A machine's ingest, as far as it has to do with credentials."""
    opened = await OpenedSecrets.open(bus, data / "ingest.key", data.name, lambda *_: None)
    running = asyncio.create_task(opened.run())
    try:
        await opened.ready.wait()
        yield opened
    finally:
        await end([running])


@asynccontextmanager
async def registry(bus: Bus, data: Path) -> AsyncIterator[SecretStore]:
    store = await SecretStore.open(bus, data)
    running = asyncio.create_task(store.run())
    try:
        yield store
    finally:
        await end([running])


async def boxes(bus: Bus, camera: str) -> set[str]:
    bucket = await Bucket.open(bus, subjects.SECRETS_BUCKET, CameraSecret)
    found = await bucket.get(camera)
    return set(found[0].boxes) if found else set()


def on_disk(folder: Path) -> list[str]:
    """Files that show a part of the login."""
    return [str(path) for path in folder.rglob("*") if path.is_file() and _shows_login(path)]


def _shows_login(path: Path) -> bool:
    try:
        content = path.read_bytes()
    except FileNotFoundError:  # nats-server has removed it
        return False
    return LOGIN.username.encode() in content or LOGIN.password.encode() in content


def login(opened: OpenedSecrets) -> Credentials | None:
    """What a machine has for the camera: none while it is sealed for others alone."""
    return opened.entries["cam-1"][0] if "cam-1" in opened.entries else None


async def test_what_an_earlier_version_wrote_is_sealed_and_overwritten_on_disk(bus: Bus, tmp_path: Path) -> None:
    bucket = await Bucket.open(bus, subjects.SECRETS_BUCKET, Credentials)
    await bucket.put("cam-1", LOGIN)
    await eventually(lambda: on_disk(tmp_path / "nats") != [])
    async with ingest(bus, tmp_path / "here") as opened:
        await eventually(lambda: login(opened) == LOGIN)
        await eventually(lambda: on_disk(tmp_path / "nats") == [])
        await eventually(lambda: login(opened) == LOGIN)
    assert await boxes(bus, "cam-1") == {load_keys(tmp_path / "here" / "ingest.key").current.id}


async def test_the_registry_seals_and_knows_again_what_it_cannot_read(bus: Bus, tmp_path: Path) -> None:
    async with ingest(bus, tmp_path / "here") as opened, registry(bus, tmp_path / "registry") as store:
        keys = await Bucket.open(bus, subjects.SEALING_BUCKET, SealingKey)
        while not await keys.keys():
            await asyncio.sleep(0.02)
        while not await boxes(bus, "cam-1"):
            await store.put("cam-1", LOGIN)
        assert login(opened) in (None, LOGIN)
        await eventually(lambda: login(opened) == LOGIN)
        kept = await store.get("cam-1")
        assert kept is not None
        assert kept == LOGIN
        assert kept != Credentials(username=LOGIN.username, password="another")
        assert kept.is_user(LOGIN.username)
        assert not kept.is_user("root")
        assert LOGIN.password not in repr(kept)
        assert on_disk(tmp_path / "nats") == []
        await store.delete("cam-1")
        await eventually(lambda: "cam-1" not in opened.entries)
        assert await store.get("cam-1") is None


async def test_a_second_machine_and_a_rotated_key_open_what_was_there_before(bus: Bus, tmp_path: Path) -> None:
    bucket = await Bucket.open(bus, subjects.SECRETS_BUCKET, Credentials)
    await bucket.put("cam-1", LOGIN)
    first, second = tmp_path / "first" / "ingest.key", tmp_path / "second" / "ingest.key"
    async with ingest(bus, first.parent) as one, ingest(bus, second.parent) as two:
        ids = {load_keys(path).current.id for path in (first, second)}
        while await boxes(bus, "cam-1") != ids:
            await asyncio.sleep(0.02)
        await eventually(lambda: login(two) == LOGIN)
        new = rotate_keys(first).current.id
        while await boxes(bus, "cam-1") != {new, load_keys(second).current.id}:
            await asyncio.sleep(0.02)
        await eventually(lambda: len(load_keys(first).keys) == 1)
        await eventually(lambda: login(one) == LOGIN)
