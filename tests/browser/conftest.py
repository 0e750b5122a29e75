"""One running Pantau and one Chromium for all browser tests: to start either takes longer than most of them."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext

from tests.browser.chromium import chromium, shared_chromium, visitor
from tests.browser.running_up import Running, running_up
from tests.support.refusals import refusals

CAMERAS = 16
LAST = (
    "test_recorded_minute",
    "test_activity",
    "test_trouble",
    "test_truth",
    "test_recorded_wall",
    "test_fleet",
)
"""Some look at a minute or two that were recorded without a break: by then they have passed. The last ones break it."""


@pytest.fixture(scope="package")
def pantau(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """`pantau up --demo` with 16 cameras, all online. Tests leave it as they found it."""
    data = tmp_path_factory.mktemp("up")
    with running_up(data, CAMERAS) as running:
        yield running
        assert refusals(data) == [], "enter it in services/contracts/bus_rights.py"


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def shared() -> AsyncIterator[Browser]:
    """Tests that use it run in the package's event loop."""
    async with shared_chromium() as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="package")
async def browser(shared: Browser) -> AsyncIterator[BrowserContext]:
    """A visitor of this test's own."""
    async with visitor(shared) as context:
        yield context


@pytest.fixture
async def own_browser(tmp_path: Path) -> AsyncIterator[BrowserContext]:
    """A Chromium in this test's own event loop, for tests that are on the bus themselves."""
    async with chromium(tmp_path / "chromium") as context:
        yield context


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Says in which loop tests run, and in which order: those that need no Pantau run before there is one."""
    places = [place for place, item in enumerate(items) if item.path.is_relative_to(Path(__file__).parent)]
    ours = [items[place] for place in places]
    for item in ours:
        if "shared" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.asyncio(loop_scope="package"), append=False)
    for place, item in zip(places, sorted(ours, key=_order), strict=True):
        items[place] = item


def _order(item: pytest.Item) -> int:
    if "pantau" not in getattr(item, "fixturenames", ()):
        return 0
    return 2 + LAST.index(item.path.stem) if item.path.stem in LAST else 1
