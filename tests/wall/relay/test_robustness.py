"""What hostile, lossy, slow and vanishing viewers do to a relay and to the others: nothing."""

import asyncio
import ctypes
import gc
import os
import random
import socket
import sys
from pathlib import Path

import pytest

from services.contracts.sessions import Aim, LinkNotice, SlotNotice
from services.mesh.bus import Bus
from services.mesh.clock import TurnedClock
from services.mesh.event_stream import ensure_stream
from services.mesh.settings import MeshSettings
from tests.wall.relay.camera import BusCamera, clip
from tests.wall.relay.running import Front, hurried, running_relay
from tests.wall.relay.test_session import is_keyframe, states, until
from tests.wall.relay.viewer import Viewer

pytestmark = pytest.mark.integration


async def test_hostile_datagrams_leave_a_viewer_s_media_undisturbed(bus: Bus, front: Front) -> None:
    await front.add_camera("cam-1")
    async with BusCamera(bus, "cam-1", clip(1)):
        viewer = Viewer(front)
        await viewer.open(1, Aim(slot=0, camera="cam-1"))
        await viewer.wait_packets(20)
        known = front.relay.udp.known
        rng = random.Random(7)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as attacker:
            for number in range(3000):
                first = rng.choice([0, 1, 20, 22, 63, 128, 144, 200, 255])
                datagram = bytes((first,)) + rng.randbytes(rng.randrange(0, 1400))
                attacker.sendto(datagram, ("127.0.0.1", front.relay.udp.port))
                if number % 3 == 0:
                    viewer.send(datagram)  # from an address that is known
                if number % 100 == 0:
                    viewer.check(password="not-the-password-at-all")
                    await asyncio.sleep(0.001)
        count = len(viewer.packets[viewer.ssrcs[0]])
        await viewer.wait_packets(count + 40)
        assert front.relay.udp.known == known
        numbers = [p.header.sequence for p in viewer.packets[viewer.ssrcs[0]]]
        assert numbers == [(numbers[0] + n) & 0xFFFF for n in range(len(numbers))]
        await viewer.close()


async def test_malformed_frames_on_the_bus_cost_nobody_anything(bus: Bus, front: Front) -> None:
    # passes if nothing raises
    await front.add_camera("cam-1")
    async with BusCamera(bus, "cam-1", clip(1)):
        viewer = Viewer(front)
        await viewer.open(1, Aim(slot=0, camera="cam-1"))
        await viewer.wait_packets(10)
        rng = random.Random(3)
        for _ in range(200):
            await bus.publish("pantau.v1.city.media.main.cam-1", rng.randbytes(rng.randrange(300)))
        count = len(viewer.packets[viewer.ssrcs[0]])
        await viewer.wait_packets(count + 30)
        await viewer.close()


async def test_a_narrow_link_is_stepped_down_told_and_brought_back(bus: Bus, mesh_settings: MeshSettings) -> None:
    clock = TurnedClock()
    main, small = clip(1, size=(1280, 720), gops=1, bitrate_bps=2_000_000), clip(2, size=(320, 180), fps=15)
    async with (
        running_relay(bus, mesh_settings, clock=clock) as front,
        hurried(clock, 4),
        BusCamera(bus, "cam-1", main),
        BusCamera(bus, "cam-1", small, "sub", on_demand=True),
    ):
        await front.add_camera("cam-1", "main", "sub")
        viewer = Viewer(front)
        await viewer.open(1, Aim(slot=0, camera="cam-1", profile="main"))
        name = viewer.session.session
        highest = 0

        def limited() -> list[str]:
            return [n.limited for n in front.notices[name] if isinstance(n, SlotNotice) and n.state == "live"]

        async def report(estimate_bps: int, lost: int, wanted: str) -> None:
            nonlocal highest
            total_lost = 0
            async with asyncio.timeout(90):
                while limited()[-1:] != [wanted]:
                    highest += 100
                    total_lost += lost
                    viewer.report(viewer.ssrcs[0], lost=total_lost, highest=highest)
                    viewer.remb(estimate_bps)
                    viewer.check()  # the hurried clock would let the consent expire
                    await asyncio.sleep(0.1)

        await report(50_000, 0, "sub")
        assert any(isinstance(n, LinkNotice) and n.estimate_bps for n in front.notices[name])
        await report(20_000, 60, "keyframes")
        count = len(viewer.frames())
        await asyncio.sleep(1.0)
        assert sum(not is_keyframe(frame) for _, frame in viewer.frames()[count:]) <= 2, "some were on their way"
        await report(5_000_000, 0, "none")
        await viewer.close()


async def test_one_viewer_with_a_stopped_socket_slows_nobody(bus: Bus, front: Front) -> None:
    await front.add_camera("cam-1")
    async with BusCamera(bus, "cam-1", clip(1)) as camera:
        stopped, well = Viewer(front), Viewer(front)
        for viewer in (stopped, well):
            await viewer.open(1, Aim(slot=0, camera="cam-1"))
            await viewer.wait_packets(10)
        asyncio.get_running_loop().remove_reader(stopped.sock)
        before, made = len(well.frames()), camera.sequence
        await until(lambda: camera.sequence >= made + 35)
        sent = camera.sequence - made
        await until(lambda: len(well.frames()) - before >= sent - 3)
        asyncio.get_running_loop().add_reader(stopped.sock, stopped._readable)
        for viewer in (stopped, well):
            await viewer.close()


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 (a count of names)


def memory() -> tuple[int, int]:
    """Pieces of memory that Python holds, and the process's bytes: counted at no cost, unlike by `tracemalloc`."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # what is free already goes back first
    return sys.getallocatedblocks(), int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.timeout(300)
@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts descriptors in /proc")
async def test_hundreds_of_sessions_leave_memory_and_descriptors_where_they_were(bus: Bus, front: Front) -> None:
    """A fifth of them connect and get pictures; the others are opened and closed before any check."""
    await ensure_stream(bus)  # audit events of views would wait for their stream, and be counted
    await front.add_camera("cam-1")

    async def one(connect: bool, goodbye: bool) -> None:
        viewer = Viewer(front)
        viewer.keep = connect
        await viewer.open(2, Aim(slot=0, camera="cam-1"), connect=connect)
        if connect:
            await viewer.wait_packets(1)
        if connect and goodbye:
            await viewer.close()
        else:
            await front.close(viewer.session.session)
            await viewer.close(goodbye=False)

    async with BusCamera(bus, "cam-1", clip(1, size=(320, 180), gops=1)):
        for number in range(20):
            await one(True, number % 2 == 0)
        await until(lambda: not front.relay.sessions and not front.relay._outbox.snapshot())
        front.notices.clear()
        files, (blocks, resident_bytes) = descriptors(), memory()
        for number in range(300):
            await one(number % 5 == 0, number % 2 == 0)
            front.notices.clear()
        await until(lambda: not front.relay.sessions and not front.relay._outbox.snapshot())
        await asyncio.sleep(0.1)
        blocks_now, resident_bytes_now = memory()
    assert descriptors() <= files
    assert front.relay.udp.known == (0, 0)
    # A session that is kept is hundreds of pieces; what comes and goes by itself is about one thousand in all.
    assert blocks_now - blocks < 3000
    assert resident_bytes_now - resident_bytes < 10_000_000


async def test_a_relay_that_drains_tells_its_pages(bus: Bus, front: Front) -> None:
    viewer = Viewer(front)
    await viewer.open(1)
    front.relay._service.stopping.set()
    await until(lambda: any(n.type == "drain" for n in front.notices[viewer.session.session]))
    assert front.relay._lease().draining
    await viewer.close()
    await until(lambda: states(front, viewer.session.session) == [])
