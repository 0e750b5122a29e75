"""The connection to NATS: for ever, bounded, and quiet about it."""

import asyncio
import json
from pathlib import Path

import pytest
import uvloop
from structlog.testing import capture_logs

from services.contracts.errors import UnavailableError
from services.contracts.frames import AccessUnit, CaptureClockSource, Codec, Flags, encode
from services.mesh import nats_client
from services.mesh.bus import Bus, BusMessage
from services.mesh.kernel.inbox import KernelInbox
from services.mesh.media_writer import MAX_UNSENT_BYTES
from services.mesh.nats_server import NatsServer, config
from services.mesh.settings import MeshSettings
from tests.eventually import eventually
from tests.flushed import flushed
from tests.mesh.kernel.built import kernel
from tests.wall.relay.kernel.built import needs_compiler


async def test_it_waits_for_a_server_that_comes_later(nats_server: NatsServer, mesh_settings: MeshSettings) -> None:
    await nats_server.stop()
    with capture_logs() as logs:
        connecting = asyncio.create_task(Bus.connect(mesh_settings, "early"))
        await eventually(lambda: "bus.waiting" in [entry["event"] for entry in logs])
        assert not connecting.done()
        await nats_server.start()
        bus = await connecting
    assert bus.connected
    assert [entry["event"] for entry in logs if entry["event"].startswith("bus.")] == ["bus.waiting", "bus.connected"]
    await bus.close()


async def test_a_subscription_goes_on_after_the_server_was_killed(bus: Bus, nats_server: NatsServer) -> None:
    heard: list[bytes] = []

    async def hear(message: BusMessage) -> None:
        heard.append(message.data)

    await bus.subscribe("pantau.v1.city.media.>", hear)
    with capture_logs() as logs:
        for round_number in range(2):
            await nats_server.kill()
            await eventually(lambda: not bus.connected)
            assert not await bus.publish("pantau.v1.city.media.main.cam-1", b"lost")
            coming_back = asyncio.create_task(bus.reconnected())
            await nats_server.start()
            await asyncio.wait_for(coming_back, 30)
            assert await bus.publish("pantau.v1.city.media.main.cam-1", b"%d" % round_number)
            await eventually(lambda count=round_number + 1: len(heard) == count)  # type: ignore[misc]  # bound now
    assert heard == [b"0", b"1"]
    assert bus.reconnects == 2
    assert [entry["event"] for entry in logs if entry["event"] in ("bus.lost", "bus.back")] == [
        "bus.lost",
        "bus.back",
    ] * 2


async def test_what_was_unsubscribed_while_the_server_was_away_does_not_come_back_with_it(
    bus: Bus, nats_server: NatsServer
) -> None:
    heard: list[bytes] = []
    direct: list[bytes] = []

    async def hear(message: BusMessage) -> None:
        heard.append(message.data)

    subscriptions = [await bus.subscribe("pantau.v1.city.media.>", hear)]
    subscriptions.append(await bus.subscribe_direct("pantau.v1.city.media.>", direct.append))
    await nats_server.kill()
    await eventually(lambda: not bus.connected)
    for subscription in subscriptions:
        await subscription.unsubscribe()
        await subscription.unsubscribe()
    await nats_server.start()
    await eventually(lambda: bus.reconnects == 1)
    await bus.publish("pantau.v1.city.media.main.cam-1", b"frame")
    await flushed(bus.client)
    assert (heard, direct) == ([], [])


async def test_unsubscribing_from_a_closed_connection_is_no_error(mesh_settings: MeshSettings) -> None:
    bus = await Bus.connect(mesh_settings, "short")

    async def hear(message: BusMessage) -> None:
        raise AssertionError(message)

    subscription = await bus.subscribe("pantau.v1.city.media.>", hear)
    await bus.close()
    await subscription.unsubscribe()


async def test_a_flush_that_was_given_up_does_not_end_the_reading(bus: Bus) -> None:
    async def answer(message: BusMessage) -> None:
        await message.respond(b"here")

    await bus.subscribe("question", answer)
    flushing = asyncio.create_task(bus.client.flush())
    await asyncio.sleep(0)  # its PING is on the way
    flushing.cancel()
    for _ in range(2):
        assert (await bus.request("question", b"")).data == b"here"


async def test_a_server_that_wants_a_login_gets_it_and_no_log_has_it(tmp_path_factory: pytest.TempPathFactory) -> None:
    async with NatsServer(tmp_path_factory.mktemp("nats"), login=("pantau", "hunter2")) as server:
        environ = {"PANTAU_NATS_URL": server.url, "PANTAU_NATS_USER": "pantau"}
        with capture_logs() as logs:
            refused = asyncio.create_task(
                Bus.connect(MeshSettings.load({**environ, "PANTAU_NATS_PASSWORD": "hunter3"}), "wrong")
            )
            await eventually(lambda: "bus.waiting" in [entry["event"] for entry in logs])
            assert not refused.done()
            refused.cancel()
        assert "hunter3" not in str(logs)
        assert "bus.one_password" in [entry["event"] for entry in logs]
        bus = await Bus.connect(MeshSettings.load({**environ, "PANTAU_NATS_PASSWORD": "hunter2"}), "right")
        assert bus.connected
        await bus.close()


async def test_one_slow_subscription_loses_its_own_messages_and_delays_no_other(bus: Bus) -> None:
    slow_count, fast_count = 0, 0
    release = asyncio.Event()

    async def slow(_message: object) -> None:
        nonlocal slow_count
        await release.wait()
        slow_count += 1

    async def fast(_message: object) -> None:
        nonlocal fast_count
        fast_count += 1

    await bus.subscribe("media.>", slow, pending_bytes=200_000)
    await bus.subscribe("media.>", fast)
    for _ in range(100):
        await bus.publish("media.cam", bytes(20_000))
    await eventually(lambda: fast_count == 100)
    release.set()
    await asyncio.sleep(0.3)
    assert slow_count < 20


async def test_what_waits_in_all_subscriptions_together_is_bounded(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nats_client, "MAX_WAITING_BYTES", 10 * 100_000)
    going_on, taken = asyncio.Event(), 0

    async def take(_message: BusMessage) -> None:
        nonlocal taken
        taken += 1
        await going_on.wait()

    for number in range(8):
        await bus.subscribe(f"test.{number}", take)
    for _ in range(8):
        for number in range(8):
            await bus.publish(f"test.{number}", bytes(100_000))
        await flushed(bus.client)
    assert 8 * 100_000 <= bus.client.waiting_bytes <= 10 * 100_000
    going_on.set()
    await eventually(lambda: not bus.client.waiting_bytes)
    before = taken
    await bus.publish("test.0", bytes(100_000))
    await eventually(lambda: taken == before + 1)


async def test_a_frame_of_eight_megabytes_passes(bus: Bus) -> None:
    received: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def hear(message: object) -> None:
        received.set_result(len(message.data))  # type: ignore[attr-defined]  # a nats BusMessage

    await bus.subscribe("media.>", hear)
    assert await bus.publish("media.cam", bytes(8 * 1024 * 1024 - 100))
    assert await asyncio.wait_for(received, 30) == 8 * 1024 * 1024 - 100


async def test_a_question_that_nobody_hears_is_unavailable(bus: Bus) -> None:
    with pytest.raises(UnavailableError, match="nobody answers on nobody"):
        await bus.request("nobody", b"")


async def test_it_closes_although_the_server_is_gone(mesh_settings: MeshSettings, nats_server: NatsServer) -> None:
    # passes if nothing raises
    bus = await Bus.connect(mesh_settings, "leaving")
    await nats_server.kill()
    async with asyncio.timeout(90):
        await bus.close()


async def test_it_closes_although_something_waits_for_a_server_that_is_gone(
    mesh_settings: MeshSettings, nats_server: NatsServer
) -> None:
    bus = await Bus.connect(mesh_settings, "leaving")
    await nats_server.kill()
    await eventually(lambda: not bus.connected)

    async def hear(message: BusMessage) -> None:
        raise AssertionError(message)

    await bus.subscribe("pantau.v1.city.media.>", hear)
    await asyncio.wait_for(bus.close(), 30)
    assert bus.client.is_closed


async def test_direct_messages_come_in_order_and_a_handler_that_fails_stops_nothing(bus: Bus) -> None:
    heard: list[int] = []

    def hear(payload: bytes) -> None:
        heard.append(int(payload))
        if heard[-1] == 3:
            raise RuntimeError("of no consequence to others")

    subscription = await bus.subscribe_direct("pantau.v1.city.media.main.*", hear)
    with capture_logs() as logs:
        for number in range(100):
            await bus.publish(f"pantau.v1.city.media.main.cam-{number % 7}", b"%d" % number)
        await eventually(lambda: len(heard) == 100)
    assert heard == list(range(100))
    assert [entry["event"] for entry in logs] == ["bus.handler_failed"]
    await subscription.unsubscribe()
    await bus.publish("pantau.v1.city.media.main.cam-1", b"1")
    await flushed(bus.client)
    assert len(heard) == 100


async def test_direct_messages_go_on_after_the_server_was_killed(bus: Bus, nats_server: NatsServer) -> None:
    # passes if nothing raises
    heard: list[bytes] = []
    await bus.subscribe_direct("pantau.v1.city.media.>", heard.append)
    await nats_server.stop()
    await nats_server.start()
    await eventually(lambda: bus.reconnects == 1)
    await bus.publish("pantau.v1.city.media.main.a", b"after")
    await eventually(lambda: heard == [b"after"])


def test_who_publishes_as_the_connection_is_lost_gets_no_error_and_the_bus_comes_back(tmp_path: Path) -> None:
    uvloop.run(lose_the_connection_between_publishing(tmp_path))  # the loop that services run on


async def ignore(_message: BusMessage) -> None:
    """Of no interest."""


async def lose_the_connection_between_publishing(folder: Path) -> None:
    async with NatsServer(folder) as server:
        bus = await Bus.connect(MeshSettings(nats_url=server.url, data=folder / "data", admin_port=0), "test")
        await bus.subscribe("pantau.v1.city.event.>", ignore)
        await flushed(bus.client)
        reconnected = asyncio.ensure_future(bus.reconnected())
        wire = bus.client._wire()
        assert wire is not None
        wire.abort()  # nats-py hears of it in the turn after the next
        await bus.publish("pantau.v1.city.event.a", b"1")
        assert not bus.publish_media("pantau.v1.city.media.main.a", b"2")
        assert not bus.publish_media_lines(b"PUB a 1\r\n3\r\n", 1)
        await asyncio.sleep(0)  # nats-py's flusher writes, to a transport that is closed by now
        await bus.publish("pantau.v1.city.event.a", b"4")
        await reconnected
        await flushed(bus.client)
        wire = bus.client._wire()
        assert wire is not None
        wire.abort()
        await asyncio.sleep(0)
        await bus.publish("pantau.v1.city.event.a", b"5")
        await bus.client.close()  # it has not heard of the end, and has something to write
        assert not bus.client._subs


@needs_compiler
async def test_pictures_go_into_an_inbox_that_c_fills_also_after_the_server_was_killed(
    bus: Bus, nats_server: NatsServer
) -> None:
    inbox = KernelInbox(kernel())
    heard: list[bytes] = []
    unit = AccessUnit(Flags.NONE, Codec.H264, 1, 7, 0, 0, 0, 0, CaptureClockSource.RTCP, b"picture")
    subscription = await bus.subscribe_direct("pantau.v1.city.media.main.cam-1", heard.append, inbox=inbox)

    async def publish(each: AccessUnit) -> None:
        await bus.publish("pantau.v1.city.media.main.cam-1", encode(each))

    await publish(unit)
    await publish(unit._replace(flags=Flags.KEYFRAME))
    await eventually(lambda: heard == [encode(unit._replace(flags=Flags.KEYFRAME))])
    assert inbox.newest == (1, 7)
    await nats_server.stop()
    await nats_server.start()
    await eventually(lambda: bus.reconnects == 1)
    await publish(unit._replace(sequence=8))
    await eventually(lambda: inbox.newest == (1, 8))
    run = inbox.take()
    assert run is not None
    assert [run.unit(at) for at in range(len(run))] == [unit, unit._replace(sequence=8)]
    await subscription.unsubscribe()
    await publish(unit)
    await flushed(bus.client)
    assert inbox.take() is None
    assert len(heard) == 1


@pytest.mark.filterwarnings("ignore:parameter 'timeout' of type 'float':DeprecationWarning")  # nats-py's, to aiohttp
async def test_media_goes_over_a_websocket_in_order_and_is_refused_where_the_server_reads_too_slowly(
    tmp_path: Path,
) -> None:
    text = config(tmp_path / "js") + 'websocket { host: "127.0.0.1", port: -1, no_tls: true }\n'
    async with NatsServer(tmp_path / "nats", text=text) as server:
        (ports,) = (tmp_path / "nats").glob("*.ports")
        url = json.loads(ports.read_text())["websocket"][0]
        sender = await Bus.connect(MeshSettings(nats_url=url), "by-websocket")
        hearer = await Bus.connect(MeshSettings(nats_url=server.url), "by-tcp")
        heard: list[bytes] = []
        await hearer.subscribe_direct("pantau.v1.city.media.>", heard.append)
        await flushed(hearer.client)
        sent = [b"%d" % number * 1000 for number in range(50)]
        for payload in sent:
            assert sender.publish_media("pantau.v1.city.media.main.cam-1", payload)
        await eventually(lambda: len(heard) == 50)
        assert heard == sent
        # Nothing of one loop turn is sent before its end, so it adds up.
        assert sender.publish_media("pantau.v1.city.other", b"x" * (MAX_UNSENT_BYTES // 2))
        assert not sender.publish_media("pantau.v1.city.other", b"x" * (MAX_UNSENT_BYTES // 2))
        await server.kill()
        await eventually(lambda: not sender.connected)
        assert not sender.publish_media("pantau.v1.city.media.main.cam-1", b"lost")
        await hearer.close()
        await sender.close()
