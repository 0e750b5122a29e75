"""Signing in with a browser at a real identity provider, and out again."""

from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from services.mesh.bus import Bus
from services.mesh.event_stream import ensure_stream
from services.mesh.settings import MeshSettings
from services.wall.front.api.static import FOLDER
from tests.browser.chromium import chromium
from tests.registry.running import registry
from tests.wall.front.auth.provider import PEOPLE, oidc, running_provider
from tests.wall.front.running import running_front

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(240),
    pytest.mark.skipif(not (FOLDER / "index.html").is_file(), reason="the app is not built: make web"),
]


async def test_a_person_signs_in_at_the_provider_unlocks_by_it_and_signs_out_of_both(
    bus: Bus, mesh_settings: MeshSettings, tmp_path: Path
) -> None:
    await ensure_stream(bus)
    async with (
        running_provider(*PEOPLE[:1]) as issuer,
        registry(mesh_settings),
        # A name of its own: the provider's pages are another site's, as they are in a city.
        running_front(mesh_settings, **oidc(issuer)) as front,
        chromium(tmp_path / "chromium") as browser,
    ):
        wall = front.url.replace("127.0.0.1", "localhost")
        page = await browser.new_page()
        page.set_default_timeout(60_000)
        await page.add_init_script("localStorage['pantau.language'] = 'en'")
        await page.goto(wall)
        await page.get_by_role("link", name="Sign in with SSO").click()
        await page.wait_for_url(f"{issuer}/**")
        await page.get_by_role("button", name="u1").click()
        await page.locator("pantau-top-bar .person").wait_for()
        assert page.url.rstrip("/") == wall, "the cookie came along with the first request after the provider's"
        await page.evaluate("app => document.querySelector('pantau-app').app.idle.lock(app)", await _session(page))
        lock = page.locator("pantau-lock-screen")
        await expect(lock.locator("input")).to_have_count(0)
        await lock.get_by_role("link", name="Sign in again").click()
        await page.wait_for_url(f"{issuer}/**")
        await page.get_by_role("button", name="u1").click()
        await page.locator("pantau-top-bar .person").wait_for()
        await expect(lock).to_have_count(0)
        await page.get_by_role("button", name="Sign out").click()
        await page.wait_for_url(f"{issuer}/**")


async def _session(page: Page) -> str:
    return str(await page.evaluate("document.querySelector('pantau-app').app.me.value.session"))
