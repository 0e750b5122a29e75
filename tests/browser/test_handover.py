"""A relay that is drained or killed while people watch: their tiles go on by another one, without a reload."""

import signal
from pathlib import Path

import pytest
from playwright.async_api import BrowserContext

from services.mesh.bus import Bus
from services.mesh.settings import MeshSettings
from services.wall.front.api.static import FOLDER
from tests.browser.two_relays import watched_by_two_relays

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(240),
    pytest.mark.skipif(not (FOLDER / "index.html").is_file(), reason="the app is not built: make web"),
]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
async def test_tiles_go_on_by_the_other_relay_without_a_reload(
    mesh_settings: MeshSettings, bus: Bus, tmp_path: Path, own_browser: BrowserContext, how: signal.Signals
) -> None:
    async with watched_by_two_relays(mesh_settings, bus, tmp_path, own_browser) as watched:
        await watched.app.page.evaluate("window.notReloaded = true")
        await watched.hand_over(how)
        assert set(watched.placed) == set(watched.relays)
        assert await watched.app.page.evaluate("window.notReloaded") is True
