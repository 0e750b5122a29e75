"""Four cameras on a page by one of two relays, so that the other can take them over."""

import json
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from playwright.async_api import BrowserContext, Response

from services.contracts import subjects
from services.contracts.models import Camera, CameraState, Profile, Status
from services.mesh.buckets import Bucket
from services.mesh.bus import Bus
from services.mesh.settings import MeshSettings
from tests.browser.app_page import AppPage
from tests.browser.probe import Pause, Probe
from tests.integration.wall_process import WallProcess, until, wall_process
from tests.wall.relay.camera import SITE, BusCamera, clip

CAMERAS = ("cam-1", "cam-2", "cam-3", "cam-4")
NOTICED_MS = 300
"""A pause that anybody would notice."""
PATIENCE_SECONDS = 60.0


class Watched:
    """The page, and the relays by name."""

    def __init__(self, app: AppPage, probe: Probe, relays: dict[str, WallProcess], placed: list[str]) -> None:
        self.app = app
        self.relays = relays
        self.placed = placed
        """The relays that the page was given, in their order."""
        self._probe = probe

    async def hand_over(self, how: signal.Signals) -> list[Pause]:
        """Ends the relay in use by a signal; the pauses that were noticed until the other one shows all pictures."""
        await self.app.page.evaluate("probe.pauses = {}")
        before = len(self.placed)
        self.relays[self.placed[-1]].process.send_signal(how)
        await until(lambda: len(self.placed) > before, PATIENCE_SECONDS)
        await self.app.wait_for_pictures(len(CAMERAS), PATIENCE_SECONDS)
        await self._probe.settled(PATIENCE_SECONDS)
        return await self._probe.pauses()


@asynccontextmanager
async def watched_by_two_relays(
    settings: MeshSettings, bus: Bus, folder: Path, browser: BrowserContext
) -> AsyncIterator[Watched]:
    """All four are seen, and the page and the front know that the relay answers."""
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
                wall_process(settings, folder / name, role="relay", PANTAU_WORKER=name)
            )
            for name in ("relay-a", "relay-b")
        }
        front = await stack.enter_async_context(wall_process(settings, folder / "front", role="front"))
        placed: list[str] = []

        async def on_response(response: Response) -> None:
            opened = response.ok and response.request.method == "POST"  # a relay that has gone is refused at first
            if opened and response.url.endswith("/api/v1/wall/sessions"):
                placed.append(json.loads(await response.text())["relay"])

        page = await browser.new_page()
        page.on("response", on_response)
        probe = await Probe.install(page, pauses_over_ms=NOTICED_MS)
        app = AppPage(page)
        await page.goto(f"{front.url}/#grid=4&tiles={','.join(CAMERAS)}")
        await app.wait_for_pictures(len(CAMERAS), PATIENCE_SECONDS)
        await page.wait_for_timeout(2500)
        yield Watched(app, probe, relays, placed)
