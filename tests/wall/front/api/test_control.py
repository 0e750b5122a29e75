"""The control WebSocket between a page and its session's relay."""

import asyncio
import socket as socketlib

import aiohttp
import msgpack
import pytest

from services.contracts.sessions import Aim, DrainNotice, SessionControl, Size, SlotNotice, notices
from services.mesh.bus import BusMessage
from services.mesh.nats_server import NatsServer
from services.mesh.settings import MeshSettings
from services.wall.front.api import control
from tests.eventually import eventually
from tests.wall.front.running import OFFER, RunningFront, running_front, stub_relay

PATH = "/api/v1/wall/sessions"


async def opened(front: RunningFront) -> tuple[str, str]:
    """A session's id and the path of its control socket."""
    async with front.http.post(PATH, json={"sdp": OFFER}) as answer:
        body = await answer.json()
        return body["id"], body["control"]


async def test_the_relay_hears_that_the_page_is_there_and_then_its_messages_in_order(
    mesh_settings: MeshSettings,
) -> None:
    async with running_front(mesh_settings) as front, stub_relay(mesh_settings) as relay:
        session, path = await opened(front)
        async with front.http.ws_connect(path) as socket:
            await eventually(lambda: bool(relay.controls))
            assert relay.controls[0] == SessionControl(session=session, attached=True)
            for slot in range(36):
                await socket.send_json({"type": "aim", "slot": slot, "camera": f"cam-{slot}"})
            await socket.send_json({"type": "size", "slot": 3, "width_px": 640, "height_px": 360})
            await eventually(lambda: len(relay.controls) == 38)
            sent = [message.control for message in relay.controls[1:]]
            assert sent[:36] == [Aim(slot=slot, camera=f"cam-{slot}") for slot in range(36)]
            assert sent[36] == Size(slot=3, width_px=640, height_px=360)


async def test_notices_reach_the_page_with_fields_that_the_front_does_not_know(mesh_settings: MeshSettings) -> None:
    async with running_front(mesh_settings) as front, stub_relay(mesh_settings) as relay:
        session, path = await opened(front)
        async with front.http.ws_connect(path) as socket:
            await eventually(lambda: bool(relay.controls))
            await relay.say(session, SlotNotice(slot=0, camera="cam-1", state="live"))
            notice = await socket.receive_json(timeout=30)
            assert (notice["type"], notice["slot"], notice["camera"], notice["state"]) == ("slot", 0, "cam-1", "live")
            newer = msgpack.packb({"type": "novelty", "slot": 0, "unknown": [1, 2]})
            await front.bus.publish(notices("city", session), newer)
            assert await socket.receive_json(timeout=30) == {"type": "novelty", "slot": 0, "unknown": [1, 2]}
            await relay.say(session, DrainNotice())
            assert await socket.receive_json(timeout=30) == {"type": "drain"}


async def test_a_socket_for_a_session_that_does_not_exist_is_accepted_and_closed_with_4404(
    mesh_settings: MeshSettings,
) -> None:
    async with running_front(mesh_settings) as front, stub_relay(mesh_settings):
        for unknown in ("nonsense", "relay-1--0123456789abcdef", "gone--0123456789abcdef"):
            async with front.http.ws_connect(f"{PATH}/{unknown}/control") as socket:
                message = await socket.receive(timeout=30)
                assert message.type is aiohttp.WSMsgType.CLOSE, unknown
                assert socket.close_code == control.NO_SESSION


async def test_a_socket_whose_relay_dies_is_closed_with_4404_when_its_lease_ends(mesh_settings: MeshSettings) -> None:
    async with running_front(mesh_settings) as front, stub_relay(mesh_settings) as relay:
        _, path = await opened(front)
        async with front.http.ws_connect(path) as socket:
            await eventually(lambda: bool(relay.controls))
            await relay.die()
            while (await socket.receive(timeout=30)).type is not aiohttp.WSMsgType.CLOSE:
                pass
            assert socket.close_code == control.NO_SESSION


async def test_a_session_that_its_relay_has_forgotten_closes_the_socket_at_the_next_message(
    mesh_settings: MeshSettings,
) -> None:
    async with running_front(mesh_settings) as front, stub_relay(mesh_settings) as relay:
        _, path = await opened(front)
        async with front.http.ws_connect(path) as socket:
            await eventually(lambda: bool(relay.controls))
            relay.sessions.clear()
            await socket.send_json({"type": "aim", "slot": 0})
            await socket.receive(timeout=30)
            assert socket.close_code == control.NO_SESSION


async def test_a_message_that_cannot_be_understood_is_answered_with_an_error_and_the_socket_stays(
    mesh_settings: MeshSettings,
) -> None:
    async with running_front(mesh_settings) as front, stub_relay(mesh_settings) as relay:
        _, path = await opened(front)
        async with front.http.ws_connect(path) as socket:
            for bad in ("{", '{"type": "unheard-of"}', '{"type": "aim", "slot": 64}', "[]"):
                await socket.send_str(bad)
                notice = await socket.receive_json(timeout=30)
                assert (notice["type"], notice["code"]) == ("error", "invalid-input"), bad
            await socket.send_json({"type": "listen", "slot": 1})
            await eventually(lambda: len(relay.controls) == 2)


async def test_a_page_that_does_not_read_is_cut_off_and_others_go_on(mesh_settings: MeshSettings) -> None:
    async with running_front(mesh_settings) as front, stub_relay(mesh_settings) as relay:
        slow, slow_path = await opened(front)
        well, well_path = await opened(front)
        async with front.http.ws_connect(slow_path, max_msg_size=0) as deaf, front.http.ws_connect(well_path) as socket:
            await eventually(lambda: len(relay.controls) == 2)
            transport = deaf._response.connection and deaf._response.connection.transport
            assert isinstance(transport, asyncio.Transport)
            # A fixed size: else the kernel grows it until it has room for all of the 16 MB. Several times the
            # loopback's segment of 64 KiB: with less room the receiver closes its window, and probes come ever later.
            transport.get_extra_info("socket").setsockopt(socketlib.SOL_SOCKET, socketlib.SO_RCVBUF, 524_288)
            transport.pause_reading()
            notice = SlotNotice(slot=0, camera=None, state="waiting", detail="x" * 4000).pack()
            heard = 0

            async def hear(_: BusMessage) -> None:
                nonlocal heard
                heard += 1

            await front.bus.subscribe(notices("city", slow), hear)
            for _ in range(control.MAX_WAITING * 2):
                await front.bus.publish(notices("city", slow), notice)
            # The socket's own subscription is older: it is at most one read of the bus's connection behind.
            await eventually(lambda: heard == control.MAX_WAITING * 2)
            await relay.say(well, DrainNotice())
            assert await socket.receive_json(timeout=50) == {"type": "drain"}
            transport.resume_reading()
            while (message := await deaf.receive(timeout=50)).type is aiohttp.WSMsgType.TEXT:
                pass
            assert message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSING)
            assert deaf.close_code == control.TOO_SLOW


async def test_after_the_bus_was_away_the_page_is_told_again_what_its_slots_show(
    mesh_settings: MeshSettings, nats_server: NatsServer
) -> None:
    async with running_front(mesh_settings) as front, stub_relay(mesh_settings) as relay:
        session, path = await opened(front)
        async with front.http.ws_connect(path) as socket:
            await eventually(lambda: len(relay.controls) == 1)
            await nats_server.kill()
            await nats_server.start()
            again = SessionControl(session=session, attached=True)
            await eventually(lambda: relay.controls.count(again) == 2, 30)
            assert not socket.closed


async def test_a_plain_request_is_told_to_upgrade(mesh_settings: MeshSettings) -> None:
    async with running_front(mesh_settings) as front, front.http.get(f"{PATH}/a--0123456789abcdef/control") as answer:
        assert (answer.status, answer.headers["Upgrade"]) == (426, "websocket")


async def test_a_page_of_another_site_cannot_open_a_socket(mesh_settings: MeshSettings) -> None:
    async with running_front(mesh_settings) as front, stub_relay(mesh_settings):
        _, path = await opened(front)
        with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
            await front.http.ws_connect(path, origin="https://evil.example")


async def test_a_slow_relay_does_not_keep_later_messages_of_the_page(mesh_settings: MeshSettings) -> None:
    # passes if nothing raises
    async with running_front(mesh_settings) as front, stub_relay(mesh_settings) as relay:
        _, path = await opened(front)
        release = asyncio.Event()

        async def hold(message: SessionControl) -> None:
            if message.control == Aim(slot=0):
                await release.wait()

        relay.on_control = hold
        async with front.http.ws_connect(path) as socket:
            await socket.send_json({"type": "aim", "slot": 0})
            await socket.send_json({"type": "aim", "slot": 1})
            await eventually(lambda: len(relay.controls) == 3)
            release.set()
