"""Accounts, rights and the audit in the page: an administrator manages people, and no button is refused."""

from pathlib import Path

import pytest
from playwright.async_api import expect

from services.contracts.permissions import Role
from services.mesh.bus import Bus
from services.mesh.event_stream import ensure_stream
from services.mesh.settings import MeshSettings
from services.wall.front.api.static import FOLDER
from tests.browser.app_page import sign_in, sign_out
from tests.browser.people_page import people_page

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(240),
    pytest.mark.skipif(not (FOLDER / "index.html").is_file(), reason="the app is not built: make web"),
]
PASSWORD = "kata sandi yang panjang"


async def test_an_administrator_manages_accounts_rights_and_the_audit_and_no_button_is_refused(
    bus: Bus, mesh_settings: MeshSettings, tmp_path: Path
) -> None:
    await ensure_stream(bus)
    people = {"budi": Role.ADMIN, "sari": Role.SUPERVISOR, "ani": Role.VIEWER}
    async with people_page(mesh_settings, tmp_path, people, PASSWORD) as wall:
        page = wall.page
        wall.note_refusals()
        await sign_in(page, wall.url, "budi", PASSWORD)
        await page.get_by_role("button", name="People and audit").click()
        dialog = page.locator("pantau-accounts-dialog")
        await expect(dialog.locator("tbody tr")).to_have_count(3)
        await dialog.locator("input[name=name]").fill("citra")
        await dialog.locator("select[name=role]").select_option("agency")
        await dialog.locator("input[name=password]").fill(PASSWORD)
        await dialog.get_by_role("button", name="Add account").click()
        await expect(dialog).to_contain_text("The account citra is there.")
        await dialog.get_by_role("button", name="Manage citra").click()
        await dialog.locator("select[name=role]").select_option("operator")
        await expect(dialog.locator("h3").first).to_contain_text("citra · operator")
        await dialog.get_by_role("button", name="Disable").click()
        await expect(dialog.locator("h3").first).to_contain_text("disabled")

        await dialog.get_by_role("button", name="Rights", exact=True).last.click()
        rights = page.locator("pantau-grants-dialog")
        await expect(rights.locator("select[name=who]")).to_have_value("a:citra")
        await rights.get_by_role("checkbox", name="stills").check()
        await rights.locator("input[name=tag]").fill("pasar")
        await rights.get_by_role("button", name="Give a right").click()
        await expect(rights).to_contain_text("Write what it is for.")
        await rights.locator("input[name=purpose]").fill("Pekan raya")
        await rights.get_by_role("button", name="Give a right").click()
        row = rights.locator("tbody tr", has_text="Pekan raya")
        await expect(row).to_contain_text("tag pasar")
        await row.get_by_role("button").click()
        await expect(row).to_have_count(0)

        await rights.get_by_role("button", name="Accounts").click()
        await dialog.get_by_role("button", name="Manage citra").click()
        await dialog.get_by_role("button", name="Remove account").click()
        await dialog.get_by_role("button", name="Remove account").click()
        await expect(dialog.locator("tbody tr")).to_have_count(3)

        await dialog.get_by_role("button", name="Who saw what").click()
        audit = page.locator("pantau-audit-dialog")
        await audit.locator("input[name=person]").fill("budi")
        await audit.locator("select[name=kind]").select_option("signed")
        await audit.get_by_role("button", name="Look").click()
        await expect(audit.locator("tbody tr").first).to_contain_text("signed in")
        async with page.expect_download() as download:
            await audit.get_by_role("link", name="Download as CSV").click()
        assert (await download.value).suggested_filename == "pantau-audit.csv"
        await audit.get_by_role("button", name="Check the digests").click()
        await expect(audit).to_contain_text("There is no digest yet")

        for name, shown in (("sari", 1), ("ani", 0)):
            await page.goto(wall.url)
            await sign_out(page)
            await sign_in(page, wall.url, name, PASSWORD)
            await expect(page.get_by_role("button", name="People and audit")).to_have_count(shown)
        assert wall.refused == []
