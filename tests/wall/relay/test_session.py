"""A session from offer to goodbye, over real sockets and a real nats-server."""

import asyncio
import socket
import time
from contextlib import suppress
from itertools import pairwise

import pytest

from services.contracts import subjects
from services.contracts.errors import BadOfferError, ConflictError, NotFoundError
from services.contracts.models import Reason, WantReply
from services.contracts.sessions import (
    Aim,
    ClockNotice,
    DrainNotice,
    ErrorNotice,
    FrameMark,
    Listen,
    Seen,
    SeenFrame,
    Size,
    SlotNotice,
)
from services.media.nal import split_annex_b
from services.mesh.bus import Bus, BusMessage
from services.mesh.clock import ManualClock, TurnedClock
from services.mesh.settings import MeshSettings
from services.wall.relay.addresses import own_addresses
from services.wall.relay.engine.ice import CONSENT_SECONDS
from services.wall.relay.sending.quality import QualityLevel
from tests.wall.relay.camera import SITE, BusCamera, Clip, clip
from tests.wall.relay.running import Front, running_relay
from tests.wall.relay.viewer import PLAYOUT_ID, Viewer

pytestmark = pytest.mark.integration


async def until(condition: object, timeout_seconds: float = 90.0) -> None:
    assert callable(condition)
    async with asyncio.timeout(timeout_seconds):
        while not condition():
            await asyncio.sleep(0.01)


def is_keyframe(frame: bytes) -> bool:
    return any(unit[0] & 0x1F == 7 for unit in split_annex_b(frame))


def long_gop() -> Clip:
    """One keyframe in 20 s."""
    return clip(1, gop=500, gops=1, size=(320, 180))


def states(front: Front, session: str, slot: int = 0) -> list[str]:
    notices = front.notices[session]
    return [notice.state for notice in notices if isinstance(notice, SlotNotice) and notice.slot == slot]


async def test_a_viewer_gets_the_cached_gop_one_tick_apart_and_then_live_frames(bus: Bus, front: Front) -> None:
    await front.add_camera("cam-1")
    async with BusCamera(bus, "cam-1", long_gop()) as camera:
        await until(lambda: camera.sequence >= 25)
        before = camera.sequence
        viewer = Viewer(front)
        await viewer.open(1, Aim(slot=0, camera="cam-1"))
        opened = camera.sequence
        await until(lambda: len(viewer.frames()) >= opened + 5)
        frames = viewer.frames()
        stamps = [stamp for stamp, _ in frames]
        steps = [(b - a) & 0xFFFFFFFF for a, b in pairwise(stamps)]
        cached = steps.count(1)
        assert cached >= before - 1
        assert steps[:cached] == [1] * cached
        assert steps[cached:] == [3600] * (len(steps) - cached)
        assert is_keyframe(frames[0][1])
        first = [p for p in viewer.packets[viewer.ssrcs[0]] if p.header.timestamp == stamps[0]]
        assert all(p.header.extensions[PLAYOUT_ID] == b"\0\0\0" for p in first)
        assert len(first) > 1
        await until(lambda: states(front, viewer.session.session) == ["opening", "catching-up", "live"])
        await viewer.close()


async def test_what_leads_on_from_two_first_frames_comes_when_the_page_has_seen_both(
    bus: Bus, mesh_settings: MeshSettings
) -> None:
    clock = ManualClock()
    async with (
        running_relay(bus, mesh_settings, clock=clock) as front,
        BusCamera(bus, "cam-1", clip(1)) as one,
        BusCamera(bus, "cam-2", clip(2)) as two,
    ):

        async def pass_milliseconds(count: int) -> None:
            for _ in range(count):
                clock.advance(0.001)
                await asyncio.sleep(0.001)

        for camera in ("cam-1", "cam-2"):
            await front.add_camera(camera)
        await until(lambda: min(one.sequence, two.sequence) > 12)
        one.hold = two.hold = True
        viewer = Viewer(front)
        await viewer.open(2, Aim(slot=0, camera="cam-1"), Aim(slot=1, camera="cam-2"))
        async with asyncio.timeout(90):
            while not (viewer.frames(0) and viewer.frames(1)):
                await pass_milliseconds(1)
        seen = [SeenFrame(slot=slot, rtp=viewer.frames(slot)[0][0]) for slot in (0, 1)]
        session = viewer.session.session
        await front.control(session, Seen(frames=(seen[0], SeenFrame(slot=63, rtp=0))))
        await pass_milliseconds(20)
        assert [len(viewer.frames(slot)) for slot in (0, 1)] == [1, 1]
        await front.control(session, Seen(frames=(seen[1],)))
        await pass_milliseconds(20)
        await until(lambda: min(len(viewer.frames(slot)) for slot in (0, 1)) > 5)
        await viewer.close()


async def test_a_slot_is_re_aimed_with_continuous_numbers_and_growing_timestamps(bus: Bus, front: Front) -> None:
    await front.add_camera("cam-1")
    await front.add_camera("cam-2")
    async with BusCamera(bus, "cam-1", clip(1)), BusCamera(bus, "cam-2", clip(2)):
        await asyncio.sleep(0.4)
        viewer = Viewer(front)
        await viewer.open(1, Aim(slot=0, camera="cam-1"))
        await viewer.wait_packets(40)
        for camera in ("cam-2", "cam-1", "cam-2"):
            count = len(viewer.packets[viewer.ssrcs[0]])
            await front.control(viewer.session.session, Aim(slot=0, camera=camera))
            await viewer.wait_packets(count + 40)
        packets = viewer.packets[viewer.ssrcs[0]]
        numbers = [p.header.sequence for p in packets]
        assert numbers == [(numbers[0] + n) & 0xFFFF for n in range(len(numbers))]
        stamps = [p.header.timestamp for p in packets]
        assert all((b - a) & 0xFFFFFFFF < 1 << 31 for a, b in pairwise(stamps))
        await viewer.close()


async def test_lost_packets_come_again_on_the_rtx_stream(bus: Bus, front: Front) -> None:
    await front.add_camera("cam-1")
    async with BusCamera(bus, "cam-1", clip(1)):
        viewer = Viewer(front)
        await viewer.open(1, Aim(slot=0, camera="cam-1"))
        wanted = (await viewer.wait_packets(30))[-2]
        viewer.nack(viewer.ssrcs[0], wanted.header.sequence)
        await until(lambda: viewer.packets.get(viewer.rtx_ssrcs[0]))
        again = viewer.packets[viewer.rtx_ssrcs[0]][0]
        assert again.payload == wanted.header.sequence.to_bytes(2, "big") + wanted.payload
        assert again.header.timestamp == wanted.header.timestamp
        assert again.header.marker == wanted.header.marker
        await viewer.close()


async def test_without_rtx_the_same_packet_is_sent_again(bus: Bus, front: Front) -> None:
    await front.add_camera("cam-1")
    async with BusCamera(bus, "cam-1", clip(1)):
        viewer = Viewer(front)
        await viewer.open(1, Aim(slot=0, camera="cam-1"), rtx=False)
        assert not viewer.rtx_ssrcs
        sent: list[int] = []

        def look(data: bytes) -> bool:
            # On the wire: the receiver's replay window refuses the repetition.
            sent.append(int.from_bytes(data[2:4], "big"))
            return False

        viewer.lose = look
        wanted = (await viewer.wait_packets(20))[-1].header.sequence
        viewer.nack(viewer.ssrcs[0], wanted)
        await until(lambda: sent.count(wanted) == 2)
        await viewer.close()


async def test_a_keyframe_request_is_answered_from_the_cache_but_not_twice_at_once(bus: Bus, front: Front) -> None:
    await front.add_camera("cam-1")
    async with BusCamera(bus, "cam-1", long_gop()):
        viewer = Viewer(front)
        await viewer.open(1, Aim(slot=0, camera="cam-1"))
        await until(lambda: len(viewer.frames()) > 20)
        await asyncio.sleep(0.5)

        def keyframes() -> int:
            return sum(is_keyframe(frame) for _, frame in viewer.frames())

        assert keyframes() == 1
        for _ in range(5):
            viewer.pli(viewer.ssrcs[0])
        await until(lambda: keyframes() == 2)
        await asyncio.sleep(0.2)
        assert keyframes() == 2
        await viewer.close()


async def test_without_playout_delay_cached_frames_keep_their_spacing(bus: Bus, front: Front) -> None:
    await front.add_camera("cam-1")
    async with BusCamera(bus, "cam-1", clip(1)):
        await asyncio.sleep(0.5)
        viewer = Viewer(front)
        await viewer.open(1, Aim(slot=0, camera="cam-1"), playout_delay=False)
        await until(lambda: len(viewer.frames()) > 15)
        stamps = [stamp for stamp, _ in viewer.frames()]
        assert {(b - a) & 0xFFFFFFFF for a, b in pairwise(stamps)} == {3600}
        await viewer.close()


async def test_a_lost_frame_is_fetched_from_ingest_and_the_viewer_misses_nothing(bus: Bus, front: Front) -> None:
    await front.add_camera("cam-1")
    async with BusCamera(bus, "cam-1", long_gop()) as camera:
        viewer = Viewer(front)
        await viewer.open(1, Aim(slot=0, camera="cam-1"))
        await until(lambda: len(viewer.frames()) > 10)
        camera.hold, held = True, camera.sequence
        await until(lambda: camera.sequence >= held + 5)
        camera.hold, sent = False, camera.sequence
        await until(lambda: len(viewer.frames()) >= sent + 5)  # all that was made, from the camera's first frame on
        frames = viewer.frames()
        assert sum(is_keyframe(frame) for _, frame in frames) == 1
        await viewer.close()


async def test_a_camera_that_is_away_says_why_and_comes_back_by_itself(bus: Bus, front: Front) -> None:
    await front.add_camera("cam-1")
    viewer = Viewer(front)
    await viewer.open(1, Aim(slot=0, camera="cam-1"))
    await until(lambda: states(front, viewer.session.session)[-1:] == ["waiting"])
    notice = front.notices[viewer.session.session][-1]
    assert isinstance(notice, SlotNotice)
    assert notice.reason is Reason.NO_INGEST
    async with BusCamera(bus, "cam-1", clip(1)) as camera:
        camera.failing = WantReply(status="failed", reason=Reason.UNAUTHORIZED, detail="401")
        await until(lambda: states(front, viewer.session.session)[-1:] == ["live"])
        assert viewer.frames()
    await viewer.close()


@pytest.mark.parametrize("setting", ["show", "hold"])
async def test_damaged_pictures_are_shown_or_held_back_by_the_setting_and_the_tile_says_so(
    bus: Bus, mesh_settings: MeshSettings, setting: str
) -> None:
    async with (
        running_relay(bus, mesh_settings, damaged=setting) as front,
        BusCamera(bus, "cam-1", clip(1, gop=25, gops=4, size=(320, 180))) as camera,
    ):
        await front.add_camera("cam-1")
        viewer = Viewer(front)
        await viewer.open(1, Aim(slot=0, camera="cam-1"))
        name = viewer.session.session
        await until(lambda: states(front, name)[-1:] == ["live"])
        begin = camera.sequence + 5
        end = (begin // 25 + 1) * 25
        camera.damaged, before = range(begin, end), len(viewer.frames())

        def pause() -> int:
            """The longest step between two pictures, in pictures."""
            steps = ((b - a) & 0xFFFFFFFF for (a, _), (b, _) in pairwise(viewer.frames()))
            return max(steps, default=0) // 3600

        if setting == "hold":
            await until(lambda: pause() == end - begin + 1)
        else:
            await until(lambda: len(viewer.frames()) >= before + end - begin + 10)
            assert pause() == 1
        await until(lambda: any(isinstance(n, SlotNotice) and n.damaged for n in front.notices[name]))
        await viewer.close()


async def test_of_a_gop_that_is_too_long_the_keyframe_is_shown_and_the_tile_waits_for_the_next(
    bus: Bus, front: Front
) -> None:
    await front.add_camera("cam-1")
    async with BusCamera(bus, "cam-1", long_gop()) as camera:
        camera.cut = True
        await asyncio.sleep(0.5)
        viewer = Viewer(front)
        await viewer.open(1, Aim(slot=0, camera="cam-1"))
        name = viewer.session.session
        await until(lambda: states(front, name)[-1:] == ["waiting"] and viewer.frames())
        notice = next(n for n in reversed(front.notices[name]) if isinstance(n, SlotNotice))
        assert notice.reason is Reason.NO_KEYFRAME
        await until(lambda: any(isinstance(n, FrameMark) for n in front.notices[name]))
        mark = next(n for n in front.notices[name] if isinstance(n, FrameMark))
        assert mark.capture_us < time.time_ns() // 1000 - 400_000
        assert all(is_keyframe(frame) for _, frame in viewer.frames())
        for _ in range(3):
            viewer.pli(viewer.ssrcs[0])
            await asyncio.sleep(0.02)
        assert states(front, name)[-1] == "waiting"
        camera.sequence = 500  # the next keyframe
        await until(lambda: states(front, name)[-1:] == ["live"])
        await viewer.close()


async def test_a_browser_that_asks_for_a_keyframe_does_not_get_the_past_of_a_camera_that_is_away(
    bus: Bus, front: Front
) -> None:
    await front.add_camera("cam-1")
    viewer = Viewer(front)
    async with BusCamera(bus, "cam-1", clip(1)):
        await viewer.open(1, Aim(slot=0, camera="cam-1"))
        await until(lambda: states(front, viewer.session.session)[-1:] == ["live"])
    await until(lambda: states(front, viewer.session.session)[-1:] == ["waiting"])
    shown = len(viewer.frames())
    viewer.pli(viewer.ssrcs[0])
    await asyncio.sleep(0.5)
    assert len(viewer.frames()) == shown
    assert states(front, viewer.session.session)[-1] == "waiting"
    await viewer.close()


async def test_an_unknown_camera_and_an_unknown_slot_are_told_apart(front: Front) -> None:
    viewer = Viewer(front)
    await viewer.open(2, Aim(slot=0, camera="nowhere"))
    name = viewer.session.session
    await until(lambda: states(front, name)[-1:] == ["waiting"])
    assert any(isinstance(n, SlotNotice) and n.reason is Reason.NOT_FOUND for n in front.notices[name])
    await front.control(name, Aim(slot=2, camera="nowhere"))
    await front.control(name, Listen(slot=0))
    await until(lambda: len([n for n in front.notices[name] if isinstance(n, ErrorNotice)]) == 2)
    await viewer.close()


async def test_auto_takes_the_sub_for_small_tiles_and_main_stands_in_while_it_opens(bus: Bus, front: Front) -> None:
    await front.add_camera("cam-1", "main", "sub")
    main, small = clip(1, size=(1280, 720), gops=1, bitrate_bps=2_000_000), clip(2, size=(320, 180), fps=15)
    async with BusCamera(bus, "cam-1", main), BusCamera(bus, "cam-1", small, "sub", on_demand=True) as sub:
        viewer = Viewer(front)
        await viewer.open(1, Aim(slot=0, camera="cam-1"))
        await front.control(viewer.session.session, Size(slot=0, width_px=300, height_px=170))

        def profiles() -> list[str | None]:
            heard = front.notices[viewer.session.session]
            return [n.profile for n in heard if isinstance(n, SlotNotice) and n.state == "live"]

        await until(lambda: profiles()[-1:] == ["sub"])
        assert sub.wants
        await front.control(viewer.session.session, Size(slot=0, width_px=1280, height_px=720))
        await until(lambda: profiles()[-1:] == ["main"])
        await front.control(viewer.session.session, Size(slot=0, width_px=0, height_px=0))
        await until(lambda: states(front, viewer.session.session)[-1:] == ["paused"])
        track = front.relay.sessions[viewer.session.session].slots[0].track
        count = track.packets
        await asyncio.sleep(0.3)
        assert track.packets == count  # hidden: nothing is sent
        await front.control(viewer.session.session, Size(slot=0, width_px=1280, height_px=720))
        await viewer.wait_packets(count + 10)
        await viewer.close()


async def test_a_whep_player_that_never_says_its_size_is_sent_main_until_its_link_is_too_slow(
    bus: Bus, front: Front
) -> None:
    await front.add_camera("cam-1", "main", "sub")
    main, small = clip(1, size=(1280, 720), gops=1, bitrate_bps=2_000_000), clip(2, size=(320, 180), fps=15)
    async with BusCamera(bus, "cam-1", main), BusCamera(bus, "cam-1", small, "sub", on_demand=True) as sub:
        await asyncio.sleep(0.3)
        viewer = Viewer(front)
        await viewer.open(1, Aim(slot=0, camera="cam-1"), kind="whep")
        await viewer.wait_packets(1)
        session = front.relay.sessions[viewer.session.session]

        def shown() -> tuple[str | None, str]:
            notice = session.slots[0].notice
            return notice.profile, notice.state

        assert shown()[0] == "main"
        assert sub.wants == 0
        heard = front.notices[viewer.session.session]
        await viewer.wait_packets(100)
        assert not heard  # no page, no notices
        await front.attach(viewer.session.session)
        await until(lambda: {"slot", "mark"} <= {notice.type for notice in heard})
        for slot in session.slots:
            slot.set_level(QualityLevel.SUB)
        await until(lambda: shown() == ("sub", "live"))
        await viewer.close()


async def test_a_main_stands_in_by_keyframes_and_flows_whole_where_the_sub_does_not_come(
    bus: Bus, front: Front
) -> None:
    await front.add_camera("cam-1", "main", "sub")
    answer = WantReply(status="opening")

    async def on_want(message: BusMessage) -> None:
        if message.reply:
            await bus.publish(message.reply, answer.pack())
            await bus.publish(message.reply, b"")

    subscription = await bus.subscribe(subjects.want(SITE, "sub", "cam-1"), on_want)
    async with BusCamera(bus, "cam-1", clip(1, gop=25)) as camera:
        viewer = Viewer(front)
        await viewer.open(1, Aim(slot=0, camera="cam-1"))
        await viewer.wait_packets(1)
        began = camera.sequence
        await until(lambda: camera.sequence >= began + 30)
        assert all(is_keyframe(frame) for _, frame in viewer.frames())
        answer = WantReply(status="failed", reason=Reason.REFUSED)
        await until(lambda: len(viewer.frames()) > 30)
        assert states(front, viewer.session.session)[-1] == "live"
        await viewer.close()
    await subscription.unsubscribe()


async def test_a_camera_enters_the_relay_once_for_all_viewers(bus: Bus, front: Front) -> None:
    await front.add_camera("cam-1")
    async with BusCamera(bus, "cam-1", clip(1)):
        viewers = [Viewer(front) for _ in range(3)]
        for viewer in viewers:
            await viewer.open(2, Aim(slot=0, camera="cam-1"), Aim(slot=1, camera="cam-1"))
        for viewer in viewers:
            await viewer.wait_packets(20, 0)
            await viewer.wait_packets(20, 1)
        assert len(front.relay._hub) == 1
        for viewer in viewers:
            await viewer.close()


async def test_a_viewer_that_moves_is_followed_and_one_that_says_goodbye_is_gone(bus: Bus, front: Front) -> None:
    await front.add_camera("cam-1")
    async with BusCamera(bus, "cam-1", clip(1)):
        viewer = Viewer(front)
        await viewer.open(1, Aim(slot=0, camera="cam-1"))
        count = len(await viewer.wait_packets(10))
        viewer.move()
        viewer.check()
        await viewer.wait_packets(count + 20)
        assert front.relay.udp.known == (1, 2)
        await viewer.close()
        await until(lambda: not front.relay.sessions)
        assert front.relay.udp.known == (0, 0)


async def test_media_goes_to_no_address_that_a_viewer_only_names(bus: Bus, front: Front) -> None:
    await front.add_camera("cam-1")
    async with BusCamera(bus, "cam-1", clip(1)):
        viewer = Viewer(front)
        await viewer.open(1, Aim(slot=0, camera="cam-1"))
        await viewer.wait_packets(10)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as third_party:
            third_party.bind(("127.0.0.1", 0))
            third_party.setblocking(False)
            viewer.sock, own = third_party, viewer.sock  # stands for a datagram with a forged source
            viewer.check()
            viewer.pli(viewer.ssrcs[0])
            viewer.send(b"\x16dtls")
            viewer.sock = own
            await viewer.wait_packets(len(await viewer.wait_packets(10)) + 30)  # media goes on where it went
            received = []
            with suppress(BlockingIOError):
                while True:
                    received.append(third_party.recv(2048))
        assert all(data[0] < 4 for data in received)
        assert [data[:2] for data in received] == [b"\x01\x01", b"\x00\x01"]
        await viewer.close()


OTHER_HOSTS = [host for host in own_addresses() if ":" not in host and not host.startswith("127.")]


@pytest.mark.skipif(not OTHER_HOSTS, reason="this machine has one address")
async def test_all_that_a_viewer_gets_comes_from_the_address_that_it_asked(bus: Bus, front: Front) -> None:
    # as behind a TURN server on the relay's machine: the route would send from 127.0.0.1
    await front.add_camera("cam-1")
    async with BusCamera(bus, "cam-1", clip(1)):
        viewer = Viewer(front)
        await viewer.open(1, Aim(slot=0, camera="cam-1"), connect=False)
        viewer.relay_host = OTHER_HOSTS[0]
        viewer.sock.connect((viewer.relay_host, front.relay.udp.port))  # it takes nothing from elsewhere
        await viewer.connect()
        await viewer.wait_packets(40)
        wanted = viewer.packets[viewer.ssrcs[0]][-1].header.sequence
        viewer.nack(viewer.ssrcs[0], wanted)
        await until(lambda: viewer.packets[viewer.rtx_ssrcs[0]])
        await until(lambda: viewer.rtcp)
        await viewer.close()


async def test_a_viewer_that_answers_no_checks_is_proven_by_dtls(bus: Bus, front: Front) -> None:
    await front.add_camera("cam-1")
    async with BusCamera(bus, "cam-1", clip(1)):
        viewer = Viewer(front)
        viewer.answers_checks = False
        await viewer.open(1, Aim(slot=0, camera="cam-1"))
        await viewer.wait_packets(10)
        await viewer.close()


async def test_a_viewer_that_vanishes_is_gone_when_its_consent_is(bus: Bus, mesh_settings: MeshSettings) -> None:
    clock = TurnedClock()
    async with running_relay(bus, mesh_settings, clock=clock) as front, BusCamera(bus, "cam-1", clip(1)):
        await front.add_camera("cam-1")
        viewer = Viewer(front)
        await viewer.open(1, Aim(slot=0, camera="cam-1"))
        await viewer.wait_packets(10)
        await viewer.close(goodbye=False)
        clock.advance(CONSENT_SECONDS / 2)
        await asyncio.sleep(0.1)
        assert front.relay.sessions
        clock.advance(CONSENT_SECONDS / 2)
        await until(lambda: not front.relay.sessions)
        assert front.relay.udp.known == (0, 0)


async def test_a_page_whose_control_socket_opens_late_is_told_how_all_stands(bus: Bus, front: Front) -> None:
    await front.add_camera("cam-1")
    viewer = Viewer(front)
    await viewer.open(2, Aim(slot=0, camera="cam-1", source="recorded"), connect=False)
    session = viewer.session.session
    notices = front.notices[session]
    front.relay.sessions[session].drain()
    await until(lambda: DrainNotice() in notices)
    notices.clear()
    await front.attach(session)
    await until(lambda: DrainNotice() in notices)
    # Of slot 0 there may be one more: that nothing was found to play comes when the recorders were asked.
    assert {notice.slot for notice in notices if isinstance(notice, SlotNotice)} == {0, 1}
    assert [notice.playing for notice in notices if isinstance(notice, ClockNotice)] == [False]
    await viewer.close()


async def test_offers_and_sessions_that_cannot_be_are_refused_by_code(front: Front) -> None:
    with pytest.raises(BadOfferError):
        await front.open("v=0\r\ns=-\r\n")
    with pytest.raises(NotFoundError):
        await front.close("nobody")
    viewer = Viewer(front)
    await viewer.open(1, connect=False)
    front._number -= 1
    with pytest.raises(ConflictError):
        await front.open("v=0")
    await front.close(viewer.session.session)
    await until(lambda: not front.relay.sessions)
    await viewer.close()
