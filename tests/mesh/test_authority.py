"""The accounts and users of a mesh on a real nats-server: who may what, and who is put out."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from services.contracts import subjects
from services.contracts.bus_rights import INBOX, STREAMS, BusRole, inbox_prefix, rights, traffic
from services.contracts.errors import NobodyThereError, NotFoundError
from services.contracts.models import Camera
from services.mesh import rpc
from services.mesh.authority import CITY, EVERYTHING, Authority, AuthorityError
from services.mesh.buckets import Bucket, make_buckets
from services.mesh.bus import Bus, BusMessage
from services.mesh.nats_claims import AccountClaims, AccountLimits, Import
from services.mesh.nats_server import NatsServer, adopt_store, config
from services.mesh.nkeys import BadKeyError, Creds, NKey, verifies
from services.mesh.settings import MeshSettings
from tests.flushed import flushed

HOME: Final = "city"
SERVICES: Final = tuple(role for role in BusRole if role is not BusRole.ADMIN)


class Mesh(NamedTuple):
    """A nats-server and the keys it trusts."""

    server: NatsServer
    authority: Authority

    async def sign_in(self, user: str) -> Bus:
        """Connects as one of its users."""
        return await self.with_creds(self.authority.creds_path(user), user)

    async def with_creds(self, path: Path, name: str) -> Bus:
        """Connects with a creds file."""
        return await Bus.connect(MeshSettings(nats_url=self.server.url, nats_creds=path), name)


@pytest.fixture
async def mesh(tmp_path: Path) -> AsyncIterator[Mesh]:
    authority = Authority.open(tmp_path / "authority", HOME)
    text = config(tmp_path / "jetstream", more=authority.server_lines(str(tmp_path / "accounts")))
    async with NatsServer(tmp_path / "nats", text=text) as server:
        yield Mesh(server, authority)


def matches(pattern: str, subject: str) -> bool:
    """NATS's rule for wildcards, ``subject`` without any."""
    wanted, given = pattern.split("."), subject.split(".")
    for place, token in enumerate(wanted):
        if token == ">":
            return len(given) > place
        if place >= len(given) or token not in ("*", given[place]):
            return False
    return len(wanted) == len(given)


def concrete(pattern: str) -> str:
    return ".".join("x" if token in ("*", ">") else token for token in pattern.split("."))


def all_subjects() -> list[str]:
    """One subject for each row of the table, each stream's and bucket's own, and what lies beside them."""
    found = {concrete(subject) for row in traffic(HOME) for subject in row.subjects}
    for stream in STREAMS:
        found |= {concrete(subject) for subject in stream.subjects}
        verbs = ("CREATE", "UPDATE", "DELETE", "PURGE", "INFO", "MSG.GET", "MSG.DELETE", "SNAPSHOT", "RESTORE")
        found |= {f"$JS.API.STREAM.{verb}.{stream.name}" for verb in verbs}
        found |= {
            f"$JS.API.CONSUMER.CREATE.{stream.name}",
            f"$JS.API.DIRECT.GET.{stream.name}",
            f"$JS.FC.{stream.name}.x.y",
        }
    found |= {f"{inbox_prefix(role)}.x" for role in BusRole} | {f"{INBOX}.x.y"}
    found |= {"$SRV.PING", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.CREATE.OTHER", "$SYS.REQ.SERVER.PING"}
    return sorted(found | {"pantau.v1.city.anything.else", "pantau.v1.mall.state.cam-1"})


async def violations(mesh: Mesh, role: BusRole, action: str, every: list[str]) -> set[str]:
    """The subjects of ``every`` that nats-server refuses to a role."""
    refused: set[str] = set()
    bus = await mesh.sign_in(role)

    async def note(error: Exception) -> None:
        text = str(error)
        if "violation" in text.lower():
            refused.add(text.split('"')[1].lower())

    bus.client._error_cb = note
    try:
        for subject in every:
            if action == "publish":
                await bus.client.publish(subject, b"")
            else:
                await bus.client.subscribe(subject)
        await flushed(bus.client)
    finally:
        await bus.close()
    return {subject for subject in every if subject.lower() in refused}


@pytest.mark.parametrize("action", ["publish", "subscribe"])
async def test_a_role_may_use_its_own_subjects_and_none_of_the_others(mesh: Mesh, action: str) -> None:
    every = all_subjects()
    for role in SERVICES:
        allowed = getattr(rights(role, HOME), action)
        expected = {subject for subject in every if not any(matches(pattern, subject) for pattern in allowed)}
        assert await violations(mesh, role, action, every) == expected, role
        assert 0 < len(expected) < len(every)


async def test_a_role_may_not_listen_to_more_than_its_own_by_wildcards(mesh: Mesh) -> None:
    wide = [
        ">",
        "pantau.>",
        "pantau.v1.>",
        "pantau.v1.city.>",
        "*.>",
        "_INBOX.>",
        "_INBOX.*.*",
        "$JS.>",
        "$KV.>",
        "$SRV.>",
    ]
    for role in SERVICES:
        assert await violations(mesh, role, "subscribe", wide) == set(wide), role


async def test_the_registry_makes_buckets_and_the_others_wait_for_them(mesh: Mesh) -> None:
    front, registry = await mesh.sign_in("front"), await mesh.sign_in("registry")
    try:
        opening = asyncio.create_task(Bucket.open(front, subjects.CAMERAS_BUCKET, Camera))
        await make_buckets(registry)
        cameras = await opening
        assert await cameras.keys() == []
    finally:
        await front.close()
        await registry.close()


async def test_a_question_that_asks_to_be_answered_elsewhere_than_in_an_inbox_is_not_answered(mesh: Mesh) -> None:
    relay, ingest = await mesh.sign_in("relay"), await mesh.sign_in("ingest")
    heard: list[str] = []

    async def answer(message: BusMessage) -> None:
        heard.append(message.reply)
        await ingest.publish(message.reply, b"frame")

    try:
        want = subjects.want(HOME, "main", "cam-1")
        await ingest.subscribe(want, answer)
        await flushed(ingest.client)
        await relay.publish(want, b"", reply=subjects.media(HOME, "main", "cam-2"))
        assert (await relay.request(want, b"")).data == b"frame"
        assert [reply.split(".")[0] for reply in heard] == [INBOX]
    finally:
        await relay.close()
        await ingest.close()


async def test_who_has_no_creds_or_those_of_another_mesh_stays_outside(mesh: Mesh, tmp_path: Path) -> None:
    stranger = Authority.open(tmp_path / "other", HOME)
    for path in (None, stranger.creds_path("admin")):
        connecting = asyncio.create_task(
            Bus.connect(MeshSettings(nats_url=mesh.server.url, nats_creds=path), "stranger")
        )
        log = tmp_path / "nats" / "nats.log"
        async with asyncio.timeout(60):
            while "authentication error" not in log.read_text():
                await asyncio.sleep(0.02)
        assert not connecting.done()
        connecting.cancel()
        log.write_text("")


async def test_an_account_is_added_bounded_and_revoked_while_the_server_runs(mesh: Mesh, tmp_path: Path) -> None:
    authority = mesh.authority
    city, system = await mesh.sign_in("admin"), await mesh.sign_in("sys")
    share = Import("pantau.v1.*.camera.>", authority.account_key(CITY).public)
    authority.make_account("AGENCY_police", AccountClaims(AccountLimits(connections=1), imports=(share,)))
    await authority.push(system, "AGENCY_police")
    creds = tmp_path / "police.creds"
    creds.write_text(authority.user_creds("AGENCY_police", "police", EVERYTHING).text())
    police = await mesh.with_creds(creds, "police")
    heard: asyncio.Queue[str] = asyncio.Queue()

    async def hear(message: BusMessage) -> None:
        heard.put_nowait(message.subject)

    await police.subscribe(">", hear)
    await flushed(police.client)
    for subject in ("pantau.v1.city.audit.exported.x", "pantau.v1.city.camera.online.x"):
        await city.publish(subject, b"")
    async with asyncio.timeout(60):
        assert await heard.get() == "pantau.v1.city.camera.online.x"
    await authority.revoke(system, "AGENCY_police")
    async with asyncio.timeout(60):
        while police.connected:
            await asyncio.sleep(0.02)
    with pytest.raises(NotFoundError):
        authority.account_key("AGENCY_police")
    with pytest.raises(NobodyThereError):
        await authority.push(city, "SYS")  # the city's account is not the system's
    for bus in (police, city, system):
        await bus.close()


async def test_a_user_of_another_maker_may_have_a_name_that_is_no_subject(mesh: Mesh, tmp_path: Path) -> None:
    path = tmp_path / "theirs.creds"
    path.write_text(mesh.authority.user_creds(CITY, "City Hall, all > services", EVERYTHING).text())
    bus = await mesh.with_creds(path, "registry")
    assert await bus.store_answers(30)
    await bus.close()


async def test_what_jetstream_kept_for_a_mesh_with_one_password_is_the_services_afterwards(tmp_path: Path) -> None:
    store = tmp_path / "jetstream"
    async with NatsServer(tmp_path / "nats", text=config(store, login=("pantau", "hunter2"))) as server:
        environ = {"PANTAU_NATS_URL": server.url, "PANTAU_NATS_USER": "pantau", "PANTAU_NATS_PASSWORD": "hunter2"}
        before = await Bus.connect(MeshSettings.load(environ), "test")
        await (await Bucket.open(before, subjects.CAMERAS_BUCKET, Camera)).put("cam-1", CAMERA)
        await before.close()
    authority = Authority.open(tmp_path / "authority", HOME)
    account = authority.account_key(CITY).public
    assert adopt_store(store, account)
    assert not adopt_store(store, account)
    text = config(store, more=authority.server_lines(str(tmp_path / "accounts")))
    async with NatsServer(tmp_path / "nats", text=text) as server:
        after = await Mesh(server, authority).sign_in("relay")
        assert await (await Bucket.open(after, subjects.CAMERAS_BUCKET, Camera)).get("cam-1") == (CAMERA, 1)
        await after.close()


CAMERA: Final = Camera(id="cam-1", site="city", name="x", profiles={"main": {"url": "rtsp://camera/"}})


def test_the_keys_stay_and_the_creds_are_made_anew_and_all_are_for_their_owner_alone(tmp_path: Path) -> None:
    first = Authority.open(tmp_path / "keys", HOME)
    account, creds = first.account_key(CITY).public, first.creds_path("relay").read_text()
    again = Authority.open(tmp_path / "keys", HOME)
    assert again.account_key(CITY).public == account
    assert again.creds_path("relay").read_text() != creds
    assert [path for path in (tmp_path / "keys").rglob("*") if path.stat().st_mode & 0o077] == []


def test_a_folder_without_keys_is_refused_with_who_makes_them(tmp_path: Path) -> None:
    with pytest.raises(AuthorityError, match="pantau nats init"):
        Authority.existing(tmp_path, HOME)


@pytest.mark.parametrize("kind", ["operator", "account", "user"])
def test_a_key_is_read_from_its_seed(kind: str) -> None:
    key = NKey.new(kind)
    again = NKey.from_seed(key.seed)
    assert (again.kind, again.public) == (kind, key.public)
    assert key.public[0] == kind[0].upper()
    assert key.seed[:2] == f"S{kind[0].upper()}"
    assert verifies(key.public, b"message", again.sign(b"message"))
    assert not verifies(key.public, b"another", again.sign(b"message"))


@pytest.mark.parametrize("text", ["", "SU", "not base32!", "SUAM"])
def test_what_is_no_seed_is_refused(text: str) -> None:
    with pytest.raises(BadKeyError):
        NKey.from_seed(text)


def test_a_mistyped_seed_is_refused_without_being_quoted() -> None:
    key = NKey.new("user")
    other = "A" if key.seed[20] != "A" else "B"
    for text in (key.public, f"{key.seed[:20]}{other}{key.seed[21:]}", key.seed[:-4]):
        with pytest.raises(BadKeyError) as refused:
            NKey.from_seed(text)
        assert text not in refused.value.message


def test_a_file_that_holds_no_creds_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.creds").write_text("hello")
    for name in ("a.creds", "none.creds"):
        with pytest.raises(BadKeyError, match=name):
            Creds.read(tmp_path / name)


async def test_a_person_with_the_nats_command_is_answered_wherever_their_inbox_is(mesh: Mesh) -> None:
    registry, admin = await mesh.sign_in("registry"), await mesh.sign_in("admin")
    answers: asyncio.Queue[bytes] = asyncio.Queue()

    async def take(message: BusMessage) -> None:
        answers.put_nowait(message.data)

    try:
        async with asyncio.TaskGroup() as tasks:
            service = await rpc.serve(registry, tasks, home=HOME, service="registry", endpoints=())
            await flushed(registry.client)
            await admin.subscribe("_INBOX.of-the-nats-command.1", take)
            await admin.publish("$SRV.PING", b"", reply="_INBOX.of-the-nats-command.1")
            async with asyncio.timeout(60):
                assert b'"registry"' in await answers.get()
            await service.stop()
    finally:
        await registry.close()
        await admin.close()
