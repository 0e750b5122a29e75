"""Cameras that a viewer cannot decode: what it is sent instead, by relays with real converter processes."""

import asyncio
import io
import os
import signal
from collections.abc import Callable
from functools import cache, partial
from itertools import pairwise

import av
import numpy as np
import pytest
from PIL import Image

from services.contracts import subjects
from services.contracts.errors import BadOfferError, UnavailableError
from services.contracts.frames import Codec
from services.contracts.models import Camera, CameraState, PrivacyMask, Profile, ProfileReport, Reason, Status
from services.contracts.permissions import Actor, Role
from services.contracts.sessions import Aim, SlotNotice
from services.media.h264 import is_vcl, slice_type
from services.media.nal import split_annex_b
from services.mesh.buckets import Bucket
from services.mesh.bus import Bus
from services.mesh.clock import TurnedClock
from services.mesh.settings import MeshSettings
from services.mesh.want import RENEW_SECONDS
from services.wall.relay.sources.conversion import KEEP_SECONDS
from tests.eventually import eventually
from tests.processes import children, command_line
from tests.wall.relay.camera import SITE, BusCamera, Clip, clip, picture
from tests.wall.relay.running import Front, hurried, running_relay
from tests.wall.relay.viewer import Viewer, make_offer

pytestmark = pytest.mark.integration

FPS = 10
GOP = 20
SIZE = (320, 180)
DIGEST = ":".join(["AA"] * 32)


def hevc() -> Clip:
    return clip(6, encoder="libx265", size=SIZE, fps=FPS, gop=GOP, gops=2)


@cache
def mjpeg() -> Clip:
    frames = []
    for number in range(20):
        file = io.BytesIO()
        Image.fromarray(picture(6, number, *SIZE)).save(file, "JPEG")
        frames.append((file.getvalue(), True))
    return Clip(tuple(frames), FPS, Codec.MJPEG)


def told(front: Front, viewer: Viewer) -> list[SlotNotice]:
    """A viewer that was opened just now may not have been told anything yet."""
    return [notice for notice in front.notices[viewer.session.session] if isinstance(notice, SlotNotice)]


def last(front: Front, viewer: Viewer) -> SlotNotice:
    return told(front, viewer)[-1]


def stands(front: Front, viewer: Viewer) -> tuple[str, bool, str]:
    """How its slot stands, whether it is converted, and in which codec it comes."""
    notice = last(front, viewer)
    return notice.state, notice.transcoded, notice.codec


async def until(front: Front, viewer: Viewer, state: str, reason: Reason = Reason.NONE) -> SlotNotice:
    async with asyncio.timeout(90):
        while True:
            for notice in told(front, viewer)[-1:]:
                if notice.state == state and (not reason or notice.reason is reason):
                    return notice
            await asyncio.sleep(0.02)


def converters() -> list[int]:
    """Process ids of this test's converters."""
    return [child for child in children(os.getpid()) if "services.wall.relay.convert" in command_line(child)]


@pytest.mark.parametrize("of", [hevc, mjpeg])
async def test_what_the_viewer_cannot_decode_comes_as_h264_and_says_so(bus: Bus, front: Front, of: object) -> None:
    assert callable(of)
    await front.add_camera("cam-1")
    async with BusCamera(bus, "cam-1", of()):
        await asyncio.sleep(0.3)
        viewer = Viewer(front)
        await viewer.open(1, Aim(slot=0, camera="cam-1"))
        notice = await until(front, viewer, "live")
        assert (notice.transcoded, notice.codec, notice.profile, notice.width_px) == (True, "h264", "main", SIZE[0])
        count = len(viewer.frames())
        await viewer.wait_packets(len(viewer.packets[viewer.ssrcs[0]]) + FPS)
        assert len(viewer.frames()) > count
        assert any(unit[0] & 0x1F == 7 for unit in split_annex_b(viewer.frames()[0][1]))
        await viewer.close()


def slices(frame: bytes) -> set[str]:
    """The slice types of an access unit in Annex B."""
    return {slice_type(unit) for unit in split_annex_b(frame) if is_vcl(unit)}


async def test_b_pictures_that_nothing_refers_to_are_left_out_and_nothing_is_converted(bus: Bus, front: Front) -> None:
    await front.add_camera("cam-1")
    halved = clip(6, size=SIZE, fps=FPS, gop=GOP, b_pictures="bframes=1")
    async with BusCamera(bus, "cam-1", halved):
        await asyncio.sleep(0.5)
        viewer = Viewer(front)
        await viewer.open(1, Aim(slot=0, camera="cam-1"))
        assert not (await until(front, viewer, "live")).transcoded
        count = len(viewer.frames())
        async with asyncio.timeout(90):
            while len(viewer.frames()) < count + FPS:
                await asyncio.sleep(0.1)
        stamps, frames = zip(*viewer.frames(), strict=True)
        assert set.union(*map(slices, frames)) == {"I", "P"}
        assert max((b - a) & 0xFFFFFFFF for a, b in pairwise(stamps)) == 2 * 90_000 // FPS, "one of two is left out"
        assert converters() == []
        await viewer.close()


@pytest.mark.parametrize(
    "encoding",
    [
        {"b_pictures": "bframes=3:b-pyramid=2"},
        {"b_pictures": "bframes=1:open-gop=1"},
        {"profile": "high422", "pixel_format": "yuv422p"},
    ],
)
async def test_pictures_that_browsers_cannot_show_are_converted(
    bus: Bus, front: Front, encoding: dict[str, str]
) -> None:
    await front.add_camera("cam-1")
    made = clip(6, size=SIZE, fps=FPS, gop=GOP, **encoding)
    async with BusCamera(bus, "cam-1", made) as camera:
        async with asyncio.timeout(90):
            while camera.sequence <= GOP:  # an open GOP has a keyframe without an IDR picture by then
                await asyncio.sleep(0.1)
        viewer = Viewer(front)
        await viewer.open(1, Aim(slot=0, camera="cam-1"))
        async with asyncio.timeout(90):
            while not any(notice.transcoded for notice in told(front, viewer)[-1:]):
                await asyncio.sleep(0.02)
        before = len(viewer.frames())
        await viewer.wait_packets(len(viewer.packets[viewer.ssrcs[0]]) + 2 * FPS)
        assert set.union(*(slices(frame) for _, frame in viewer.frames()[before:])) <= {"I", "P"}
        assert len(converters()) == 1
        await viewer.close()


async def test_without_room_for_a_conversion_the_tile_and_a_player_are_told_so(
    bus: Bus, mesh_settings: MeshSettings
) -> None:
    reordered = clip(6, size=SIZE, fps=FPS, gop=GOP, b_pictures="bframes=3:b-pyramid=2")
    async with (
        running_relay(bus, mesh_settings, conversions=0) as front,
        BusCamera(bus, "cam-1", reordered),
        BusCamera(bus, "cam-2", hevc()),
    ):
        await asyncio.sleep(1.0)
        for camera in ("cam-1", "cam-2"):
            viewer = Viewer(front)
            await front.add_camera(camera)
            await viewer.open(1, Aim(slot=0, camera=camera))
            assert "at most 0 at once" in (await until(front, viewer, "waiting", Reason.OVERLOADED)).detail
            await viewer.close()
            offer = make_offer("abcd", "p" * 24, DIGEST, 1)
            with pytest.raises(UnavailableError, match="at most 0 at once"):
                await front.open(offer, Aim(slot=0, camera=camera), kind="whep")
        async with asyncio.timeout(90):
            while front.relay.sessions:
                await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("of", "said"),
    [
        (partial(clip, 6, size=SIZE, fps=FPS, gop=GOP), "the camera sends h264, which the viewer does not take"),
        (mjpeg, "the camera sends mjpeg, and the viewer takes neither that nor h264"),
        (
            partial(clip, 6, encoder="libx265", size=SIZE, fps=FPS, gop=GOP, pixel_format="yuv420p10le"),
            "the camera sends hevc with pictures .* other than 8 bits",
        ),
    ],
)
async def test_a_player_to_which_a_camera_cannot_be_sent_is_told_why(
    bus: Bus, front: Front, of: Callable[[], Clip], said: str
) -> None:
    await front.add_camera("cam-1")
    async with BusCamera(bus, "cam-1", of()):
        await asyncio.sleep(0.3)
        offer = make_offer("abcd", "p" * 24, DIGEST, 1).replace("H264", "H265").replace("packetization-mode=1", "x=y")
        with pytest.raises(BadOfferError, match=said):
            await front.open(offer, Aim(slot=0, camera="cam-1"), kind="whep")
        assert converters() == []


PLAIN = partial(clip, 9, size=SIZE, fps=FPS, gop=GOP)
REORDERED = partial(clip, 6, size=SIZE, fps=FPS, gop=GOP, b_pictures="bframes=3:b-pyramid=2")


@pytest.mark.parametrize(
    ("of", "to", "transcoded"),
    [
        (hevc, mjpeg, True),
        (hevc, PLAIN, False),
        (REORDERED, PLAIN, False),
        (REORDERED, partial(REORDERED, gop=GOP // 2), True),
    ],
)
async def test_a_camera_may_change_its_codec_or_its_pictures_order_while_it_is_converted(
    bus: Bus, front: Front, of: Callable[[], Clip], to: Callable[[], Clip], transcoded: bool
) -> None:
    await front.add_camera("cam-1")
    states = await Bucket.open(bus, subjects.STATE_BUCKET, CameraState)

    async def observe(codec: Codec, since_us: int) -> None:
        report = ProfileReport(status="online", codec=codec.ffmpeg_name, since_us=since_us)
        state = CameraState(camera="cam-1", site=SITE, status=Status.ONLINE, since_us=1, profiles={"main": report})
        await states.put("cam-1", state)

    async with BusCamera(bus, "cam-1", of()) as camera:
        await observe(camera.clip.codec, 1)
        await asyncio.sleep(0.3)
        viewer = Viewer(front)
        await viewer.open(1, Aim(slot=0, camera="cam-1"))
        await eventually(lambda: stands(front, viewer) == ("live", True, "h264"))
        camera.clip, camera.epoch, camera.sequence = to(), camera.epoch + 1, 0
        count = len(viewer.frames())
        await asyncio.sleep(0.5)
        await observe(camera.clip.codec, 2)
        async with asyncio.timeout(90):
            while len(viewer.frames()) < count + 3 * FPS:
                await asyncio.sleep(0.1)
        # A busy converter may still have had so many of the pictures before.
        await eventually(lambda: stands(front, viewer) == ("live", transcoded, "h264"))
        await viewer.close()


async def test_a_player_without_opus_is_answered_no_section_for_sound_that_would_stay_silent(
    bus: Bus, front: Front
) -> None:
    await front.add_camera("cam-1", audio=True)
    states = await Bucket.open(bus, subjects.STATE_BUCKET, CameraState)
    reports = {"audio": ProfileReport(status="online", codec="aac")}
    state = CameraState(camera="cam-1", site=SITE, status=Status.ONLINE, since_us=1, profiles=reports)
    video = make_offer("abcd", "p" * 24, DIGEST, 1).replace("BUNDLE 0", "BUNDLE 0 a")

    async def is_answered(sound: str) -> bool:
        audio = f"m=audio 9 UDP/TLS/RTP/SAVPF 8\r\nc=IN IP4 0.0.0.0\r\na=mid:a\r\na=recvonly\r\na=rtpmap:8 {sound}\r\n"
        opened = await front.open(video + audio, Aim(slot=0, camera="cam-1"), kind="whep")
        return "m=audio 0 " not in opened.answer

    async with BusCamera(bus, "cam-1", clip(6, size=SIZE, fps=FPS, gop=GOP)):
        assert await is_answered("PCMA/8000"), "nobody knows yet what the camera sends"
        await states.put("cam-1", state)
        async with asyncio.timeout(90):
            while await is_answered("PCMA/8000"):
                await asyncio.sleep(0.1)
        assert await is_answered("opus/48000/2")


async def test_the_h264_sub_profile_is_taken_before_anything_is_converted(bus: Bus, front: Front) -> None:
    await front.add_camera("cam-1", "main", "sub")
    small = clip(7, size=SIZE, fps=FPS, gop=GOP)
    async with BusCamera(bus, "cam-1", hevc()), BusCamera(bus, "cam-1", small, "sub", on_demand=True):
        await asyncio.sleep(0.3)
        viewer = Viewer(front)
        await viewer.open(1, Aim(slot=0, camera="cam-1", profile="main"))
        notice = await until(front, viewer, "live")
        assert (notice.transcoded, notice.profile) == (False, "sub")
        assert converters() == []
        await viewer.close()


async def test_all_viewers_of_all_relays_share_one_conversion_which_ends_after_the_last(
    bus: Bus, mesh_settings: MeshSettings
) -> None:
    clock = TurnedClock()
    async with (
        running_relay(bus, mesh_settings, clock=clock) as front,
        running_relay(bus, mesh_settings, worker="relay-other", clock=clock) as other,
        BusCamera(bus, "cam-1", hevc()),
    ):
        await front.add_camera("cam-1")
        await asyncio.sleep(0.3)
        viewers = [Viewer(front), Viewer(front), Viewer(other)]
        for viewer in viewers:
            await viewer.open(1, Aim(slot=0, camera="cam-1"))
        for viewer in viewers:
            assert (await until(viewer.front, viewer, "live")).transcoded
        async with asyncio.timeout(90):  # one that lost the race for the conversion ends
            while len(converters()) != 1:
                await asyncio.sleep(0.05)
        for viewer in viewers:
            await viewer.close()
        left = clock.monotonic()
        async with asyncio.timeout(90), hurried(clock, 10):
            while converters():
                await asyncio.sleep(0.05)
        assert clock.monotonic() - left > KEEP_SECONDS - RENEW_SECONDS


async def test_over_the_limit_the_tile_says_so_and_begins_when_there_is_room(
    bus: Bus, mesh_settings: MeshSettings
) -> None:
    clock = TurnedClock()
    async with (
        running_relay(bus, mesh_settings, clock=clock, conversions=1) as front,
        BusCamera(bus, "cam-0", mjpeg()),
        BusCamera(bus, "cam-1", hevc()),
    ):
        viewers = [Viewer(front), Viewer(front)]
        for number, viewer in enumerate(viewers):
            await front.add_camera(f"cam-{number}")
            await viewer.open(1, Aim(slot=0, camera=f"cam-{number}"))
            if number == 0:
                await until(front, viewer, "live")
        notice = await until(front, viewers[1], "waiting", Reason.OVERLOADED)
        assert "at most 1 at once" in notice.detail
        await viewers[0].close()
        async with hurried(clock, 10), asyncio.timeout(90):
            while last(front, viewers[1]).state != "live":
                viewers[1].check()  # the hurried clock would let the consent expire
                await asyncio.sleep(0.05)
        await viewers[1].close()


async def test_a_relay_that_converts_as_much_as_it_may_has_another_one_convert(
    bus: Bus, mesh_settings: MeshSettings
) -> None:
    async with (
        running_relay(bus, mesh_settings, conversions=0) as front,
        running_relay(bus, mesh_settings, worker="relay-other", conversions=1) as other,
        BusCamera(bus, "cam-1", hevc()),
        BusCamera(bus, "cam-2", hevc()),
    ):
        for number in (1, 2):
            await front.add_camera(f"cam-{number}")
        async with asyncio.timeout(90):
            while not front.relay.other_relays():
                await asyncio.sleep(0.05)
        viewers = [Viewer(front), Viewer(front)]
        await viewers[0].open(1, Aim(slot=0, camera="cam-1"))
        assert (await until(front, viewers[0], "live")).transcoded
        await viewers[1].open(1, Aim(slot=0, camera="cam-2"))
        await until(front, viewers[1], "waiting", Reason.OVERLOADED)
        assert len(converters()) == 1
        assert not other.relay.sessions
        for viewer in viewers:
            await viewer.close()


async def test_a_converter_that_dies_is_replaced(bus: Bus, front: Front) -> None:
    # passes if nothing raises
    await front.add_camera("cam-1")
    async with BusCamera(bus, "cam-1", hevc()):
        await asyncio.sleep(0.3)
        viewer = Viewer(front)
        await viewer.open(1, Aim(slot=0, camera="cam-1"))
        await until(front, viewer, "live")
        (process,) = converters()
        os.kill(process, signal.SIGKILL)
        async with asyncio.timeout(90):
            while converters() in ([], [process]):
                await asyncio.sleep(0.05)
        packets = len(viewer.packets[viewer.ssrcs[0]])
        await viewer.wait_packets(packets + 2 * FPS)
        await viewer.close()


def shown(viewer: Viewer) -> list[tuple[float, float]]:
    """The spread of grey values in the left and in the right half of each picture that came."""
    decoder = av.CodecContext.create("h264", "r")
    assert isinstance(decoder, av.VideoCodecContext)
    decoder.thread_count = 1
    found = []
    for _, frame in viewer.frames():
        for decoded in decoder.decode(av.Packet(frame)):
            grey = decoded.to_ndarray(format="gray")
            middle = grey.shape[1] // 2
            found.append((float(np.std(grey[:, : middle - 16])), float(np.std(grey[:, middle + 16 :]))))
    return found


async def test_who_may_not_see_through_masks_is_sent_pictures_with_them_alone(bus: Bus, front: Front) -> None:
    profiles = {"main": Profile(url="rtsp://camera.test/main"), "sub": Profile(url="rtsp://camera.test/sub")}
    left = (PrivacyMask(x=0, y=0, width=0.5, height=1),)
    masked = Camera(
        id="cam-1", site=SITE, name="x", profiles=profiles, privacy_masks=left, unmasked_roles=(Role.SUPERVISOR,)
    )
    cameras = await Bucket.open(bus, subjects.CAMERAS_BUCKET, Camera)
    await cameras.put("cam-1", masked)
    async with BusCamera(bus, "cam-1", clip(6, size=SIZE, fps=FPS, gop=10)) as camera:
        async with asyncio.timeout(90):
            while camera.sequence < FPS:
                await asyncio.sleep(0.1)
        supervisor, operator = Viewer(front), Viewer(front)
        await supervisor.open(1, Aim(slot=0, camera="cam-1"), actor=Actor("s", Role.SUPERVISOR))
        await until(front, supervisor, "live")
        ani = Actor("ani", Role.OPERATOR)
        await operator.open(1, Aim(slot=0, camera="cam-1"), actor=ani)
        assert (await until(front, operator, "live")).transcoded
        await operator.wait_packets(2 * FPS)
        assert not last(front, supervisor).transcoded
        assert all(seen > 5 for each in shown(supervisor) for seen in each)

        # Masks that change count for who is watching: the stream with the others is another one.
        right = (PrivacyMask(x=0.5, y=0, width=0.5, height=1),)
        notices = front.notices[operator.session.session]
        told = len(notices)
        await cameras.put("cam-1", masked.model_copy(update={"privacy_masks": right}))
        async with asyncio.timeout(90):
            while not any(isinstance(each, SlotNotice) and each.state == "live" for each in notices[told:]):
                await asyncio.sleep(0.02)
        await operator.wait_packets(len(operator.packets[operator.ssrcs[0]]) + FPS)
        found = shown(operator)
        assert [each for each in found if (each[0] < 2) is (each[1] < 2)] == [], "a picture came without a mask"
        assert (found[0][0] < 2, found[-1][1] < 2) == (True, True)
        await operator.close()
        await supervisor.close()
