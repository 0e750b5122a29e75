"""A feed that pauses: a slow camera's is live between two pictures, a quick one's stands still."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from services.contracts.models import Reason, WantReply
from services.mesh.bus import Bus
from services.mesh.clock import TurnedClock
from services.wall.relay.sources.feed import STALE_SECONDS, ProfileFeed, no_ingest
from tests.eventually import eventually
from tests.wall.relay.camera import SITE, BusCamera, clip

pytestmark = pytest.mark.integration

ONE_BY_ONE = clip(6, size=(320, 180), fps=5, gop=4, gops=2)._replace(fps=0.001)
"""The first picture comes by itself; the test publishes the others."""


class Sink:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.said: list[Reason] = []

    def feed_ready(self, feed: ProfileFeed) -> None:
        """It is enough that the feed has it."""

    def feed_frame(self, feed: ProfileFeed, frame: object) -> None:
        """It is enough that the feed has it."""

    def feed_status(self, feed: ProfileFeed) -> None:
        self.said.append(feed.reason)


@asynccontextmanager
async def feeding(bus: Bus, clock: TurnedClock) -> AsyncIterator[tuple[ProfileFeed, Sink]]:
    feed, sink = ProfileFeed(bus, SITE, "main", "cam-1", clock, no_ingest), Sink()
    feed.attach(sink)
    task = asyncio.create_task(feed.run())
    try:
        await eventually(lambda: feed.live)
        sink.said.clear()
        yield feed, sink
    finally:
        task.cancel()


async def pass_unheard(camera: BusCamera, clock: TurnedClock) -> None:
    """So long without a picture that the feed has asked for one, and looked at the answer."""
    asked = camera.wants
    clock.advance(STALE_SECONDS + 0.1)
    await eventually(lambda: camera.wants > asked)
    clock.advance(2 * STALE_SECONDS)
    await eventually(lambda: camera.wants > asked + 1)  # it asks no second time before it has looked at the answer


async def pass_on(camera: BusCamera, feed: ProfileFeed) -> None:
    """The next picture."""
    number = camera.sequence
    await camera.publish_next()
    await eventually(lambda: feed.gop.frames[-1].unit.sequence == number)


async def test_a_slow_camera_is_live_between_its_pictures_until_ingest_misses_one(bus: Bus) -> None:
    clock = TurnedClock()
    async with BusCamera(bus, "cam-1", ONE_BY_ONE) as camera, feeding(bus, clock) as (feed, sink):
        for _ in range(3):
            await pass_unheard(camera, clock)
            await pass_on(camera, feed)
        assert sink.said == []
        camera.failing = WantReply(status="failed", reason=Reason.STALLED)
        await pass_unheard(camera, clock)
        await eventually(lambda: sink.said == [Reason.STALLED])
        assert not feed.live


async def test_a_quick_camera_stands_still_before_ingest_says_so(bus: Bus) -> None:
    clock = TurnedClock()
    async with BusCamera(bus, "cam-1", ONE_BY_ONE) as camera, feeding(bus, clock) as (feed, sink):
        for _ in range(19):
            await pass_on(camera, feed)
        await pass_unheard(camera, clock)
        await eventually(lambda: sink.said == [Reason.STALLED])


async def test_a_slow_camera_whose_newest_picture_did_not_come_is_not_taken_for_live(bus: Bus) -> None:
    clock = TurnedClock()
    async with BusCamera(bus, "cam-1", ONE_BY_ONE) as camera, feeding(bus, clock) as (_, sink):
        camera.hold = True
        await camera.publish_next()
        await pass_unheard(camera, clock)
        await eventually(lambda: sink.said == [Reason.STALLED])
