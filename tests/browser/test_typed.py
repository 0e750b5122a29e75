"""What a person is writing outlives the end of their sign-in."""

from pathlib import Path

import pytest
from playwright.async_api import expect

from services.contracts.permissions import Role
from services.mesh.bus import Bus
from services.mesh.event_stream import ensure_stream
from services.mesh.settings import MeshSettings
from services.wall.front.api.static import FOLDER
from tests.browser.app_page import sign_in
from tests.browser.people_page import people_page, post

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(240),
    pytest.mark.skipif(not (FOLDER / "index.html").is_file(), reason="the app is not built: make web"),
]
PASSWORD = "kata sandi yang panjang"
CAMERA = {"id": "cam-1", "name": "Simpang Dieng", "profiles": {"main": {"url": "rtsp://127.0.0.1:1/main"}}}
INCIDENT = {"title": "Tabrakan", "cameras": ["cam-1"], "from_us": 1_790_000_000_000_000}
REMARK = "Truk derek sudah datang, jalan dibuka lagi"
END_SIGN_IN = """async () => {
  const { session } = await (await fetch('/api/v1/me')).json();
  return (await fetch('/api/v1/sessions/' + session, { method: 'DELETE' })).status;
}"""


async def test_what_one_person_was_writing_is_gone_where_another_one_signs_in(
    bus: Bus, mesh_settings: MeshSettings, tmp_path: Path
) -> None:
    await ensure_stream(bus)
    people = {"budi": Role.ADMIN, "siti": Role.OPERATOR}
    async with people_page(mesh_settings, tmp_path, people, PASSWORD) as wall:
        page = wall.page
        await wall.browser.add_init_script("delete window.RTCPeerConnection")
        await sign_in(page, wall.url, "budi", PASSWORD)
        await post(page, "/cameras", CAMERA)
        incident = await post(page, "/incidents", INCIDENT)
        await page.evaluate("(id) => { location.hash = 'incident=' + id }", incident["id"])
        await page.locator("pantau-incident-page textarea[name=remark]").fill(REMARK)
        await page.evaluate("window.former = true")
        assert await page.evaluate(END_SIGN_IN) == 204
        await expect(page.locator("pantau-lock-screen")).to_have_count(1, timeout=60_000)

        await sign_in(await wall.browser.new_page(), wall.url, "siti", PASSWORD)
        await page.wait_for_function("() => !window.former", timeout=60_000)
        await expect(page.locator("pantau-top-bar .person")).to_contain_text("siti", timeout=60_000)


async def test_a_remark_that_is_being_written_outlives_the_end_of_the_sign_in(
    bus: Bus, mesh_settings: MeshSettings, tmp_path: Path
) -> None:
    await ensure_stream(bus)
    async with people_page(mesh_settings, tmp_path, {"budi": Role.ADMIN}, PASSWORD) as wall:
        page = wall.page
        await page.add_init_script("delete window.RTCPeerConnection")
        await sign_in(page, wall.url, "budi", PASSWORD)
        await post(page, "/cameras", CAMERA)
        incident = await post(page, "/incidents", INCIDENT)
        await page.evaluate("(id) => { location.hash = 'incident=' + id }", incident["id"])
        remark = page.locator("pantau-incident-page textarea[name=remark]")
        await remark.fill(REMARK)

        assert await page.evaluate(END_SIGN_IN) == 204
        lock = page.locator("pantau-lock-screen")
        await expect(lock).to_contain_text("Your sign-in has ended", timeout=60_000)
        await expect(remark).not_to_be_visible()
        await lock.locator("input[name=password]").fill(PASSWORD)
        await lock.get_by_role("button", name="Unlock").click()
        await expect(lock).to_have_count(0)
        await expect(remark).to_have_value(REMARK)
        await page.get_by_role("button", name="Add in my name").click()
        await expect(page.locator("pantau-incident-page ol").first).to_contain_text(REMARK)
