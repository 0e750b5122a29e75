"""One's own account in the page: another password, and a lock that hides the wall on every page of the browser."""

from pathlib import Path

import pytest
from playwright.async_api import expect

from services.contracts.permissions import Role
from services.mesh.bus import Bus
from services.mesh.settings import MeshSettings
from services.wall.front.api.static import FOLDER
from tests.browser.app_page import sign_in, sign_out
from tests.browser.people_page import people_page

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(600),  # three loads of the app and six passwords, which are slow to check
    pytest.mark.skipif(not (FOLDER / "index.html").is_file(), reason="the app is not built: make web"),
]
FIRST, SECOND = "kata sandi yang pertama", "kata sandi yang kedua"


async def test_a_person_changes_the_password_and_unlocks_the_page_with_the_new_one(
    bus: Bus, mesh_settings: MeshSettings, tmp_path: Path
) -> None:
    async with people_page(mesh_settings, tmp_path, {"budi": Role.ADMIN}, FIRST) as wall:
        page = wall.page
        await sign_in(page, wall.url, "budi", FIRST)
        made: int = await page.evaluate(
            """async (password) => {
                const body = JSON.stringify({ name: "siti", role: "operator", password });
                const headers = { "Content-Type": "application/json" };
                return (await fetch("/api/v1/accounts", { method: "POST", headers, body })).status;
            }""",
            FIRST,
        )
        assert made == 201
        await sign_out(page)
        await sign_in(page, wall.url, "siti", FIRST)
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

        other = await wall.browser.new_page()
        await other.goto(wall.url)
        await other.locator("pantau-top-bar .person").wait_for()
        await page.bring_to_front()
        await account.get_by_role("button", name="Lock now").click()
        lock = page.locator("pantau-lock-screen")
        await lock.wait_for(state="attached")
        await other.locator("pantau-lock-screen").wait_for(state="attached")
        for _press in range(4):
            await page.keyboard.press("Escape")
        await expect(lock.locator("dialog[open]")).to_have_count(1)
        await lock.locator("input").fill(FIRST)
        await lock.get_by_role("button", name="Unlock").click()
        await expect(lock).to_contain_text("The password is wrong")
        await lock.locator("input").fill(SECOND)
        await lock.get_by_role("button", name="Unlock").click()
        await expect(lock).to_have_count(0)
        await expect(other.locator("pantau-lock-screen")).to_have_count(0)
