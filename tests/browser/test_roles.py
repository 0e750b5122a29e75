"""What each role is offered: no button that a person sees is answered with a refusal."""

from pathlib import Path

import pytest

from services.contracts.permissions import Role
from services.mesh.bus import Bus
from services.mesh.event_stream import ensure_stream
from services.mesh.settings import MeshSettings
from services.wall.front.api.static import FOLDER
from tests.browser.app_page import sign_in
from tests.browser.people_page import people_page, post

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(600),  # some hundred buttons in each of three roles
    pytest.mark.skipif(not (FOLDER / "index.html").is_file(), reason="the app is not built: make web"),
]
PASSWORD = "kata sandi yang panjang"
CAMERA = {"id": "cam-1", "name": "Simpang Dieng", "profiles": {"main": {"url": "rtsp://127.0.0.1:1/main"}}}
INCIDENT = {"title": "Tabrakan", "cameras": ["cam-1"], "from_us": 1_790_000_000_000_000}
TOUR = {"name": "Keliling", "steps": [{"cameras": ["cam-1"]}]}
LAYOUT = {"name": "Bersama", "audience": "shared", "grid": "1", "tiles": [{"camera": "cam-1"}]}

MANY_BUTTONS = 20
COUNT_UNANSWERED = """
delete window.RTCPeerConnection;
window.unanswered = 0;
const ask = window.fetch;
window.fetch = (...what) => {
  unanswered += 1;
  return ask(...what).finally(() => { unanswered -= 1; });
};
"""
# Presses every visible button of the page, and of each dialog and panel that one opens; returns their names.
# What ends the visit is left out: it leads to another page.
PRESS_ALL = """async () => {
  const app = document.querySelector('pantau-app').app;
  const closed = { ...app.view.value, dialog: null, timeline: true, incidents: false, screens: false, events: false,
                   downloads: false, map: false };
  const visible = (root = document) => [...root.querySelectorAll('*')].flatMap((element) => [
    ...(element.matches('button:enabled') && element.checkVisibility() && element.offsetWidth > 0 ? [element] : []),
    ...(element.shadowRoot ? visible(element.shadowRoot) : []),
  ]);
  const name = (button) => button.ariaLabel || button.title || button.textContent.trim();
  const ends = (button) => /sign out|lock|full screen|language|bahasa|reload/i.test(name(button));
  // Components are rendered in microtasks. A frame would be painted for each of some hundred presses.
  const settle = () => new Promise((done) => setTimeout(done, 40));
  window.confirm = () => true;
  const pressed = [];
  const press = async (button) => {
    pressed.push(name(button));
    button.click();
    await settle();
  };
  app.show(closed);
  await settle();
  for (const label of new Set(visible().filter((each) => !ends(each)).map(name))) {
    const before = new Set(visible().map(name));
    const button = visible().find((each) => name(each) === label);
    if (!button) continue;
    await press(button);
    for (const inner of new Set(visible().filter((each) => !ends(each)).map(name))) {
      if (before.has(inner)) continue;
      const found = visible().find((each) => name(each) === inner);
      if (found) await press(found);
    }
    app.show(closed);
    await settle();
  }
  return pressed;
}"""


async def test_no_visible_button_of_any_role_is_refused(bus: Bus, mesh_settings: MeshSettings, tmp_path: Path) -> None:
    await ensure_stream(bus)
    people = {role.value: role for role in Role}
    async with people_page(mesh_settings, tmp_path, people, PASSWORD) as wall:
        page = wall.page
        await page.add_init_script(COUNT_UNANSWERED)
        await sign_in(page, wall.url, Role.ADMIN, PASSWORD)
        await post(page, "/cameras", CAMERA)
        await post(page, "/incidents", INCIDENT)
        await post(page, "/tours", TOUR)
        await post(page, "/layouts", LAYOUT)
        wall.note_refusals()
        for role in (Role.VIEWER, Role.OPERATOR, Role.SUPERVISOR):
            await wall.browser.clear_cookies()
            await sign_in(page, wall.url, role, PASSWORD)
            await page.locator("pantau-camera-list li[data-status]").wait_for()
            pressed: list[str] = await page.evaluate(PRESS_ALL)
            assert len(pressed) > MANY_BUTTONS, pressed
            await page.wait_for_function("() => unanswered === 0")
            assert wall.refused == [], role
