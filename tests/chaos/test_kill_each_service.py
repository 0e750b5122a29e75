"""kill -9 of each service in turn under sixteen cameras, with people watching and everything being recorded.

How many seconds a kill may cost, `bench check` measures.
"""

import os
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import pytest_asyncio

from tests.browser.chromium import chromium
from tests.browser.probe import Probe
from tests.browser.running_up import Running, running_up
from tests.chaos.kills import CAMERAS, PATIENCE_SECONDS, VICTIMS, kill
from tests.integration.recorded import count_packets, files, stamps

pytestmark = [pytest.mark.chaos, pytest.mark.browser, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def pantau(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_up(tmp_path_factory.mktemp("chaos"), len(CAMERAS)) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def probe(pantau: Running, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Probe]:
    """In one page, which outlives all the kills."""
    async with chromium(tmp_path_factory.mktemp("chromium")) as browser:
        page = await browser.new_page()
        probe = await Probe.install(page, first_pictures=True, pauses_over_ms=500)
        await page.goto(f"{pantau.url}/#grid=16&tiles={','.join(CAMERAS)}")
        await probe.moving(len(CAMERAS), PATIENCE_SECONDS)
        yield probe


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("victim", VICTIMS)
async def test_after_a_service_was_killed_all_is_watched_and_recorded_again_in_order_without_a_reload(
    victim: str, pantau: Running, probe: Probe
) -> None:
    loaded = await probe.page.evaluate("performance.timeOrigin")
    await kill(victim, pantau, probe)
    assert await probe.page.evaluate("performance.timeOrigin") == loaded
    assert await probe.cameras() == dict(enumerate(CAMERAS))


def test_every_file_that_the_kills_left_is_read_by_ffprobe(pantau: Running) -> None:
    """Runs last: of each file all is playable that is in it, also of those that were cut off."""
    closed = [files(pantau.data, camera)[:-1] for camera in CAMERAS]  # the last one is being written
    assert all(closed)
    paths = [path for each in closed for path in each]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for path, packets in zip(paths, pool.map(count_packets, paths), strict=True):
            assert packets == sum(1 for _ in stamps(path.read_bytes())), path
