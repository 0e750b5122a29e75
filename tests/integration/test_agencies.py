"""Agencies, by the command and from outside: what they receive over TLS, what they may not, and how it ends."""

import asyncio
import os
import re
import shutil
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final, NamedTuple

import nats
import nats.errors
import nats.js.errors
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import StreamConfig

from services.contracts.events import CameraOffline, Event, IncidentOpened, SegmentClosed
from services.contracts.models import Reason
from services.mesh.agencies import Agencies, Agency
from services.mesh.authority import Authority
from services.mesh.bus import Bus
from services.mesh.certificates import issue
from services.mesh.event_stream import EventOutbox, ensure_stream
from services.mesh.nats_server import NatsServer, config
from services.mesh.settings import MeshSettings
from tests.flushed import flushed
from tests.support.ports import free_port

pytestmark = [pytest.mark.integration, pytest.mark.timeout(400)]

GUIDE: Final = (Path(__file__).parents[2] / "docs" / "guide" / "agencies.md").read_text()
OFFLINE = CameraOffline(site="malang", camera="cam-1", at_us=1_700_000_000_000_000, reason=Reason.STALLED)
CLOSED = SegmentClosed(
    site="malang", camera="cam-1", recorder="recorder-1", at_us=1, profile="main", path="a.mp4", from_us=0, to_us=1,
    size_bytes=1, frames=1, keyframes=1, codec="h264",
)  # fmt: skip
OPENED = IncidentOpened(site="malang", incident="inc-1", title="x", cameras=("cam-1",), from_us=0, to_us=None, at_us=1)


class City(NamedTuple):
    """A mesh's nats-server with TLS."""

    folder: Path
    server: NatsServer
    authority: Authority
    bus: Bus
    settings: MeshSettings

    @property
    def url(self) -> str:
        return f"tls://127.0.0.1:{self.server.port}"

    @property
    def ca(self) -> Path:
        return self.folder / "tls" / "ca.pem"

    async def agency(self, *arguments: str) -> tuple[int, str]:
        """Runs ``pantau agency``; its status and what it says."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.cli", "agency", *arguments,
            "--authority", str(self.authority.folder),
            env=os.environ | {"PANTAU_NATS_URL": self.url, "PANTAU_NATS_CA": str(self.ca)},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said, _ = await process.communicate()
        return process.returncode or 0, said.decode()

    async def add(self, name: str, events: str) -> Path:
        creds = self.folder / f"{name}.creds"
        status, said = await self.agency("add", name, "--events", events, "--until", "2099-12-31", "-o", str(creds))
        assert status == 0, said
        assert creds.stat().st_mode & 0o077 == 0
        return creds

    async def sign_in(self, creds: Path, refusals: list[str] | None = None) -> Client:
        async def note(error: Exception) -> None:
            if refusals is not None:
                refusals.append(str(error))

        tls = MeshSettings(nats_ca=self.ca).nats_tls()
        return await nats.connect(
            self.url, user_credentials=str(creds), tls=tls, error_cb=note, connect_timeout=10, allow_reconnect=False
        )

    async def publish(self, *events: Event) -> None:
        outbox = EventOutbox(self.bus, source="/test")
        running = asyncio.create_task(outbox.run())
        for event in events:
            outbox.post(event)
        await outbox.flush(30)
        running.cancel()
        assert outbox.snapshot() == []


@pytest.fixture
async def city(tmp_path: Path) -> AsyncIterator[City]:
    authority = Authority.open(tmp_path / "authority", "malang")
    tls = issue(tmp_path / "tls", [])
    text = config(
        tmp_path / "jetstream",
        certificate=(tls.certificate, tls.key),
        more=authority.server_lines(str(tmp_path / "accounts")),
    )
    async with NatsServer(tmp_path / "nats", port=free_port(), text=text) as server:
        settings = MeshSettings(
            nats_url=f"tls://127.0.0.1:{server.port}", nats_ca=tls.ca, nats_creds=authority.creds_path("admin")
        )
        bus = await Bus.connect(settings, "admin")
        await ensure_stream(bus)
        yield City(tmp_path, server, authority, bus, settings)
        await bus.close()


async def test_an_agency_receives_what_was_granted_and_may_do_nothing_else(city: City) -> None:
    police, transport = await city.add("police", "camera,incident"), await city.add("transport", "camera")
    assert await city.agency("list") == (0, "police\tcamera,incident\t2099-12-31\ntransport\tcamera\t2099-12-31\n")
    refusals: list[str] = []
    heard: dict[str, list[str]] = {}
    clients = {"police": await city.sign_in(police, refusals), "transport": await city.sign_in(transport)}

    def hearing(name: str) -> list[str]:
        return heard.setdefault(name, [])

    for name, client in clients.items():

        async def hear(message: Msg, name: str = name) -> None:
            hearing(name).append(message.subject)

        for kind in ("camera", "recording", "incident"):
            await client.subscribe(f"pantau.v1.*.{kind}.>", cb=hear)
        await flushed(client)
    await city.publish(OFFLINE, CLOSED, OPENED)
    expected = {
        "police": {"pantau.v1.malang.camera.offline.cam-1", "pantau.v1.malang.incident.opened.inc-1"},
        "transport": {"pantau.v1.malang.camera.offline.cam-1"},
    }
    async with asyncio.timeout(60):
        while {name: set(subjects) for name, subjects in heard.items()} != expected:
            await asyncio.sleep(0.02)
    strange = [
        ">", "pantau.>", "pantau.v1.*.media.>", "pantau.v1.*.audit.>", "pantau.v1.city.rpc.>", "$SYS.>", "$SRV.>",
        "$KV.pantau-secrets.>",
    ]  # fmt: skip
    sent = [
        "pantau.v1.malang.media.main.cam-1", "pantau.v1.malang.camera.offline.cam-1", "$KV.pantau-cameras.cam-1",
        "$JS.API.STREAM.CREATE.OTHER", "$JS.API.STREAM.DELETE.EVENTS", "$JS.API.STREAM.MSG.GET.PANTAU_EVENTS", "any",
    ]  # fmt: skip
    refusals.clear()
    for subject in strange:
        await clients["police"].subscribe(subject)
    for subject in sent:
        await clients["police"].publish(subject, b"forged")
    await flushed(clients["police"])
    async with asyncio.timeout(60):
        while len([each for each in refusals if "violation" in each.lower()]) < len(strange) + len(sent):
            await asyncio.sleep(0.02)
    jetstream = clients["police"].jetstream(timeout=0.5)
    with pytest.raises((nats.errors.TimeoutError, nats.js.errors.Error)):
        await jetstream.add_stream(StreamConfig(name="OTHER", subjects=["other"]))
    for client in clients.values():
        await client.close()


async def test_an_agency_catches_up_after_it_and_the_server_were_away_and_is_put_out_when_it_is_revoked(
    city: City,
) -> None:
    creds = await city.add("police", "camera,incident")
    await city.publish(OFFLINE)
    await city.server.stop()
    await city.server.start()
    async with asyncio.timeout(90):
        while not city.bus.connected:
            await asyncio.sleep(0.02)
    police = await city.sign_in(creds)
    subscription = await police.jetstream().pull_subscribe("", durable="desk", stream="EVENTS")
    (message,) = await subscription.fetch(1, timeout=60)
    assert CameraOffline.unpack(message.data) == OFFLINE
    assert (await city.agency("revoke", "police"))[0] == 0
    async with asyncio.timeout(60):
        while police.is_connected:
            await asyncio.sleep(0.02)
    with pytest.raises(nats.errors.Error):
        await city.sign_in(creds)
    assert await city.agency("list") == (0, "")
    assert (await city.agency("revoke", "police"))[1].startswith("pantau: there is no agency 'police'")


async def test_a_revoked_agency_stays_out_where_the_server_starts_again_with_a_configuration_that_has_it(
    city: City,
) -> None:
    creds = await city.add("police", "camera")
    await city.bus.close()
    await city.server.stop()
    text = config(
        city.folder / "jetstream",
        certificate=(city.folder / "tls" / "server.pem", city.folder / "tls" / "server.key"),
        more=city.authority.server_lines(str(city.folder / "accounts")),
    )
    async with NatsServer(city.folder / "next", port=city.server.port, text=text) as server:
        await (await city.sign_in(creds)).close()
        await asyncio.sleep(1.1 - time.time() % 1)  # accounts are dated in whole seconds
        assert (await city.agency("revoke", "police"))[0] == 0
        await server.stop()
        await server.start()
        with pytest.raises(nats.errors.Error):
            await city.sign_in(creds)


async def test_a_renewed_agency_keeps_its_place_and_its_creds_of_before_end(city: City) -> None:
    old = await city.add("police", "camera")
    agencies = Agencies(city.authority, city.settings)
    await asyncio.sleep(1.1 - time.time() % 1)  # creds are dated in whole seconds
    text = await agencies.add(Agency("police", ("incident",), agencies.all()[0].until), replace=True)
    new = city.folder / "new.creds"
    new.write_text(text)
    client = await city.sign_in(new)
    assert (await client.jetstream().stream_info("EVENTS")).config.subjects == ["pantau.v1.*.incident.>"]
    with pytest.raises(nats.errors.Error):
        await city.sign_in(old)
    await client.close()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("add", "police", "--events", "audit", "--until", "2099-12-31"), "audit cannot be given"),
        (("add", "police", "--events", "", "--until", "2099-12-31"), "nothing cannot be given"),
        (("add", "police", "--events", "camera", "--until", "2020-12-31"), "is over"),
        (("add", "Polisi Kota", "--events", "camera", "--until", "2099-12-31"), "cannot be an agency's name"),
        (("add", "police", "--events", "camera", "--until", "soon"), "does not match the format"),
    ],
)
async def test_what_cannot_be_is_refused_with_its_reason(city: City, arguments: tuple[str, ...], says: str) -> None:
    status, said = await city.agency(*arguments, *(("-o", str(city.folder / "x")) if arguments[0] == "add" else ()))
    assert status != 0
    assert says in said
    assert await city.agency("list") == (0, "")


def program(language: str) -> str:
    (text,) = re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)
    return str(text)


async def python(folder: Path) -> list[str]:
    (folder / "desk.py").write_text(program("python"))
    return [sys.executable, "desk.py"]


async def javascript(folder: Path) -> list[str]:
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("there is no Node here")
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "desk.js").write_text(program("javascript"))
    installing = await asyncio.create_subprocess_exec(
        "npm", "install", "--no-audit", "--no-fund", "nats@2", "@msgpack/msgpack@3", cwd=folder
    )
    if await installing.wait():
        pytest.skip("npm cannot install the packages nats and @msgpack/msgpack")
    return ["node", "desk.js"]


async def go(folder: Path) -> list[str]:
    if shutil.which("go") is None:
        pytest.skip("there is no Go here")
    for name in ("go.mod", "go.sum"):
        shutil.copy(Path(__file__).parent / "agency_go" / name, folder)
    (folder / "main.go").write_text(program("go"))
    fetching = await asyncio.create_subprocess_exec("go", "mod", "download", cwd=folder)
    if await fetching.wait():
        pytest.skip("Go cannot fetch the modules of nats.go and msgpack")
    building = await asyncio.create_subprocess_exec("go", "build", "-o", "desk", ".", cwd=folder)
    assert await building.wait() == 0
    return ["./desk"]


@pytest.mark.parametrize("make", [python, javascript, go], ids=["python", "javascript", "go"])
async def test_the_guides_program_prints_what_happened_while_it_was_away(city: City, make, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]  # one of the three above
    folder = tmp_path / "program"
    folder.mkdir()
    command = await make(folder)
    creds = await city.add("police", "camera,incident")
    await city.publish(OFFLINE)
    environ = {"NATS_URL": city.url, "NATS_CREDS": str(creds), "NATS_CA": str(city.ca)}
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, env=os.environ | environ, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), 120)
    finally:
        process.kill()
        await process.wait()
    assert line.startswith(b"pantau.v1.camera.offline cam-1 ")
    assert b"stalled" in line
