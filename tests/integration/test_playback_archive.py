"""Footage that only the archive has, played on the wall: a real S3 server, a real relay, a viewer over sockets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from unittest.mock import NonCallableMock

import pytest

from services.contracts.frames import AccessUnit
from services.contracts.sessions import ClockControl
from services.mesh.bus import Bus
from services.mesh.clock import ManualClock
from services.mesh.lifecycle import Service
from services.mesh.settings import MeshSettings
from services.recorder.reading.endpoints import Endpoints
from services.recorder.reading.footage import RecordedFootage
from services.recorder.retention.holds import Holds
from tests.integration.recorded_playback import SECOND, marks, opened, player, states, take
from tests.integration.recorders import until
from tests.integration.s3server import S3Server
from tests.integration.test_archive import DAY, Copies, server  # noqa: F401 (a fixture)
from tests.integration.test_archive import record as record_minutes
from tests.recorder.rig import SIGNER, Rig
from tests.recorder.units import FRAME_US, START_US
from tests.wall.relay.running import running_relay

pytestmark = pytest.mark.integration
PATIENCE_SECONDS = 60.0


@asynccontextmanager
async def answering(bus: Bus, settings: MeshSettings, footage: RecordedFootage) -> AsyncIterator[None]:
    """Answers for ``footage`` as recorder ``rec-1`` does; nobody asks for coverage or activity."""
    async with asyncio.TaskGroup() as tasks:
        unasked = NonCallableMock()
        service = Service("recorder", settings, bus, tasks, clock=ManualClock(START_US))
        answers = Endpoints(service, "rec-1", SIGNER, footage=footage, coverage=unasked, search=unasked)
        answering = await answers.serve()
        try:
            yield
        finally:
            for answer in answering:
                await answer.stop()


async def test_what_only_the_archive_has_is_sought_played_over_segments_and_read_backwards(
    bus: Bus, mesh_settings: MeshSettings, server: S3Server, tmp_path: Path  # noqa: F811 (the fixture)
) -> None:  # fmt: skip
    with Rig(tmp_path) as rig:
        segments = await asyncio.to_thread(record_minutes, rig, 2)
        archive = Copies(rig, server.settings(url="s3://city-archive/playback"))
        await archive.copy_all()
        rig.clock.advance(2 * DAY)
        await asyncio.to_thread(archive.keep("full 1d").run, Holds([], 0))
        assert rig.segments() == []
        start_us, border_us = segments[0].start_us, segments[1].start_us
        async with answering(bus, mesh_settings, archive.footage), running_relay(bus, mesh_settings) as front:
            back = await take(player(bus, "cam-1"), border_us + FRAME_US // 2, "backwards", 2)
            times = [item.capture_us for item in back if isinstance(item, AccessUnit)]
            assert times == pytest.approx([border_us, border_us - SECOND], abs=1000)

            await front.add_camera("cam-1")
            viewer = await opened(front, "cam-1")
            session = viewer.session.session
            sought = start_us + 21 * SECOND
            await front.control(session, ClockControl(action="seek", at_us=sought + FRAME_US // 2))
            exact = pytest.approx(sought, abs=1000)
            await until(lambda: [mark.capture_us for mark in marks(front, viewer, 0)][-1:] == [exact], PATIENCE_SECONDS)

            await front.control(session, ClockControl(action="play", at_us=border_us - 2 * SECOND, rate=2.0))
            after_us = border_us + 4 * SECOND
            await until(lambda: marks(front, viewer, 0)[-1].capture_us > after_us, PATIENCE_SECONDS)
            assert "gap" not in states(front, viewer, 0)[states(front, viewer, 0).index("paused") :]
            await viewer.close()
