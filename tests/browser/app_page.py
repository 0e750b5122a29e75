"""The operators' app in a browser: what its tiles say, and the numbers in their decoded pictures."""

import asyncio
import time
from typing import Any, NamedTuple

from playwright.async_api import BrowserContext, Page
from playwright.async_api import TimeoutError as PlaywrightTimeoutError

from services.sim.marker import Marker

_TILES = """
() => {
  const grid = document.querySelector('pantau-app')?.shadowRoot?.querySelector('pantau-wall-grid');
  const tiles = [...(grid?.shadowRoot?.querySelectorAll('pantau-wall-tile') ?? [])];
  return tiles.filter((tile) => !tile.hidden).map((tile) => {
    const video = tile.shadowRoot.querySelector('video');
    return {
      slot: Number(tile.dataset.slot),
      camera: tile.dataset.camera || null,
      name: tile.shadowRoot.querySelector('header .name')?.textContent?.trim() ?? '',
      message: tile.shadowRoot.querySelector('.message')?.innerText?.trim() ?? '',
      revealed: video.style.opacity === '1',
      width: video.videoWidth,
    };
  });
}
"""

# Reads the simulator's marker (described in services/sim/marker.py) out of the picture that a tile's video presents.
_MARKER = """
(slot) => {
  const grid = document.querySelector('pantau-app').shadowRoot.querySelector('pantau-wall-grid');
  const tile = grid.shadowRoot.querySelector(`pantau-wall-tile[data-slot="${slot}"]`);
  const video = tile.shadowRoot.querySelector('video');
  if (video.style.opacity !== '1' || video.videoWidth === 0) return null;
  const [w, h] = [video.videoWidth, video.videoHeight];
  const canvas = Object.assign(document.createElement('canvas'), { width: w, height: h });
  const context = canvas.getContext('2d', { willReadFrequently: true });
  context.drawImage(video, 0, 0, w, h);
  const { data } = context.getImageData(0, 0, w, h);
  const luma = (x, y) => {
    const i = 4 * (Math.floor(y) * w + Math.floor(x));
    return 0.299 * data[i] + 0.587 * data[i + 1] + 0.114 * data[i + 2];
  };
  const cell = (row, column) => luma(((1.5 + column) * w) / 20, ((40 + 2 * row) * h) / 45);
  const [white, black] = [[cell(0, 0), cell(1, 17)], [cell(0, 17), cell(1, 0)]];
  const middle = (white[0] + white[1] + black[0] + black[1]) / 4;
  const bits = (row) => {
    let value = 0;
    for (let column = 1; column < 17; column++) value = value * 2 + (cell(row, column) > middle ? 1 : 0);
    return value;
  };
  const word = [bits(0), bits(1)];
  let crc = 0xff;
  for (const byte of [word[0] >> 8, word[0] & 255, word[1] >> 8]) {
    crc ^= byte;
    for (let i = 0; i < 8; i++) crc = ((crc << 1) ^ (crc & 128 ? 0x107 : 0)) & 255;
  }
  const synchronous = Math.min(...white) > middle && Math.max(...black) < middle;
  if (!synchronous || crc !== (word[1] & 255)) return null;
  return [word[0] >> 4, ((word[0] & 15) << 8) | (word[1] >> 8)];
}
"""


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
    """The app, opened."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    @classmethod
    async def open(cls, browser: BrowserContext, url: str) -> "AppPage":
        """Loads the app from ``url``; returns when the document is there, not when the pictures are."""
        app = cls(await browser.new_page())
        await app.page.goto(url)
        return app

    async def tiles(self) -> list[Tile]:
        """The visible tiles, in their order."""
        found: list[dict[str, Any]] = await self.page.evaluate(_TILES)
        return [Tile(**tile) for tile in found]

    async def marker(self, slot: int) -> Marker | None:
        """Camera and frame number in the picture that a tile presents; None where it presents none."""
        seen: list[int] | None = await self.page.evaluate(_MARKER, slot)
        return Marker(*seen) if seen else None

    async def read(self, slot: int, timeout_seconds: float = 10.0) -> Marker:
        """The first readable numbers in a tile's picture: one may be catching up with another profile just now."""
        deadline = time.monotonic() + timeout_seconds
        while (seen := await self.marker(slot)) is None:
            assert time.monotonic() < deadline, f"no readable picture in {(await self.tiles())[slot]}"
            await asyncio.sleep(0.05)
        return seen

    async def wait_for_pictures(self, count: int, timeout_seconds: float) -> list[Tile]:
        """Waits until ``count`` visible tiles show moving pictures; an AssertionError tells what they say instead."""
        script = f"(count) => ({_TILES})().filter((t) => t.revealed && !t.message).length >= count"
        try:
            await self.page.wait_for_function(script, arg=count, timeout=timeout_seconds * 1000, polling=100)
        except PlaywrightTimeoutError as error:
            raise AssertionError(f"not {count} pictures in {timeout_seconds} s: {await self.tiles()}") from error
        return await self.tiles()

    async def text(self, selector: str) -> str:
        """The visible text of an element, through shadow roots."""
        return await self.page.locator(selector).inner_text()
