"""The operators' app in a browser: what its tiles say, and the numbers in their decoded pictures."""

import asyncio
import time
from typing import Any, NamedTuple

from playwright.async_api import BrowserContext, Page
from playwright.async_api import TimeoutError as PlaywrightTimeoutError

from services.sim.pictures.marker import Marker
from tests.browser.probe import Probe


class Tile(NamedTuple):
    """One visible tile."""

    slot: int
    camera: str | None
    name: str
    message: str
    """What stands over or instead of the picture."""
    revealed: bool
    """Whether the moving picture is what is seen."""
    width: int
    """Of the decoded picture."""


class AppPage:
    """The app in a page that has a `Probe`."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    @classmethod
    async def open(
        cls, browser: BrowserContext, url: str, *, language: str | None = None, pictures: bool = True
    ) -> "AppPage":
        """Loads the app from ``url``; returns when the document is there, not when the pictures are.

        ``language``: what somebody chose before, unless they have chosen another one since. Without ``pictures`` the
        browser has no WebRTC: for what is not about pictures, which a loaded machine decodes instead of answering.
        """
        app = cls(await browser.new_page())
        if not pictures:
            await app.page.add_init_script("delete window.RTCPeerConnection")
        await Probe.install(app.page)
        if language is not None:
            await app.page.add_init_script(f"localStorage['pantau.language'] ??= '{language}'")
        await app.page.goto(url)
        return app

    async def tiles(self) -> list[Tile]:
        """The visible tiles, in their order."""
        found: list[dict[str, Any]] = await self.page.evaluate("probe.described()")
        return [Tile(**tile) for tile in found]

    async def marker(self, slot: int) -> Marker | None:
        """Camera and frame number in the picture that a tile presents; None where it presents none."""
        seen: dict[str, int] | None = await self.page.evaluate("(slot) => probe.read(probe.tile(slot))", slot)
        return Marker(**seen) if seen else None

    async def read(self, slot: int, timeout_seconds: float = 60.0) -> Marker:
        """The first readable numbers in a tile's picture: one may be catching up with another profile just now."""
        deadline = time.monotonic() + timeout_seconds
        while (seen := await self.marker(slot)) is None:
            assert time.monotonic() < deadline, f"no readable picture in {(await self.tiles())[slot]}"
            await asyncio.sleep(0.05)
        return seen

    async def wait_for_pictures(self, count: int, timeout_seconds: float) -> list[Tile]:
        """Waits until ``count`` visible tiles show moving pictures; an AssertionError tells what they say instead."""
        script = "(count) => probe.pictures() >= count"
        try:
            await self.page.wait_for_function(script, arg=count, timeout=timeout_seconds * 1000, polling=100)
        except PlaywrightTimeoutError as error:
            raise AssertionError(f"not {count} pictures in {timeout_seconds} s: {await self.tiles()}") from error
        return await self.tiles()

    async def text(self, selector: str) -> str:
        """The visible text of an element, through shadow roots."""
        return await self.page.locator(selector).inner_text()


async def sign_in(page: Page, url: str, name: str, password: str) -> None:
    """Returns when the wall at ``url`` shows who is signed in."""
    await page.goto(url)
    await page.fill("input[name=name]", name)
    await page.fill("input[name=password]", password)
    await page.click("button")
    await page.locator("pantau-top-bar .person").wait_for()


async def sign_out(page: Page) -> None:
    """Returns when the page asks who comes next: a load that begins before would take its place."""
    await page.get_by_role("button", name="Sign out").click()
    await page.locator("input[name=name]").wait_for()
