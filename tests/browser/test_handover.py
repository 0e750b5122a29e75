"""A relay that is drained or killed while people watch: their tiles go on by another one, without a reload."""

import json
import signal
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from playwright.async_api import BrowserContext, Response

from services.contracts import subjects
from services.contracts.models import Camera, CameraState, Profile, Status
from services.mesh.buckets import Bucket
from services.mesh.bus import Bus
from services.mesh.settings import MeshSettings
from services.wall.front.api.static import FOLDER
from tests.browser.app_page import AppPage
from tests.browser.probe import Probe
from tests.integration.wall_process import until, wall_process
from tests.machine import slowness
from tests.wall.relay.camera import SITE, BusCamera, clip

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(120),
    pytest.mark.skipif(not (FOLDER / "index.html").is_file(), reason="the app is not built: make web"),
]

CAMERAS = ("cam-1", "cam-2", "cam-3", "cam-4")
BACK_SECONDS = 2.0
NOTICED_MS = 300
"""A pause that anybody would notice."""


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
async def test_tiles_go_on_by_the_other_relay_within_two_seconds_and_without_a_reload(
    mesh_settings: MeshSettings, bus: Bus, tmp_path: Path, own_browser: BrowserContext, how: signal.Signals
) -> None:
    async with AsyncExitStack() as stack:
        cameras = await Bucket.open(bus, subjects.CAMERAS_BUCKET, Camera)
        states = await Bucket.open(bus, subjects.STATE_BUCKET, CameraState)
        for number, camera in enumerate(CAMERAS):
            profiles = {"main": Profile(url=f"rtsp://192.0.2.1/{camera}")}
            entry = {"id": camera, "site": SITE, "name": camera, "profiles": profiles}
            await cameras.put(camera, Camera.model_validate(entry))
            await states.put(camera, CameraState(camera=camera, site=SITE, status=Status.ONLINE, since_us=1))
            await stack.enter_async_context(BusCamera(bus, camera, clip(number, size=(320, 180), fps=15, gop=30)))
        relays = {
            name: await stack.enter_async_context(
                wall_process(mesh_settings, tmp_path / name, role="relay", PANTAU_WORKER=name)
            )
            for name in ("relay-a", "relay-b")
        }
        front = await stack.enter_async_context(wall_process(mesh_settings, tmp_path / "front", role="front"))

        placed: list[str] = []

        async def on_response(response: Response) -> None:
            if response.request.method == "POST" and response.url.endswith("/api/v1/wall/sessions"):
                placed.append(json.loads(await response.text())["relay"])

        page = await own_browser.new_page()
        page.on("response", on_response)
        probe = await Probe.install(page, pauses_over_ms=NOTICED_MS)
        await page.goto(f"{front.url}/#grid=4&tiles={','.join(CAMERAS)}")
        app = AppPage(page)
        await app.wait_for_pictures(4, 30)
        await page.wait_for_timeout(2500)  # the front has seen that the relay answers, and the page that pictures flow
        await page.evaluate("window.notReloaded = true; probe.pauses = {}")

        relays[placed[-1]].process.send_signal(how)
        await until(lambda: len(placed) == 2, 15)
        await app.wait_for_pictures(4, 15)
        await page.wait_for_timeout(500)
        assert set(placed) == set(relays)
        assert await page.evaluate("window.notReloaded") is True
        pauses = await probe.pauses()
        assert max((pause.ended - pause.began for pause in pauses), default=0.0) < BACK_SECONDS * slowness(), pauses
