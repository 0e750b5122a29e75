"""Signing in with a browser: the page works without scripts, keeps the layout, and leads to the app."""

from pathlib import Path

import pytest

from services.contracts.permissions import Role
from services.mesh.settings import MeshSettings
from services.wall.front.auth import accounts, passwords
from tests.browser.chromium import chromium
from tests.wall.front.running import running_front

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

PASSWORD = "kata sandi yang panjang"
APP = "<!doctype html><title>The app</title><body><script src='/assets/app.js'></script>"
SCRIPT = """
fetch('/api/v1/me').then(a => a.json()).then(me => { document.title = me.name });
const socket = new WebSocket(`ws://${location.host}/api/v1/wall/sessions/none/control`);
socket.onclose = event => { document.body.dataset.closed = event.code };
"""


async def test_a_person_signs_in_and_finds_the_layout_that_the_address_named(
    mesh_settings: MeshSettings, tmp_path: Path
) -> None:
    static = tmp_path / "static"
    (static / "assets").mkdir(parents=True)
    (static / "index.html").write_text(APP)
    (static / "assets" / "app.js").write_text(SCRIPT)
    path = tmp_path / "accounts.toml"
    kept = passwords.hash_password(PASSWORD)
    accounts.write_accounts(path, [accounts.Account(name="budi", role=Role.OPERATOR, password=kept)])
    async with (
        running_front(mesh_settings, static=static, accounts_file=path) as front,
        chromium(tmp_path / "chromium") as browser,
    ):
        page = await browser.new_page()
        trouble: list[str] = []
        page.on("console", lambda message: trouble.append(message.text) if "Content Security" in message.text else None)
        await page.goto(f"{front.url}/#cells=4&slots=a,b")
        box = await page.locator("button").bounding_box()
        assert box is not None
        assert box["height"] > 40, "the style is not applied"
        await page.fill("input[name=name]", "budi")
        await page.fill("input[name=password]", "salah")
        await page.press("input[name=password]", "Enter")
        await page.wait_for_selector("[role=alert]")
        assert await page.input_value("input[name=name]") == "budi"
        await page.fill("input[name=password]", PASSWORD)
        await page.click("button")
        await page.wait_for_function("() => document.title === 'budi'")
        assert page.url == f"{front.url}/#cells=4&slots=a,b"
        assert "pantau_session" not in await page.evaluate("document.cookie"), "a script can read the cookie"
        await page.wait_for_function("() => document.body.dataset.closed === '4404'")  # the socket was let in
        await page.evaluate("fetch('/sign-out', {method: 'POST'})")
        await page.reload()
        await page.wait_for_selector("input[name=password]")
        assert trouble == []
