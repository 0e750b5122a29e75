"""The direct reader and each faulty camera of the table: exact pictures or the right reason, over one connection."""

import asyncio
import time

import pytest
import uvloop

from services.contracts.frames import decode
from services.contracts.models import Reason
from services.ingest.pipeline import Pipeline
from services.ingest.readers.direct import DirectReader
from services.ingest.readers.source import ReaderEnd, Source
from services.mesh.clock import SystemClock
from tests.support.faulty_cameras import FAULTY_CAMERAS, slices_sent
from tests.support.faulty_kinds import FaultyCamera, Plays
from tests.support.scripted_camera import PICTURES, Codec, ScriptedCamera, is_keyframe, is_slice
from tests.support.unit_outlet import KeepingOutlet

pytestmark = pytest.mark.integration
OPEN_SECONDS = 4.0
SLACK_US = 1_000_000


async def read(camera: ScriptedCamera, **source: object) -> tuple[KeepingOutlet, ReaderEnd]:
    """Reads until the camera ends."""
    outlet = KeepingOutlet()
    wanted = Source(camera.url, open_seconds=OPEN_SECONDS, **source)  # type: ignore[arg-type]  # the table's keywords
    async with asyncio.timeout(90):
        return outlet, await DirectReader().run(wanted, outlet)


@pytest.mark.parametrize("faulty", FAULTY_CAMERAS, ids=lambda faulty: faulty.name)
def test_a_faulty_camera_plays_exactly_or_is_refused_by_name(faulty: FaultyCamera) -> None:
    uvloop.run(read_and_judge(faulty))  # the loop that workers run on


async def read_and_judge(faulty: FaultyCamera) -> None:
    began_us = time.time_ns() // 1000
    async with faulty.make() as camera:
        outlet, end = await read(camera, **faulty.source)
        assert camera.connections == faulty.connections
    if isinstance(faulty.outcome, Reason):
        assert end.reason is faulty.outcome, end
        assert not outlet.packets
        assert "wrong" not in end.detail
        assert "p@ss" not in end.detail
    else:
        assert end.reason is Reason.CLOSED, end
        assert_pictures(faulty, faulty.outcome, outlet)
        assert_times(outlet, began_us)


def assert_times(outlet: KeepingOutlet, began_us: int) -> None:
    """Capture times of any camera do not run back, and are those of the time when it was read."""
    pipeline = Pipeline(SystemClock(), gop_bytes=10**7)
    pipeline.begin(outlet.openings[0][0])
    units = [decode(message) for packet in outlet.packets for message in pipeline.feed(packet, 1)]
    captured = [unit.capture_us for unit in sorted(units, key=lambda unit: unit.pts_90k)]
    assert captured == sorted(captured)
    assert captured
    assert began_us - SLACK_US <= captured[0] <= captured[-1] <= time.time_ns() // 1000 + SLACK_US
    decoded = [unit.dts_90k for unit in units]
    assert decoded == sorted(set(decoded))


def assert_pictures(faulty: FaultyCamera, plays: Plays, outlet: KeepingOutlet) -> None:
    """Each picture that is called good is one that was sent; the damaged ones and the losses are marked."""
    numbers = {slices_sent(faulty, number): number for number in range(PICTURES)}
    codecs: tuple[Codec, ...] = (plays.codec, plays.then) if plays.then is not None else (plays.codec,)
    came: list[int] = []
    damaged = 0
    begun = False
    for packet in outlet.packets:
        assert not isinstance(packet.data, bytes)
        nals = packet.data
        # What comes before the first keyframe is held back behind the seam.
        begun = begun or any(is_keyframe(nal, codec) for nal in nals for codec in codecs[:1])
        if not begun:
            continue
        slices = [tuple(nal for nal in nals if is_slice(nal, codec)) for codec in codecs]
        found = [numbers[each] for each in slices if each in numbers]
        damaged += packet.damaged
        assert found or packet.damaged, "a picture that was never sent is called good"
        came += [] if packet.damaged else found[:1]
    assert came == sorted(set(came)), "pictures come once and in order"
    assert len(outlet.openings) == plays.openings
    wanted = range(plays.from_picture, PICTURES)
    assert len(came) >= plays.least_share * len(wanted), came
    if plays.damage:
        assert damaged + sum(packet.lost for packet in outlet.packets) > 0
    elif plays.least_share == 1.0:
        assert [number for number in came if number >= plays.from_picture] == list(wanted)
        assert not damaged
