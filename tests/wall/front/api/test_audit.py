"""What people do stands in the audit, with who, where and when, and can be asked for."""

import asyncio
from bisect import bisect_left
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from services.contracts.audit_digest import AUDIT_SIGN, AuditDigest, DigestSigned, DigestToSign
from services.contracts.audit_export import ExportVerdict, verify_export
from services.contracts.evidence import statement
from services.contracts.models import WorkerLease
from services.contracts.permissions import Actor, Role
from services.contracts.subjects import AUDIT_STREAM
from services.mesh import rpc
from services.mesh.bus import Bus
from services.mesh.clock import ManualClock, SystemClock
from services.mesh.event_stream import EventOutbox, ensure_stream
from services.mesh.leases import Lease, Workers
from services.mesh.settings import MeshSettings
from services.mesh.tasks import end
from services.registry.audit_digests import AuditDigests
from services.wall.front.api.audit import AuditEntry, _harmless, _Newest, start_of_newest
from services.wall.front.auth import accounts
from services.wall.front.auth.throttle import FREE_OF_ADDRESS
from services.wall.front.http.audit_gate import EVERY_SECONDS, AuditGate
from services.wall.relay.viewing import SessionViews
from tests.eventually import eventually
from tests.wall.front.running import RunningFront, running_front

DAY: dict[str, str] = {"from": "2020-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z"}


async def entries(front: RunningFront, headers: dict[str, str], **query: str) -> list[dict[str, Any]]:
    async with front.http.get("/api/v1/audit", params=DAY | query, headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        found: list[dict[str, Any]] = (await answer.json())["entries"]
        return found


async def exported(front: RunningFront, **days: str) -> ExportVerdict:
    async with front.http.get("/api/v1/audit/export.jsonl", params=days) as answer:
        assert answer.status == 200, await answer.text()
        return verify_export((await answer.read()).splitlines())


async def until_told(front: RunningFront, headers: dict[str, str], action: str, **query: str) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while not (found := await entries(front, headers, action=action, **query)):
            await asyncio.sleep(0.05)
    return found[0]


def two_people(folder: Path) -> tuple[Path, dict[str, str], dict[str, str]]:
    """An accounts file, and the headers of a viewer and of a supervisor."""
    tokens = [accounts.new_token(), accounts.new_token()]
    path = folder / "accounts.toml"
    people = (("ani", Role.VIEWER), ("sari", Role.SUPERVISOR))
    accounts.write_accounts(
        path,
        [
            accounts.Account(name=name, role=role, token=accounts.hash_token(token))
            for (name, role), token in zip(people, tokens, strict=True)
        ],
    )
    viewer, supervisor = ({"Authorization": f"Bearer {token}"} for token in tokens)
    return path, viewer, supervisor


async def test_refusals_and_changes_are_told_with_person_and_address(
    mesh_settings: MeshSettings, bus: Bus, tmp_path: Path
) -> None:
    await ensure_stream(bus)
    path, viewer, supervisor = two_people(tmp_path)
    async with running_front(mesh_settings, accounts_file=path) as front:
        for _ in range(3):
            async with front.http.get("/api/v1/audit", params=DAY, headers=viewer) as answer:
                assert answer.status == 403
        async with front.http.post("/api/v1/sign-in", json={"name": "ani", "password": "x"}) as answer:
            assert answer.status == 401
        told = await until_told(front, supervisor, "refused")
        assert (told["person"], told["role"], told["address"]) == ("ani", "viewer", "127.0.0.1")
        assert len(await entries(front, supervisor, action="refused")) == 1, "a program could fill the stream"
        assert (await until_told(front, supervisor, "sign-in-refused"))["person"] == "ani"
        assert (await until_told(front, supervisor, "audit-read"))["person"] == "sari"
        assert await entries(front, supervisor, person="nobody") == []
        for limit, complete in (("1000", True), ("1", False)):
            async with front.http.get("/api/v1/audit", params=DAY | {"limit": limit}, headers=supervisor) as answer:
                assert (await answer.json())["complete"] is complete
        async with front.http.get("/api/v1/audit.csv", params=DAY, headers=supervisor) as answer:
            assert answer.content_type == "text/csv"
            lines = (await answer.text()).splitlines()
        assert lines[0].startswith("at,action,person,role,address")
        assert any(",refused,ani,viewer,127.0.0.1," in line for line in lines)


async def test_a_stranger_with_ever_other_names_or_paths_does_not_fill_the_stream(
    mesh_settings: MeshSettings, bus: Bus, tmp_path: Path
) -> None:
    await ensure_stream(bus)
    path, viewer, supervisor = two_people(tmp_path)
    too_long = "é" * 1000  # refused unhashed
    async with running_front(mesh_settings, accounts_file=path) as front:
        statuses = []
        for number in range(FREE_OF_ADDRESS + 10):
            guess = {"name": f"nama-{number}", "password": too_long}
            async with front.http.post("/api/v1/sign-in", json=guess) as answer:
                statuses.append(answer.status)
        assert statuses.count(429) >= 5
        for number in range(5):
            async with front.http.delete(f"/api/v1/cameras/made-up-{number}", headers=viewer) as answer:
                assert answer.status == 403
        await until_told(front, supervisor, "refused")  # sent behind the others
        assert len(await entries(front, supervisor, action="refused")) == 1
        told = [entry["detail"]["why"] for entry in await entries(front, supervisor, action="sign-in-refused")]
        assert told.count("too-many-attempts") == 1


async def test_who_saw_a_camera_at_a_time_is_answered_from_begin_and_end(mesh_settings: MeshSettings, bus: Bus) -> None:
    await ensure_stream(bus)
    clock = ManualClock(SystemClock().now_us() - 3_600_000_000)  # the test's own questions are audited, too
    outbox = EventOutbox(bus, source="/relay/relay-1")
    sending = asyncio.create_task(outbox.run())
    views = SessionViews(Actor("budi", Role.OPERATOR, "a1", "192.0.2.7"), "wall", outbox.post, clock)
    camera = make_camera("cam-1", "city")
    views.aim(0, camera, "live")
    views.aim(0, camera, "live")  # aimed anew at the same camera: one view
    clock.advance(10)
    views.aim(1, camera, "recorded")
    views.at(1_700_000_000_000_000)
    views.at(1_700_000_060_000_000)
    async with running_front(mesh_settings) as front:
        going = await until_told(front, {}, "viewing-live", camera="cam-1")
        assert (going["person"], going["until"], going["target"]) == ("budi", "", "cam-1")
        clock.advance(5)
        views.close()
        ended = await until_told(front, {}, "viewed-live", camera="cam-1")
        assert (ended["session"], ended["address"]) == ("a1", "192.0.2.7")
        since, until = (datetime.fromisoformat(ended[name]) for name in ("since", "until"))
        assert (until - since).total_seconds() == 15
        recorded = await until_told(front, {}, "viewed-recording", camera="cam-1")
        assert recorded["detail"]["from"] == "2023-11-14T22:13:20.000Z"
        assert recorded["detail"]["to"] == "2023-11-14T22:14:20.000Z"
        assert await entries(front, {}, action="viewing-live") == [], "it has ended"
        during = {"from": (since.isoformat()), "to": since.replace(microsecond=999_999).isoformat()}
        assert [each["action"] for each in await entries(front, {}, camera="cam-1", **during)] == ["viewed-live"]
        assert await entries(front, {}, camera="cam-2") == []
    await end([sending])


def make_camera(name: str, site: str) -> Any:
    from services.contracts.models import Camera

    profiles = {"main": {"url": "rtsp://192.0.2.1/"}}
    return Camera.model_validate({"id": name, "site": site, "name": name, "profiles": profiles})


@asynccontextmanager
async def signing_recorder(bus: Bus, home: str) -> AsyncIterator[str]:
    """A recorder that answers the one question; its public key."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    public = statement.public_hex(key)

    async def sign(question: DigestToSign, _actor: Actor) -> DigestSigned:
        digest = AuditDigest(**question.model_dump())
        return DigestSigned(key=public, signature=statement.sign(key, digest.to_bytes()))

    async with asyncio.TaskGroup() as tasks:
        endpoint = rpc.Endpoint(AUDIT_SIGN, DigestToSign, sign, Role.ADMIN)
        micro = await rpc.serve(bus, tasks, home=home, service="recorder", worker="rec-1", endpoints=(endpoint,))
        lease = Lease(bus, home, lambda: WorkerLease(role="recorder", worker="rec-1", incarnation=1))
        running = tasks.create_task(lease.run())
        yield public
        await micro.stop()
        await end([running])


async def test_a_day_has_one_signed_digest_that_tells_what_was_altered(mesh_settings: MeshSettings, bus: Bus) -> None:
    await ensure_stream(bus)
    home, clock = mesh_settings.site, ManualClock(SystemClock().now_us())
    outbox, workers = EventOutbox(bus, source="/registry/a"), Workers(bus, home)
    running = [asyncio.create_task(outbox.run()), asyncio.create_task(workers.run())]
    views = SessionViews(Actor("budi", Role.OPERATOR), "wall", outbox.post, clock)
    views.aim(0, make_camera("cam-1", home), "live")
    await outbox.flush(30)
    digests = AuditDigests(
        bus=bus, home=home, workers=workers, outbox=outbox, leading=lambda: True, clock=clock
    )  # fmt: skip
    async with signing_recorder(bus, home) as public, running_front(mesh_settings) as front:
        await eventually(lambda: bool(workers.alive("recorder")))
        await digests.make()
        await digests.make()  # the same day: nothing more
        await outbox.flush(30)
        clock.advance(86_400)
        await digests.make()
        await outbox.flush(30)
        async with front.http.get("/api/v1/audit/digests") as answer:
            first, second = (await answer.json())["digests"]
        assert (first["entries"], first["key"], first["signed"], first["matches"]) == (1, public, True, True)
        assert (second["previous"], second["matches"]) == (first["sha256"], True)
        assert second["day"] > first["day"]
        whole = await exported(front)
        assert (whole.findings, [each.intact for each in whole.digests]) == ([], [True, True])
        one_day = await exported(front, **{"from": second["day"], "to": second["day"]})
        assert (one_day.findings, [each.intact for each in one_day.digests]) == ([], [None, True])
        assert await bus.js.delete_msg(AUDIT_STREAM, 2)
        cut = await exported(front)
        assert [each.intact for each in cut.digests] == [False]
        assert await bus.js.delete_msg(AUDIT_STREAM, 1)
        async with front.http.get("/api/v1/audit/digests") as answer:
            altered = (await answer.json())["digests"]
        assert [(each["signed"], each["matches"]) for each in altered] == [(True, False)]
    await end(running)


def test_the_gate_lets_one_through_a_minute_and_counts_the_others() -> None:
    clock = ManualClock()
    gate = AuditGate(clock)
    assert [gate.take("a", "b"), gate.take("a", "b"), gate.take("a", "c"), gate.take("a", "b")] == [0, None, 0, None]
    clock.advance(EVERY_SECONDS)
    assert gate.take("a", "b") == 2


def test_a_long_view_is_told_in_parts() -> None:
    told: list[str] = []
    clock = ManualClock()
    views = SessionViews(Actor("a", Role.VIEWER), "wall", lambda event: told.append(event.action), clock)
    views.aim(0, make_camera("cam-1", "city"), "live")
    views.tick()
    clock.advance(3600)
    views.tick()
    views.aim(0, None, "live")
    assert told == ["viewing-live", "viewed-live"] * 2


def test_a_year_of_entries_is_not_held_and_the_newest_stay() -> None:
    found = _Newest(3)
    for at in (5, 1, 9, 7, 9, 2):
        common = {"person": "budi", "role": "viewer", "address": "", "session": "", "site": "city", "target": "wall"}
        found.add(AuditEntry(at=at, action="signed-in", detail={}, **common))
        assert len(found.newest_first()) <= 3
    assert [entry.at for entry in found.newest_first()] == [9, 9, 7]
    assert found.count == 6, "the page says that there are more"


async def test_of_more_entries_than_are_read_the_newest_are() -> None:
    times = [second * 1_000_000 for second in range(100_000)]
    asked = 0

    async def count(since_us: int) -> int:
        nonlocal asked
        asked += 1
        return len(times) - bisect_left(times, since_us)

    assert await start_of_newest(count, 0, 100_000_000_000, 100_000) == 0
    asked = 0
    since_us = await start_of_newest(count, 0, 50_000_000_000, 1000)
    assert 48_999_000_000 < since_us <= 49_004_000_000
    assert asked < 30


def test_no_cell_is_a_formula() -> None:
    assert [_harmless(text) for text in ("=1+1", "@a", "plain")] == ["'=1+1", "'@a", "plain"]
