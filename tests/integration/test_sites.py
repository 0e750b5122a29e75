"""A mall joins the city: two meshes with a nats-server each, joined by a leaf node over a line that can be cut."""

import asyncio
import datetime as dt
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing, suppress
from pathlib import Path
from typing import Final, NamedTuple

import pytest
import pytest_asyncio

from services.contracts import subjects
from services.contracts.bus_rights import BusRole
from services.contracts.catalogue import (
    CameraEntry,
    CameraKey,
    CameraPatch,
    CameraRemovalReply,
    CameraRemove,
    CameraUpdate,
)
from services.contracts.errors import ConflictError, ForbiddenError, NobodyThereError, PantauError, UnavailableError
from services.contracts.events import Audit, CameraRegistered, Event
from services.contracts.models import Camera, Location, Reason, Status, WantReply
from services.contracts.permissions import Actor, Right, Role
from services.contracts.recordings import FootageRange, TimelineQuestion
from services.contracts.sites import SERVICE, SHARE, JoinedSite, JoinedSites, ShareAnswer, ShareQuestion, hub_id
from services.footage.clips import open_clip
from services.footage.evidence.export import BundleRequest, NamedCamera
from services.footage.evidence.handing_out import open_evidence
from services.footage.evidence.verify import verify
from services.footage.owners import Owner
from services.footage.playback import play_range
from services.footage.timeline import ask_timeline
from services.mesh import leaf_nodes, rpc
from services.mesh.authority import Authority
from services.mesh.buckets import Bucket, Mirror
from services.mesh.bus import Bus, BusMessage
from services.mesh.clock import SystemClock, TurnedClock
from services.mesh.event_stream import EventOutbox
from services.mesh.hub import Hub
from services.mesh.hub_grants import ALL, HubGrant, Window
from services.mesh.leaf_nodes import Listening
from services.mesh.leases import Workers
from services.mesh.nats_server import NatsServer, config
from services.mesh.settings import MeshSettings
from services.mesh.sites import Invitation, Sites
from services.mesh.want import WantAnswerer, ask_want
from services.wall.front.hub_bundles import HubBundles
from tests.flushed import flushed
from tests.integration.recorders import assign, camera, record, running
from tests.recorder.units import pictures
from tests.registry.running import add, ask, collected, eventually, registry
from tests.support.ports import free_port

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]
GATE: Final = hub_id("mall", "gate")
MASK: Final = {"x": 0.0, "y": 0.0, "width": 0.5, "height": 0.5}


class Line:
    """The WAN: passes bytes on from its own port to another, counts them, and can be cut."""

    def __init__(self, to_port: int) -> None:
        self.bytes = 0
        self.port = free_port()
        self._to_port = to_port
        self._server: asyncio.Server | None = None
        self._ends: set[asyncio.StreamWriter] = set()

    async def mend(self) -> None:
        self._server = await asyncio.start_server(self._pass, "127.0.0.1", self.port)

    async def cut(self) -> None:
        assert self._server is not None
        self._server.close()
        for end in list(self._ends):
            end.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to_port)
            self._ends |= {writer, far_writer}
            await asyncio.gather(self._copy(reader, far_writer), self._copy(far_reader, writer))
        self._ends -= {writer}

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                self.bytes += len(data)
                writer.write(data)
                await writer.drain()
        writer.close()


class Mesh:
    """A mesh: a nats-server with its keys, and a registry."""

    def __init__(self, folder: Path) -> None:
        self.clock = TurnedClock()
        self.authority = Authority.open(folder / "authority", "city")
        self._folder = folder
        self.server = NatsServer(folder / "nats", port=free_port(), text=self._text())
        self._exit = AsyncExitStack()

    def _text(self) -> str:
        more = self.authority.server_lines(str(self._folder / "accounts"))
        return config(self._folder / "js", more=[*more, *leaf_nodes.server_lines(self.authority)])

    @property
    def settings(self) -> MeshSettings:
        return MeshSettings(
            nats_url=self.server.url,
            nats_creds=self.authority.folder / "creds",
            data=self._folder / "data",
            admin_port=0,
        )

    async def reconfigure(self) -> None:
        """As `pantau up` does where the lines for leaf nodes have changed."""
        self.server.configure(self._text())
        await self.server.stop()
        await self.server.start()

    async def bus(self, role: str) -> Bus:
        bus = await Bus.connect(self.settings, role)
        self._exit.push_async_callback(bus.close)
        return bus

    async def start(self) -> None:
        await self._exit.enter_async_context(self.server)
        own = self.settings.as_bus_user(BusRole.REGISTRY)
        await self._exit.enter_async_context(registry(own, clock=self.clock))

    async def stop(self) -> None:
        await self._exit.aclose()


class Town(NamedTuple):
    city: Mesh
    mall: Mesh
    line: Line
    hub: Hub
    sites: Sites
    admin: Bus
    """In the city's account."""
    owner: Bus
    """In the mall's."""
    relay: Bus
    ingest: Bus
    """The mall's."""

    async def site(self) -> JoinedSite:
        return (await ask(self.admin, "sites-list", rpc.Nothing(), JoinedSites)).sites[0]

    async def linked(self, linked: bool) -> JoinedSite:
        return await eventually(self.site, lambda site: site.linked is linked)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def town(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Town]:
    folder = tmp_path_factory.mktemp("town")
    city, mall = Mesh(folder / "city"), Mesh(folder / "mall")
    await asyncio.gather(city.start(), mall.start())
    sites, hub = Sites(city.authority, city.settings), Hub(mall.authority, mall.settings)
    admin, owner = await city.bus("admin"), await mall.bus("admin")
    await add(owner, "gate", location={"address": "Jalan Veteran 2"}, tags=["door"], privacy_masks=[MASK])
    await add(owner, "Neighbour", site="elsewhere")
    await add(admin, "gate")
    listening = Listening("127.0.0.1", free_port())
    line = Line(listening.port)
    await line.mend()
    until = dt.date(2099, 12, 31)
    invitation = await sites.invite("mall", until, listening)
    await city.reconfigure()
    path = folder / "mall.invitation"
    path.write_text(invitation._replace(address=f"127.0.0.1:{line.port}").text())
    await hub.join(Invitation.read(path))
    await mall.reconfigure()
    await eventually(lambda: _keys(admin), lambda keys: GATE in keys)
    yield Town(city, mall, line, hub, sites, admin, owner, await city.bus("relay"), await mall.bus("ingest"))
    await line.cut()
    await asyncio.gather(city.stop(), mall.stop())


async def _camera(bus: Bus, key: str) -> CameraEntry:
    return await ask(bus, "cameras-get", CameraKey(id=key), CameraEntry)


async def _keys(bus: Bus) -> list[str]:
    return sorted(await (await Bucket.open(bus, subjects.CAMERAS_BUCKET, Camera)).keys())


async def test_a_joined_sites_cameras_are_mirrored_without_their_addresses(town: Town) -> None:
    await eventually(lambda: _keys(town.admin), lambda keys: keys == ["gate", GATE])
    entry = await eventually(lambda: _camera(town.admin, GATE), lambda entry: entry.state is not None)
    camera = entry.camera
    assert (camera.site, camera.owner_id, camera.name, camera.tags) == ("mall", "gate", "gate", ("door",))
    assert [mask.model_dump() for mask in camera.privacy_masks] == [MASK]
    assert camera.location == Location(address="Jalan Veteran 2")
    assert [profile.url for profile in camera.profiles.values()] == [""]
    assert entry.state is not None
    assert (entry.state.site, entry.state.worker, entry.state.detail) == ("mall", "", "")
    assert (await _camera(town.admin, "gate")).camera.profiles["main"].url == "rtsp://10.0.0.1/gate"
    assert (await town.linked(True)).heard


async def test_only_its_owner_changes_a_joined_sites_camera(town: Town) -> None:
    patch = CameraUpdate(id=GATE, patch=CameraPatch(name="ours"))
    with pytest.raises(ForbiddenError):
        await ask(town.admin, "cameras-update", patch, CameraEntry)
    with pytest.raises(ForbiddenError):
        await ask(town.admin, "cameras-remove", CameraRemove(id=GATE), CameraRemovalReply)
    with pytest.raises(ConflictError):
        await add(town.admin, "annex", site="mall")
    rename = CameraUpdate(id="gate", patch=CameraPatch(name="Main gate"))
    await ask(town.owner, "cameras-update", rename, CameraEntry)
    await eventually(lambda: _camera(town.admin, GATE), lambda entry: entry.camera.name == "Main gate")


async def test_a_camera_is_watched_only_while_its_owner_grants_it(town: Town) -> None:
    got: asyncio.Queue[BusMessage] = asyncio.Queue()
    subject = subjects.media("mall", "sub", "gate")
    await town.relay.subscribe(subject, got.put)

    async def shown() -> bool:
        """Whether a frame of the gate comes now. The answer to a question goes behind it over the same line."""
        town.ingest.publish_media(subjects.media("city", "sub", "gate"), b"frame")
        await asyncio.sleep(0)  # all of one turn of the loop is written at its end
        await flushed(town.ingest.client)
        with suppress(UnavailableError):  # while nats-server takes a change of the account
            await rpc.call(town.admin, subjects.rpc("mall", SERVICE, SHARE), ShareQuestion(), ShareAnswer)
        await flushed(town.relay.client)
        came = not got.empty()
        while not got.empty():
            assert got.get_nowait().subject == subject
        return came

    assert not await shown()
    gate, yard, every = (HubGrant(each, Right.LIVE) for each in ("gate", "yard", ALL))
    assert await town.hub.grant(["gate"]) == (gate,)
    await eventually(shown, bool)
    assert await town.hub.grant(["yard"]) == (gate, yard)
    await eventually(shown, bool)
    assert await town.hub.withdraw(["gate"]) == (yard,)
    await eventually(shown, lambda came: not came)
    await town.hub.grant(["gate"])
    await eventually(shown, bool)
    soon = Window(until_s=int(time.time()) + 2)
    assert await town.hub.grant(["gate"], window=soon, purpose="x") == (HubGrant("gate", Right.LIVE, soon, "x"), yard)

    async def shown_at_its_time() -> bool:
        await town.hub.follow_times()
        return await shown()

    await eventually(shown_at_its_time, lambda came: not came)
    assert await town.hub.grant([ALL]) == (every,)
    await eventually(shown, bool)
    with pytest.raises(ConflictError):
        await town.hub.withdraw(["gate"])


async def test_a_wanted_camera_gives_its_cached_frames_across_the_line(town: Town) -> None:
    await town.hub.grant(["gate"])
    frames = [b"key", b"next"]
    answerer = WantAnswerer(town.ingest, lambda _profile: (WantReply(status="live", frames=2), frames))
    await answerer.listen(subjects.want("city", "*", "gate"))

    async def asked() -> list[bytes] | None:
        try:
            async with ask_want(town.relay, subjects.want("mall", "main", "gate")) as answer:
                return [frame async for frame in answer]
        except UnavailableError:
            return None

    await eventually(asked, lambda answer: answer == frames)
    await town.hub.withdraw([ALL])
    await eventually(asked, lambda answer: answer is None)
    await answerer.close()


async def test_recordings_come_from_the_owners_recorders_as_far_as_they_are_granted(town: Town, tmp_path: Path) -> None:
    await town.hub.withdraw([ALL])
    front = await town.city.bus("front")
    begin_us = time.time_ns() // 1000 - 60_000_000
    question = TimelineQuestion(camera=GATE, from_us=begin_us, to_us=begin_us + 4_000_000)

    async def refusal(asked: Callable[[], Awaitable[object]]) -> str:
        """The code of what is raised; empty: nothing is. A busy recorder may be too late for an answer."""
        try:
            await asked()
        except PantauError as error:
            return error.code
        return ""

    def timeline(right: Right) -> Callable[[], Awaitable[object]]:
        owner = Owner("mall", "gate", right)
        return lambda: ask_timeline(front, "city", question, recorders=0, owner=owner)

    async def clip() -> None:
        owner = Owner("mall", "gate", Right.CLIP)
        async with AsyncExitStack() as stack:
            opened = await open_clip(front, "city", question, recorders=0, stack=stack, owner=owner)
            assert opened.timeline.camera == GATE
            assert opened.layout.start_us == begin_us
            assert b"moov" in b"".join([data async for data in opened.chunks()])

    async def bundle() -> None:
        owner = Owner("mall", "gate", Right.EVIDENCE)
        siti = Actor("siti", Role.OPERATOR, rights=frozenset({Right.EVIDENCE}))
        named = {GATE: NamedCamera("mall", "Gate")}
        wanted = BundleRequest(named, question.from_us, question.to_us, siti, "the robbery")
        evidence = await open_evidence(front, "city", wanted, {GATE: owner}, recorders=0, clock=SystemClock())
        file.write_bytes(b"".join([data async for data in evidence.chunks()]))

    async def played() -> None:
        owner = Owner("mall", "gate", Right.PLAYBACK)
        footage = FootageRange(from_us=question.from_us, to_us=question.to_us, recorder="recorder")
        async with aclosing(play_range(front, "city", GATE, "main", footage, "frames", owner=owner)) as units:
            assert (await anext(units)).capture_us == begin_us

    async def ends(asked: Callable[[], Awaitable[object]], code: str) -> None:
        await eventually(lambda: refusal(asked), lambda found: found == code)

    file = tmp_path / "bundle.zip"
    async with AsyncExitStack() as stack:
        recorder = await stack.enter_async_context(running(town.mall.settings, tmp_path, "recorder"))
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        mall_front = await town.mall.bus("front")
        cameras = Mirror(await Bucket.open(mall_front, subjects.CAMERAS_BUCKET, Camera))
        workers = Workers(mall_front, "city")
        wall = HubBundles(mall_front, tasks, "city", cameras=cameras, workers=workers, clock=SystemClock())
        for work in (cameras.run(), workers.run(), wall.run()):
            stack.callback(tasks.create_task(work).cancel)
        await assign(town.owner, [camera("gate")], recorder.name)
        await record(town.ingest, "gate", pictures(start_us=begin_us), recorder)
        await ends(timeline(Right.CLIP), "not-granted")
        await town.hub.grant(["gate"], [Right.CLIP])
        await ends(clip, "")
        await ends(timeline(Right.PLAYBACK), "not-granted")
        await town.hub.grant(["gate"], [Right.PLAYBACK])
        await ends(played, "")
        await town.hub.withdraw(["gate"], [Right.PLAYBACK])
        await ends(timeline(Right.PLAYBACK), "not-granted")
        await ends(clip, "")
        await ends(bundle, "not-granted")
        await town.hub.grant(["gate"], [Right.EVIDENCE])
        await ends(bundle, "")
        assert recorder.signer is not None
        owners_key = frozenset({recorder.signer.public})
        verdict = await asyncio.to_thread(verify, file, trusted_keys=owners_key)
        assert verdict.intact, verdict
        assert verdict.manifest is not None
        assert verdict.manifest.asked_by == "siti@city"
        await town.hub.withdraw(["gate"], [Right.EVIDENCE])
        await ends(bundle, "not-granted")


async def test_what_nobody_watches_does_not_cross_the_line(town: Town) -> None:
    await town.hub.grant([ALL])
    before, large = town.line.bytes, bytes(1_000_000)
    for _ in range(4):
        town.ingest.publish_media(subjects.media("city", "main", "yard"), large)
    patch = CameraUpdate(id="gate", patch=CameraPatch(tags=("sent", "after")))
    await ask(town.owner, "cameras-update", patch, CameraEntry)
    await eventually(lambda: _camera(town.admin, GATE), lambda entry: entry.camera.tags == ("sent", "after"))
    assert town.line.bytes - before < len(large)


async def test_who_watched_is_in_the_owners_audit_too(town: Town) -> None:
    await town.linked(True)
    await eventually(town.site, lambda site: site.audited_after is not None)
    outbox = EventOutbox(await town.city.bus("admin"), source="/test")
    running = asyncio.create_task(outbox.run())
    who = Actor("siti", Role.OPERATOR, session="s", address="10.1.1.1")
    outbox.post(Audit.by(who, site="mall", at_us=7, target=GATE, action="viewing-live", detail={"view": "x"}))
    outbox.post(Audit.by(who, site="city", at_us=7, target="gate", action="viewing-live"))
    await outbox.flush(30)
    running.cancel()

    async def told() -> list[Event]:
        return [event for event in await collected(town.owner) if isinstance(event, Audit) and event.actor != "system"]

    found = await eventually(told, bool)
    expected = Audit(
        site="city", at_us=7, target="gate", action="viewing-live", actor="siti@city", role="operator",
        detail={"view": "x"},
    )  # fmt: skip
    assert found == [expected]


async def test_what_was_granted_and_withdrawn_is_in_the_owners_audit(town: Town) -> None:
    window = Window(until_s=4_000_000_000)
    await town.hub.withdraw([ALL])
    await town.hub.grant(["lift"], window=window, purpose="the robbery")
    await town.hub.withdraw([ALL])

    async def told() -> list[tuple[str, dict[str, str]]]:
        events = [event for event in await collected(town.owner) if isinstance(event, Audit)]
        return [(each.action, each.detail) for each in events if each.target == "lift"]

    detail = {"hub": "city", "right": "live", "until": "2096-10-02T07:06:40+00:00", "purpose": "the robbery"}
    both = [("site-granted", detail), ("site-withdrawn", detail)]
    await eventually(told, lambda found: found == both)


async def test_a_site_that_is_cut_off_is_away_since_then_and_is_caught_up(town: Town) -> None:
    since_us = (await town.linked(True)).since_us
    await town.line.cut()
    town.city.clock.advance(60)  # so long nothing was heard
    away = await town.linked(False)
    assert away.since_us > since_us
    state = (await _camera(town.admin, GATE)).state
    assert state is not None
    assert (state.status, state.reason, state.since_us) == (Status.OFFLINE, Reason.SITE_AWAY, away.since_us)
    await add(town.owner, "Yard")
    assert await _keys(town.owner) == ["gate", "neighbour", "yard"]
    await town.line.mend()
    await town.linked(True)
    await eventually(
        lambda: _camera(town.admin, GATE),
        lambda entry: entry.state is not None and entry.state.reason is not Reason.SITE_AWAY,
    )
    yard = hub_id("mall", "yard")

    async def registered() -> list[Event]:
        found = await collected(town.admin, "mall")
        return [event for event in found if isinstance(event, CameraRegistered) and event.camera == yard]

    event = (await eventually(registered, bool))[0]
    assert isinstance(event, CameraRegistered)
    assert (event.site, event.camera_name, event.actor) == ("mall", "Yard", "")


async def test_a_revoked_site_is_gone_at_once_and_may_join_again(town: Town, tmp_path: Path) -> None:
    await town.linked(True)
    await town.sites.revoke("mall")
    await eventually(lambda: _keys(town.admin), lambda keys: keys == ["gate"])
    with pytest.raises(NobodyThereError):
        await town.admin.request(subjects.rpc("mall", "owner", "share"), b"", timeout_seconds=30)
    assert await town.sites.all() == []
    invitation = await town.sites.invite("mall", dt.date(2099, 12, 31))
    path = tmp_path / "again"
    path.write_text(invitation._replace(address=f"127.0.0.1:{town.line.port}").text())
    await town.hub.join(Invitation.read(path))
    await town.mall.reconfigure()
    await eventually(lambda: _keys(town.admin), lambda keys: GATE in keys)
