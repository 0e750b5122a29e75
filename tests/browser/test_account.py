"""One's own account in the page: another password, and a lock that hides the wall on every page of the browser."""

from pathlib import Path

import pytest
from playwright.async_api import expect

from services.contracts.permissions import Role
from services.mesh.bus import Bus
from services.mesh.settings import MeshSettings
from services.wall.front.api.static import FOLDER
from services.wall.front.auth import accounts, passwords
from tests.browser.app_page import sign_in
from tests.browser.chromium import chromium
from tests.registry.running import registry
from tests.wall.front.running import running_front

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(240),
    pytest.mark.skipif(not (FOLDER / "index.html").is_file(), reason="the app is not built: make web"),
]
FIRST, SECOND = "kata sandi yang pertama", "kata sandi yang kedua"


async def test_a_person_changes_the_password_and_unlocks_the_page_with_the_new_one(
    bus: Bus, mesh_settings: MeshSettings, tmp_path: Path
) -> None:
    path = tmp_path / "accounts.toml"
    kept = passwords.hash_password(FIRST)
    accounts.write_accounts(path, [accounts.Account(name="budi", role=Role.ADMIN, password=kept)])
    async with (
        registry(mesh_settings),
        running_front(mesh_settings, accounts_file=path) as front,
        chromium(tmp_path / "chromium") as browser,
    ):
        page = await browser.new_page()
        page.set_default_timeout(60_000)
        await page.add_init_script("localStorage['pantau.language'] = 'en'")

        await sign_in(page, front.url, "budi", FIRST)
        made: int = await page.evaluate(
            """async (password) => {
                const body = JSON.stringify({ name: "siti", role: "operator", password });
                const headers = { "Content-Type": "application/json" };
                return (await fetch("/api/v1/accounts", { method: "POST", headers, body })).status;
            }""",
            FIRST,
        )
        assert made == 201
        await page.get_by_role("button", name="Sign out").click()
        await sign_in(page, front.url, "siti", FIRST)
        await page.get_by_role("button", name="siti", exact=True).click()
        account = page.locator("pantau-account-dialog")
        await account.locator("input[name=old]").fill("salah salah salah")
        await account.locator("input[name=new]").fill(SECOND)
        await account.locator("input[name=again]").fill(SECOND)
        await account.get_by_role("button", name="Change password").click()
        await expect(account).to_contain_text("The present password is wrong")
        await account.locator("input[name=old]").fill(FIRST)
        await account.get_by_role("button", name="Change password").click()
        await expect(account).to_contain_text("The password is changed")
        await expect(account).to_contain_text("here")

        other = await browser.new_page()
        await other.goto(front.url)
        await other.locator("pantau-top-bar .person").wait_for()
        await page.bring_to_front()
        await account.get_by_role("button", name="Lock now").click()
        lock = page.locator("pantau-lock-screen")
        await lock.wait_for(state="attached")
        await other.locator("pantau-lock-screen").wait_for(state="attached")
        await lock.locator("input").fill(FIRST)
        await lock.get_by_role("button", name="Unlock").click()
        await expect(lock).to_contain_text("The password is wrong")
        await lock.locator("input").fill(SECOND)
        await lock.get_by_role("button", name="Unlock").click()
        await expect(lock).to_have_count(0)
        await expect(other.locator("pantau-lock-screen")).to_have_count(0)
