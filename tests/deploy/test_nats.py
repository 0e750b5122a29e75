"""The shipped nats-server configuration, on the real nats-server: what each account may and may not."""

import asyncio
import re
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgpack
import nats
import nats.errors
import nats.js.errors
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import StreamConfig

from services.contracts import subjects
from services.contracts.events import CameraOffline, Event, IncidentOpened, SegmentClosed
from services.contracts.models import Camera, Profile, Reason
from services.mesh.buckets import Bucket
from services.mesh.bus import Bus
from services.mesh.event_stream import EventOutbox, ensure_stream
from services.mesh.nats_server import NatsServer
from services.mesh.settings import MeshSettings
from tests.flushed import flushed

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "deploy" / "nats"
PASSWORDS = {
    "PANTAU_NATS_PASSWORD": "city-password",
    "NATS_SYS_PASSWORD": "sys-password",
    "NATS_POLICE_PASSWORD": "police-password",
    "NATS_TRANSPORT_PASSWORD": "transport-password",
}
OFFLINE = CameraOffline(site="malang", camera="cam-1", at_us=1_700_000_000_000_000, reason=Reason.STALLED)
CLOSED = SegmentClosed(
    site="malang", camera="cam-1", recorder="recorder-1", at_us=1, profile="main", path="a.mp4", from_us=0, to_us=1,
    size_bytes=1, frames=1, keyframes=1, codec="h264",
)  # fmt: skip
OPENED = IncidentOpened(site="malang", incident="inc-1", title="x", cameras=("cam-1",), from_us=0, to_us=None, at_us=1)


@pytest.fixture
async def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[NatsServer]:
    """The files as shipped; only where the server listens and keeps its data is this test's own."""
    for name, value in PASSWORDS.items():
        monkeypatch.setenv(name, value)
    folder = tmp_path / "nats"
    shutil.copytree(SHIPPED, folder)
    text = (folder / "nats.conf").read_text()
    text = text.replace("port: 4222", 'host: "127.0.0.1"\nport: -1').replace('http: "127.0.0.1:8222"', "")
    async with NatsServer(folder, text=text.replace("/data/jetstream", str(tmp_path / "jetstream"))) as running:
        yield running


@pytest.fixture
async def city(server: NatsServer) -> AsyncIterator[Bus]:
    environ = {"PANTAU_NATS_URL": server.url, "PANTAU_NATS_USER": "pantau", "PANTAU_NATS_PASSWORD": "city-password"}
    bus = await Bus.connect(MeshSettings.load(environ), "city")
    await ensure_stream(bus)
    yield bus
    await bus.close()


@asynccontextmanager
async def signed_in(server: NatsServer, user: str, refusals: list[str]) -> AsyncIterator[Client]:
    async def note(error: Exception) -> None:
        refusals.append(str(error))

    client = await nats.connect(server.url, user=user, password=f"{user}-password", error_cb=note)
    try:
        yield client
    finally:
        await client.close()


async def publish(city: Bus, *events: Event) -> None:
    outbox = EventOutbox(city, source="/test")
    running = asyncio.create_task(outbox.run())
    for event in events:
        outbox.post(event)
    await outbox.flush(5)
    running.cancel()
    assert outbox.snapshot() == []


async def test_an_agency_receives_camera_offline(server: NatsServer, city: Bus) -> None:
    async with signed_in(server, "police", []) as police:
        subscription = await police.subscribe("pantau.v1.*.camera.offline.>")
        await flushed(police)
        await publish(city, OFFLINE)
        message = await subscription.next_msg(timeout=30)
        assert message.subject == "pantau.v1.malang.camera.offline.cam-1"
        assert message.headers is not None
        assert message.headers["ce-type"] == "pantau.v1.camera.offline"
        assert CameraOffline.unpack(message.data) == OFFLINE


async def test_the_citys_services_work_in_their_account(city: Bus) -> None:
    await publish(city, OFFLINE)
    assert (await city.js.stream_info(subjects.EVENTS_STREAM)).state.messages == 1
    cameras = await Bucket.open(city, subjects.CAMERAS_BUCKET, Camera)
    camera = Camera(id="cam-1", site="malang", name="x", profiles={"main": Profile(url="rtsp://camera/")})
    assert await cameras.put("cam-1", camera) == 1
    assert city.client.max_payload == 8 * 1024 * 1024


@pytest.mark.parametrize(
    "subject",
    [
        "pantau.v1.malang.media.main.cam-1",
        "pantau.v1.*.media.>",
        "pantau.v1.malang.>",
        "pantau.>",
        ">",
        "pantau.v1.*.audit.>",
        "pantau.v1.city.rpc.>",
        "pantau.v1.city.report.*",
        "$KV.pantau-secrets.>",
        "$SYS.>",
        "$SRV.>",
    ],
)
async def test_an_agency_may_not_listen_to_anything_else(server: NatsServer, city: Bus, subject: str) -> None:
    refusals: list[str] = []
    heard: list[str] = []

    async def hear(message: Msg) -> None:
        heard.append(message.subject)

    async with signed_in(server, "police", refusals) as police:
        await police.subscribe(subject, cb=hear)
        await flushed(police)
        await city.publish("pantau.v1.malang.media.main.cam-1", b"frame")
        await city.publish("pantau.v1.malang.audit.exported.cam-1", b"audit")
        await flushed(city.client)
        await asyncio.sleep(0.1)
    assert heard == []
    assert any("permissions violation for subscription" in refusal.lower() for refusal in refusals)


@pytest.mark.parametrize(
    "subject",
    [
        "pantau.v1.malang.media.main.cam-1",
        "pantau.v1.malang.camera.offline.cam-1",
        "pantau.v1.malang.want.main.cam-1",
        "pantau.v1.city.rpc.registry.cameras-list",
        "$KV.pantau-cameras.cam-1",
        "$SRV.PING",
        "$JS.API.STREAM.CREATE.OTHER",
        "$JS.API.STREAM.DELETE.EVENTS",
        "$JS.API.STREAM.MSG.GET.PANTAU_EVENTS",
        "anything",
    ],
)
async def test_an_agency_may_not_publish_anything(server: NatsServer, city: Bus, subject: str) -> None:
    refusals: list[str] = []
    heard: list[str] = []

    async def hear(message: Msg) -> None:
        heard.append(message.subject)

    await city.subscribe(subject, hear)
    await flushed(city.client)
    async with signed_in(server, "police", refusals) as police:
        await police.publish(subject, b"forged")
        await flushed(police)
        await asyncio.sleep(0.1)
    assert heard == []
    assert any("permissions violation for publish" in refusal.lower() for refusal in refusals)


async def test_an_agency_catches_up_from_its_own_stream_although_it_and_the_server_were_away(
    server: NatsServer, city: Bus
) -> None:
    stream = StreamConfig(
        name="EVENTS", subjects=["pantau.v1.*.camera.>", "pantau.v1.*.incident.>"], max_bytes=10_000_000, no_ack=True
    )
    async with signed_in(server, "police", []) as police:
        await police.jetstream().add_stream(stream)
        subscription = await police.jetstream().pull_subscribe("", durable="desk", stream="EVENTS")
        await publish(city, OFFLINE)
        (first,) = await subscription.fetch(1, timeout=30)
        await first.ack_sync()
    await publish(city, OPENED)
    await server.stop()
    await server.start()
    async with signed_in(server, "police", []) as police:
        subscription = await police.jetstream().pull_subscribe("", durable="desk", stream="EVENTS")
        (second,) = await subscription.fetch(1, timeout=30)
        await second.ack()
        assert second.subject == "pantau.v1.malang.incident.opened.inc-1"
    async with asyncio.timeout(90):
        while not city.connected:
            await asyncio.sleep(0.02)
    assert (await city.js.stream_info(subjects.EVENTS_STREAM)).state.messages == 2


async def test_an_agency_makes_no_second_stream_and_reads_no_other_ones(server: NatsServer, city: Bus) -> None:
    async with signed_in(server, "police", []) as police:
        jetstream = police.jetstream(timeout=0.5)
        with pytest.raises((nats.errors.TimeoutError, nats.js.errors.Error)):
            await jetstream.add_stream(name="OTHER", subjects=["other"])
        with pytest.raises((nats.errors.TimeoutError, nats.js.errors.Error)):
            await jetstream.stream_info(subjects.EVENTS_STREAM)
        with pytest.raises((nats.errors.TimeoutError, nats.js.errors.Error)):
            await jetstream.key_value(subjects.SECRETS_BUCKET)


async def test_each_agency_receives_what_is_exported_to_it_and_no_more(server: NatsServer, city: Bus) -> None:
    async with signed_in(server, "police", []) as police, signed_in(server, "transport", []) as transport:
        heard: dict[str, list[str]] = {"police": [], "transport": []}

        def hearing(name: str) -> Callable[[Msg], Awaitable[None]]:
            async def hear(message: Msg) -> None:
                heard[name].append(message.subject.split(".")[3])

            return hear

        for name, client in (("police", police), ("transport", transport)):
            for kind in ("camera", "recording", "incident"):
                await client.subscribe(f"pantau.v1.*.{kind}.>", cb=hearing(name))
            await flushed(client)
        await publish(city, OFFLINE, CLOSED, OPENED)
        await asyncio.sleep(0.2)
    assert heard == {"police": ["camera", "recording", "incident"], "transport": ["camera", "incident"]}


@pytest.mark.parametrize(("user", "password"), [("", ""), ("police", "wrong"), ("pantau", "police-password")])
async def test_who_does_not_sign_in_rightly_stays_outside(server: NatsServer, user: str, password: str) -> None:
    login = {"user": user, "password": password} if user else {}
    with pytest.raises(nats.errors.Error, match=r"(?i)authorization"):
        await nats.connect(server.url, allow_reconnect=False, connect_timeout=2, **login)


async def test_without_its_passwords_the_server_does_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PASSWORDS:
        monkeypatch.delenv(name, raising=False)
    shutil.copytree(SHIPPED, tmp_path / "nats")
    with pytest.raises(Exception, match="ended at once"):
        await NatsServer(tmp_path / "nats", text=(SHIPPED / "nats.conf").read_text()).start()


def test_the_events_of_the_guide_are_those_there_are() -> None:
    from services.contracts.events import EVENTS

    guide = (ROOT / "docs" / "guide" / "agencies.md").read_text()
    for kind in ("camera", "recording", "incident"):
        rows = [line for line in guide.splitlines() if line.startswith(f"| `pantau.v1.<site>.{kind}.")]
        named = [name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[2])]
        assert sorted(named) == sorted(e.name for e in EVENTS if e.kind == kind)


def test_events_are_plain_msgpack() -> None:
    assert msgpack.unpackb(OFFLINE.pack())["reason"] == "stalled"
