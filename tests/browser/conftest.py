"""One running Pantau for all browser tests: its start costs more than any of them."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from playwright.async_api import BrowserContext

from tests.browser.chromium import chromium
from tests.browser.running_up import Running, running_up

CAMERAS = 16


@pytest.fixture(scope="package")
def pantau(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """`pantau up --demo` with 16 cameras, all online. Tests leave it as they found it."""
    with running_up(tmp_path_factory.mktemp("up"), CAMERAS) as running:
        yield running


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[BrowserContext]:
    """A Chromium of this test's own."""
    async with chromium(tmp_path / "chromium") as context:
        yield context
