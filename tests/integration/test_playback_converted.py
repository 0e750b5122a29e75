"""Recordings in codecs that a viewer cannot decode: real converters, and the numbers in the pictures that come out."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from services.contracts import subjects
from services.contracts.frames import AccessUnit, CaptureClockSource, Codec, Flags
from services.contracts.models import Camera, PrivacyMask, Reason
from services.contracts.permissions import Actor, Role
from services.contracts.sessions import Aim, ClockControl, SlotNotice
from services.media.nal import annex_b_to_length_prefixed
from services.mesh.buckets import Bucket
from services.mesh.bus import Bus
from services.mesh.settings import MeshSettings
from services.wall.relay.sources.recorded import RecordedSource
from tests.integration.recorded_playback import SECOND, opened, record, rests, states
from tests.integration.recorders import running, until
from tests.wall.relay.camera import Clip, clip
from tests.wall.relay.convert.test_picture import numbers
from tests.wall.relay.running import Front, running_relay
from tests.wall.relay.sources.test_conversion import FPS, SIZE, converters, hevc, mjpeg, shown
from tests.wall.relay.viewer import Viewer

pytestmark = pytest.mark.integration
PATIENCE_SECONDS = 60.0
GOPS = 4
REORDERED = 3
"""Pictures from one's decoding to its presentation."""
FRAME_US = SECOND // FPS
START_US = time.time_ns() // 1000 - 60 * SECOND


def units(of: Clip) -> list[AccessUnit]:
    """Its pictures as a camera that made them from `START_US` on; number n is its n-th."""
    made = []
    for number in range(GOPS * 20 + 1):
        payload, keyframe = of.frames[number % len(of.frames)]
        flags = Flags.KEYFRAME if keyframe else Flags.NONE
        length = len(of.frames)
        shown = number // length * length + of.shown[number % length] if of.shown else number
        dts = number * 90_000 // FPS
        pts = dts if not of.shown else (shown + REORDERED) * 90_000 // FPS
        at_us = START_US + shown * FRAME_US
        made.append(AccessUnit(flags, of.codec, 1, number + 1, pts, dts, at_us, 1000, CaptureClockSource.RTCP, payload))
    return made


def seen(viewer: Viewer, slot: int = 0, since: int = 0) -> list[int]:
    """The numbers in the pictures of a slot."""
    none = AccessUnit(Flags.NONE, Codec.H264, 0, 0, 0, 0, 0, 0, CaptureClockSource.RTCP, b"")
    frames = [none._replace(payload=annex_b_to_length_prefixed(data)) for _, data in viewer.frames(slot)]
    return [number for _, number in numbers(frames)][since:]


def notice(front: Front, viewer: Viewer, slot: int = 0) -> SlotNotice:
    notices = front.notices[viewer.session.session]
    return [each for each in notices if isinstance(each, SlotNotice) and each.slot == slot][-1]


@pytest.mark.parametrize("of", [hevc, mjpeg])
async def test_it_is_seen_as_h264_at_the_moment_that_was_asked_for_and_says_so(
    bus: Bus, mesh_settings: MeshSettings, tmp_path: Path, of: Callable[[], Clip]
) -> None:
    length = len(of().frames)
    async with (
        running(mesh_settings, tmp_path / "disk", "recorder-1") as recorder,
        running_relay(bus, mesh_settings) as front,
    ):
        await front.add_camera("cam-1")
        await record(bus, recorder, "cam-1", units(of()))
        viewer = await opened(front, "cam-1")

        async def control(**fields: object) -> None:
            await front.control(viewer.session.session, ClockControl.model_validate(fields))

        def shows(number: int) -> Callable[[], bool]:
            return lambda: seen(viewer)[-1:] == [number % length]

        for number in (33, 5, 27):
            await control(action="seek", at_us=START_US + number * FRAME_US + FRAME_US // 2)
            await until(shows(number), PATIENCE_SECONDS)
        await until(lambda: states(front, viewer, 0)[-1] == "paused", PATIENCE_SECONDS)
        assert (notice(front, viewer).transcoded, notice(front, viewer).codec) == (True, "h264")
        assert len(seen(viewer)) == 3, "pictures that nobody asked for were converted, or shown"
        assert len(converters()) == 1, "each seek took a process of its own"
        await control(action="step", step="frame")
        await until(shows(28), PATIENCE_SECONDS)

        before = len(seen(viewer))
        await control(action="play", rate=2.0)
        await until(lambda: len(seen(viewer)) >= before + 12, PATIENCE_SECONDS)
        await control(action="pause")
        await rests(viewer)  # the picture that was due then may still be on its way through the converter
        played = seen(viewer, since=before)
        assert played == [(29 + n) % length for n in range(len(played))]

        before = len(seen(viewer))
        await control(action="play", at_us=START_US + 50 * FRAME_US + FRAME_US // 2, rate=-8.0)
        await until(lambda: len(seen(viewer)) > before, PATIENCE_SECONDS)
        await until(lambda: seen(viewer, since=before)[-1] == 0, PATIENCE_SECONDS)
        back = seen(viewer, since=before)
        step = 20 if of is hevc else 1
        whole = [(50 // step * step - n * step) % length for n in range(50 // step + 1)]
        begin = whole.index(back[0])
        assert begin <= 1, "a keyframe overtakes the one before it alone, where that still waits (CatchUp)"
        assert back == whole[begin : begin + len(back)]
        await viewer.close()
        await until(lambda: converters() == [], PATIENCE_SECONDS)


async def test_recorded_b_pictures_are_converted_where_others_refer_to_them_and_the_tile_says_so(
    bus: Bus, mesh_settings: MeshSettings, tmp_path: Path
) -> None:
    reordered = clip(6, size=(320, 180), fps=FPS, gop=20, b_pictures="bframes=3:b-pyramid=2")
    async with (
        running(mesh_settings, tmp_path / "disk", "recorder-1") as recorder,
        running_relay(bus, mesh_settings) as front,
    ):
        await front.add_camera("cam-1")
        await record(bus, recorder, "cam-1", units(reordered))
        viewer = await opened(front, "cam-1")
        play = ClockControl(action="play", at_us=START_US + FRAME_US // 2, rate=1.0)
        await front.control(viewer.session.session, play)
        await until(lambda: notice(front, viewer).transcoded, PATIENCE_SECONDS)
        before = len(seen(viewer))
        await until(lambda: len(seen(viewer)) >= before + 15, PATIENCE_SECONDS)
        played = seen(viewer, since=before)[5:]  # from the keyframe on, where the conversion was found to be needed
        assert played == [(played[0] + n) % 40 for n in range(len(played))]
        await front.control(viewer.session.session, ClockControl(action="pause"))
        moment_us = START_US + 33 * FRAME_US + FRAME_US // 2
        await front.control(viewer.session.session, ClockControl(action="seek", at_us=moment_us))
        source = front.relay.sessions[viewer.session.session].slots[0].source
        assert isinstance(source, RecordedSource)
        await until(lambda: source.shown_us == START_US + 33 * FRAME_US, PATIENCE_SECONDS)
        await viewer.close()


async def test_over_the_limit_the_tile_says_so_and_a_converter_that_dies_is_replaced(
    bus: Bus, mesh_settings: MeshSettings, tmp_path: Path
) -> None:
    async with (
        running(mesh_settings, tmp_path / "disk", "recorder-1") as recorder,
        running_relay(bus, mesh_settings, conversions=1) as front,
    ):
        for name in ("cam-1", "cam-2"):
            await front.add_camera(name)
            await record(bus, recorder, name, units(hevc()))
        viewer = await opened(front, "cam-1", "cam-2")
        session = viewer.session.session
        await front.control(session, ClockControl(action="seek", at_us=START_US + 7 * FRAME_US + 1))
        await until(lambda: sorted(notice(front, viewer, n).state for n in (0, 1)) == ["paused", "waiting"], 60)
        first = next(n for n in (0, 1) if notice(front, viewer, n).state == "paused")
        told = notice(front, viewer, 1 - first)
        assert told.reason is Reason.OVERLOADED
        assert "at most 1 at once" in told.detail
        await front.control(session, Aim(slot=first, camera=None))
        await until(lambda: seen(viewer, 1 - first) == [7], PATIENCE_SECONDS)

        (process,) = converters()
        os.kill(process, signal.SIGKILL)
        await front.control(session, ClockControl(action="seek", at_us=START_US + 9 * FRAME_US + 1))
        await until(lambda: seen(viewer, 1 - first)[-1] == 9, PATIENCE_SECONDS)
        assert notice(front, viewer, 1 - first).state in ("catching-up", "paused")
        await viewer.close()


async def test_who_may_not_see_through_masks_plays_recordings_with_them_forwards_and_backwards(
    bus: Bus, mesh_settings: MeshSettings, tmp_path: Path
) -> None:
    left = (PrivacyMask(x=0, y=0, width=0.5, height=1),)
    async with (
        running(mesh_settings, tmp_path / "disk", "recorder-1") as recorder,
        running_relay(bus, mesh_settings) as front,
    ):
        await front.add_camera("cam-1")
        await record(bus, recorder, "cam-1", units(clip(6, size=SIZE, fps=FPS, gop=20)))
        cameras = await Bucket.open(bus, subjects.CAMERAS_BUCKET, Camera)
        entry = await cameras.get("cam-1")
        assert entry is not None
        masked = {"privacy_masks": left, "unmasked_roles": (Role.SUPERVISOR,)}
        await cameras.put("cam-1", entry[0].model_copy(update=masked))
        known = front.relay._cameras
        await until(lambda: [each.privacy_masks for each in known.values()] == [left], PATIENCE_SECONDS)
        aim = Aim(slot=0, camera="cam-1", source="recorded")
        supervisor, operator = Viewer(front), Viewer(front)
        await supervisor.open(1, aim, actor=Actor("s", Role.SUPERVISOR))
        ani = Actor("ani", Role.OPERATOR)
        await operator.open(1, aim, actor=ani)
        whole, half = supervisor.session.session, operator.session.session
        seek = ClockControl(action="seek", at_us=START_US + 27 * FRAME_US + FRAME_US // 2)
        for session, actor in ((whole, Actor("s", Role.SUPERVISOR)), (half, ani)):
            await front.control(session, seek, actor)
        await until(lambda: len(shown(supervisor)) >= 1 and len(shown(operator)) >= 1, PATIENCE_SECONDS)
        await front.control(half, ClockControl(action="play", rate=2.0), ani)
        await until(lambda: len(shown(operator)) >= 8, PATIENCE_SECONDS)
        played = len(shown(operator))
        back = ClockControl(action="play", at_us=START_US + 60 * FRAME_US, rate=-8.0)
        await front.control(half, back, ani)
        await until(lambda: len(shown(operator)) >= played + 2, PATIENCE_SECONDS)
        assert [each for each in shown(operator) if each[0] > 2 or each[1] < 5] == [], "a picture came without the mask"
        assert all(seen > 5 for each in shown(supervisor) for seen in each)
        assert notice(front, operator).transcoded
        assert not notice(front, supervisor).transcoded
        await operator.close()
        await supervisor.close()
