"""The registry on a real nats-server: catalogue, assignments, observed state, leadership."""

import asyncio

import pytest

from services.contracts import events, subjects
from services.contracts.catalogue import (
    CameraEntry,
    CameraInput,
    CameraKey,
    CameraList,
    CameraPatch,
    CameraQuery,
    CameraRemovalReply,
    CameraRemove,
    CameraUpdate,
    ImportReport,
    ImportRequest,
)
from services.contracts.errors import ConflictError, ForbiddenError, InvalidInputError, NotFoundError
from services.contracts.models import (
    Assignment,
    CameraState,
    Credentials,
    Model,
    ProfileReport,
    Status,
    ToldAssignment,
)
from services.contracts.permissions import Actor, Role
from services.mesh.buckets import Bucket
from services.mesh.bus import Bus, BusMessage
from services.mesh.clock import SystemClock
from services.mesh.log import get_logger
from services.mesh.settings import MeshSettings
from services.mesh.troubles import TroubleBook
from tests.registry.running import (
    Worker,
    add,
    ask,
    camera,
    collected,
    crash,
    eventually,
    holder,
    registry,
    until,
)

log = get_logger()
pytestmark = pytest.mark.integration
ONLINE = ProfileReport(status="online", codec="h264", width_px=1280, height_px=720, frame_rate=25)


class Unchecked(Model):
    """What a client of another make may send."""

    id: str
    patch: dict[str, object]


async def test_credentials_go_in_and_never_come_out(bus: Bus, mesh_settings: MeshSettings) -> None:
    async with registry(mesh_settings):
        given = CameraInput.model_validate(
            {"name": "Alun-Alun Merdeka", "profiles": {"main": "rtsp://admin:hunter2@10.0.0.1/1"}}
        )
        added = await ask(bus, "cameras-add", given, CameraEntry)
        assert added.camera.id == "alun-alun-merdeka"
        assert added.camera.site == "city"
        assert added.camera.has_credentials
        listed = await ask(bus, "cameras-list", CameraQuery(), CameraList)
        assert "hunter2" not in repr((added, listed, await collected(bus)))
        secrets = await Bucket.open(bus, subjects.SECRETS_BUCKET, Credentials)
        kept = await secrets.get("alun-alun-merdeka")
        assert kept is not None
        assert kept[0] == Credentials(username="admin", password="hunter2")
        await ask(bus, "cameras-remove", CameraRemove(id="alun-alun-merdeka"), CameraRemovalReply)
        assert await secrets.get("alun-alun-merdeka") is None


async def test_changes_are_refused_to_a_viewer_and_to_whoever_was_slower(bus: Bus, mesh_settings: MeshSettings) -> None:
    viewer = Actor("siti", Role.VIEWER)
    async with registry(mesh_settings):
        with pytest.raises(ForbiddenError):
            await ask(bus, "cameras-add", camera("One"), CameraEntry, actor=viewer)
        first = await ask(bus, "cameras-add", camera("One"), CameraEntry)
        with pytest.raises(ConflictError):
            await ask(bus, "cameras-add", camera("One"), CameraEntry)
        change = CameraUpdate(id="one", patch=CameraPatch(name="Uno"), revision=first.revision)
        second = await ask(bus, "cameras-update", change, CameraEntry)
        assert second.camera.name == "Uno"
        with pytest.raises(ConflictError):
            await ask(bus, "cameras-update", change, CameraEntry)
        with pytest.raises(ConflictError):
            await ask(bus, "cameras-remove", CameraRemove(id="one", revision=first.revision), CameraRemovalReply)
        with pytest.raises(NotFoundError):
            await ask(bus, "cameras-get", CameraKey(id="two"), CameraEntry)
        with pytest.raises(InvalidInputError, match="name cannot be null"):
            await ask(bus, "cameras-update", Unchecked(id="one", patch={"name": None}), CameraEntry)
        got = await ask(bus, "cameras-get", CameraKey(id="one"), CameraEntry, actor=viewer)
        assert got.revision == second.revision


async def test_a_restarted_registry_has_lost_nothing(bus: Bus, mesh_settings: MeshSettings) -> None:
    async with registry(mesh_settings):
        await add(bus, "One", "Two")
        await eventually(lambda: collected(bus), lambda told: len(told) >= 4)
    async with registry(mesh_settings, worker="registry-2"):
        listed = await ask(bus, "cameras-list", CameraQuery(), CameraList)
        assert [entry.camera.id for entry in listed.cameras] == ["one", "two"]
    told = await collected(bus)
    assert [event.type for event in told].count("camera.registered") == 2
    assert [event.action for event in told if isinstance(event, events.Audit)] == ["camera-added", "camera-added"]


async def test_an_import_reports_row_by_row_and_a_bad_row_keeps_no_other_out(
    bus: Bus, mesh_settings: MeshSettings
) -> None:
    text = (
        "nama,main_url,username,password,lat,lon,aktif\n"
        "Simpang Kayutangan,rtsp://10.0.0.1/1,admin,rahasia,-7.98,112.63,ya\n"
        "Bad,ftp://10.0.0.2/1,,,,,\n"
        "Pasar Besar,rtsp://10.0.0.3/1,,,,,tidak\n"
    )
    async with registry(mesh_settings):
        dry = await ask(bus, "cameras-import", ImportRequest(format="csv", content=text, dry_run=True), ImportReport)
        assert (dry.added, dry.refused) == (2, 1)
        assert (await ask(bus, "cameras-list", CameraQuery(), CameraList)).cameras == ()
        report = await ask(bus, "cameras-import", ImportRequest(format="csv", content=text), ImportReport)
        assert [(row.row, row.id, row.result) for row in report.rows] == [
            (2, "simpang-kayutangan", "added"),
            (3, "bad", "refused"),
            (4, "pasar-besar", "added"),
        ]
        assert "rtsp://" in report.rows[1].detail
        again = await ask(bus, "cameras-import", ImportRequest(format="csv", content=text), ImportReport)
        assert (again.unchanged, again.refused) == (2, 1)
        moved = text.replace("10.0.0.3", "10.0.0.4")
        changed = await ask(bus, "cameras-import", ImportRequest(format="csv", content=moved), ImportReport)
        assert (changed.updated, changed.rows[2].detail) == (1, "profiles")
        one = await ask(bus, "cameras-get", CameraKey(id="pasar-besar"), CameraEntry)
        assert not one.camera.enabled


@pytest.mark.parametrize("hangs", [False, True], ids=["killed", "hanging"])
async def test_cameras_are_spread_and_leave_a_lost_worker_while_others_keep_theirs(
    bus: Bus,
    mesh_settings: MeshSettings,
    assignments: dict[str, tuple[Assignment, int]],
    hangs: bool,
) -> None:
    async with registry(mesh_settings):
        first = await Worker(bus, "ingest", "ingest-1", hangs=hangs).start()
        second = await Worker(bus, "ingest", "ingest-2", hangs=hangs).start()
        await add(bus, "a", "b", "c", "d")
        keys = [f"ingest.{name}" for name in "abcd"]
        await until(lambda: all(key in assignments for key in keys))
        held = {key: holder(assignments, key)[0] for key in keys}
        assert sorted(held.values()) == ["ingest-1", "ingest-1", "ingest-2", "ingest-2"]
        epochs = {key: assignments[key][1] for key in keys}
        await asyncio.sleep(3.2)  # past the patience for those who may be about to come
        await first.kill()
        await until(lambda: all(holder(assignments, key) == ("ingest-2",) for key in keys))
        for key in keys:
            moved = held[key] == "ingest-1"
            assert (assignments[key][1] > epochs[key]) == moved, "a camera whose worker lives has been touched"
        await second.stop()


async def test_a_draining_worker_is_relieved_and_keeps_what_nobody_else_can_take(
    bus: Bus, mesh_settings: MeshSettings, assignments: dict[str, tuple[Assignment, int]]
) -> None:
    async with registry(mesh_settings):
        first = await Worker(bus, "ingest", "ingest-1").start()
        told: dict[str, int] = {}

        async def on_told(message: BusMessage) -> None:
            taken = ToldAssignment.unpack(message.data)
            told[f"ingest.{taken.assignment.camera}"] = taken.revision

        await bus.subscribe(subjects.assigned("city", "ingest-2"), on_told)
        await add(bus, "a", "b")
        await until(lambda: len(assignments) == 2)
        await first.drain()
        await asyncio.sleep(1.5)
        assert holder(assignments, "ingest.a") == ("ingest-1",)
        second = await Worker(bus, "ingest", "ingest-2").start()
        # Its lease is renewed all the while: only that it drains can have moved them.
        await until(lambda: all(holder(assignments, key) == ("ingest-2",) for key in assignments))
        await until(lambda: told == {key: revision for key, (_, revision) in assignments.items()})
        await first.stop()
        await second.stop()


async def test_a_restarted_worker_gets_new_epochs_and_a_lone_one_keeps_its_cameras(
    bus: Bus, mesh_settings: MeshSettings, assignments: dict[str, tuple[Assignment, int]]
) -> None:
    async with registry(mesh_settings):
        worker = await Worker(bus, "ingest", "ingest-1").start()
        await add(bus, "a")
        await until(lambda: "ingest.a" in assignments)
        before = assignments["ingest.a"]
        await worker.kill()
        await asyncio.sleep(3.5)
        assert assignments["ingest.a"] == before
        await worker.start()
        await until(lambda: assignments["ingest.a"][1] > before[1])
        assert assignments["ingest.a"][0].incarnations == (worker.incarnation,)
        await worker.stop()


async def test_disabled_cameras_are_taken_away_and_unrecorded_ones_have_no_recorder(
    bus: Bus, mesh_settings: MeshSettings, assignments: dict[str, tuple[Assignment, int]]
) -> None:
    async with registry(mesh_settings):
        ingest = await Worker(bus, "ingest", "ingest-1").start()
        recorders = [await Worker(bus, "recorder", f"recorder-{n}").start() for n in (1, 2)]
        await add(bus, "a", copies=2)
        await add(bus, "b", record=False)
        await until(lambda: {"ingest.a", "ingest.b", "recorder.a"} <= assignments.keys())
        assert sorted(holder(assignments, "recorder.a")) == ["recorder-1", "recorder-2"]
        assert "recorder.b" not in assignments
        update = CameraUpdate(id="a", patch=CameraPatch(enabled=False))
        await ask(bus, "cameras-update", update, CameraEntry)
        await until(lambda: set(assignments) == {"ingest.b"})
        for worker in (ingest, *recorders):
            await worker.stop()


async def test_the_observed_state_is_kept_and_told(
    bus: Bus, mesh_settings: MeshSettings, assignments: dict[str, tuple[Assignment, int]]
) -> None:
    states = await Bucket.open(bus, subjects.STATE_BUCKET, CameraState)

    async def status() -> Status | None:
        found = await states.get("a")
        return found[0].status if found else None

    async with registry(mesh_settings):
        worker = await Worker(bus, "ingest", "ingest-1").start()
        await add(bus, "a")
        await until(lambda: "ingest.a" in assignments)
        epoch = assignments["ingest.a"][1]
        await eventually(status, lambda found: found is Status.CONNECTING)
        await worker.report("a", epoch, ONLINE)
        await eventually(status, lambda found: found is Status.ONLINE)
        await worker.report("a", epoch - 1, ProfileReport(status="offline"))  # from before: not believed
        await asyncio.sleep(0.5)
        assert await status() is Status.ONLINE
        await worker.report("a", epoch, ONLINE)
        got = await ask(bus, "cameras-get", CameraKey(id="a"), CameraEntry)
        assert got.state is not None
        assert got.state.profiles["main"].width_px == 1280
        await eventually(status, lambda found: found is Status.OFFLINE)  # nobody reports
        await asyncio.sleep(3.5)
        told = [event.type for event in await collected(bus) if event.kind == "camera"]
        assert [name for name in told if name != "camera.health"] == [
            "camera.registered",
            "camera.online",
            "camera.offline",
        ]
        await ask(bus, "cameras-remove", CameraRemove(id="a"), CameraRemovalReply)
        await eventually(status, lambda found: found is None)
        await worker.stop()


async def test_a_new_leader_knows_who_was_there_and_replaces_a_worker_that_went_with_the_old_one(
    mesh_settings: MeshSettings, bus: Bus, assignments: dict[str, tuple[Assignment, int]]
) -> None:
    """`bench check` measures how soon."""
    lost = await Bus.connect(mesh_settings, "lost")
    async with registry(mesh_settings) as leader, registry(mesh_settings, worker="registry-2"):
        first, second = Worker(lost, "ingest", "ingest-1"), Worker(bus, "ingest", "ingest-2")
        await first.start()
        await add(bus, "a", "b")
        await until(lambda: all(holder(assignments, f"ingest.{name}") == ("ingest-1",) for name in "ab"))
        await second.start()
        await asyncio.sleep(3.2)  # past the patience for those who may be about to come
        await crash(leader)
        await first.kill()
        await lost.client.close()
        took = await until(lambda: all(holder(assignments, f"ingest.{name}") == ("ingest-2",) for name in "ab"))
        log.info("failover.figures", leader_and_worker=round(took, 2))
        await second.stop()


async def test_the_camera_over_the_capacity_is_unassigned_and_the_mesh_says_what_to_add(
    bus: Bus, mesh_settings: MeshSettings, assignments: dict[str, tuple[Assignment, int]]
) -> None:
    book = TroubleBook(bus, "city", SystemClock())
    following = asyncio.create_task(book.run())
    async with registry(mesh_settings):
        worker = Worker(bus, "ingest", "ingest-1")
        worker.capacity = 2
        await worker.start()
        await add(bus, "a", "b", "c")
        await until(lambda: [(trouble.kind, trouble.count) for trouble in book.current()] == [("unassigned", 1)])
        assert "PANTAU_INGEST_CAPACITY" in (book.text() or "")
        assert sum(key.startswith("ingest.") for key in assignments) == 2
        worker.capacity = 3
        await until(lambda: sum(key.startswith("ingest.") for key in assignments) == 3)
        await until(lambda: not book.current())
        await worker.stop()
    following.cancel()


async def test_another_registry_leads_when_the_leader_is_gone(
    bus: Bus, mesh_settings: MeshSettings, assignments: dict[str, tuple[Assignment, int]]
) -> None:
    async with registry(mesh_settings) as leader, registry(mesh_settings, worker="registry-2"):
        worker = await Worker(bus, "ingest", "ingest-1").start()
        await add(bus, "a")
        await until(lambda: "ingest.a" in assignments)
        before = assignments["ingest.a"]
        await crash(leader)
        await add(bus, "b")
        await until(lambda: "ingest.b" in assignments)
        assert assignments["ingest.a"] == before
        await worker.stop()
