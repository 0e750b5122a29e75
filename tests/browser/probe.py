"""Measures in the page itself what a person before the wall sees, and when: test processes come too late for that.

Times are the page's own ``performance.now()``, milliseconds since its load began, or Unix milliseconds where they are
compared with what happens outside (both clocks are the machine's).
"""

import asyncio
from typing import Any, NamedTuple

from playwright.async_api import Page
from playwright.async_api import TimeoutError as PlaywrightTimeoutError

SCRIPT = """
window.probe = {
  tiles() {
    const grid = document.querySelector('pantau-app')?.shadowRoot?.querySelector('pantau-wall-grid');
    return [...(grid?.shadowRoot?.querySelectorAll('pantau-wall-tile') ?? [])].filter((tile) => !tile.hidden);
  },
  tile(slot) { return this.tiles().find((tile) => Number(tile.dataset.slot) === slot); },

  // What is seen of a tile: the still that covers the video, the video, or nothing.
  seen(tile) {
    const [still, video] = [tile.shadowRoot?.querySelector('canvas'), tile.shadowRoot?.querySelector('video')];
    if (still?.style.opacity === '1' && still.width > 0) return { source: still, w: still.width, h: still.height };
    if (video?.style.opacity !== '1' || video.videoWidth === 0) return null;
    return { source: video, w: video.videoWidth, h: video.videoHeight };
  },

  // The simulator's marker (services/sim/marker.py), from the band alone: 10 x 8 px a cell.
  pen: Object.assign(document.createElement('canvas'), { width: 200, height: 24 })
    .getContext('2d', { willReadFrequently: true }),
  read(tile) {
    const seen = this.seen(tile);
    if (!seen) return null;
    this.pen.drawImage(seen.source, 0, (seen.h * 38) / 45, seen.w, (seen.h * 6) / 45, 0, 0, 200, 24);
    const { data } = this.pen.getImageData(0, 0, 200, 24);
    const cell = (row, column) => data[4 * ((row ? 16 : 8) * 200 + 15 + 10 * column) + 1];
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
    return { camera: word[0] >> 4, frame: ((word[0] & 15) << 8) | (word[1] >> 8) };
  },

  // Slot -> what it showed, named, and when it had shown two different frames of that camera.
  moving: {},
  watchFirstPictures() {
    const [before, looked] = [{}, {}];
    const timer = setInterval(() => {
      const tiles = this.tiles().filter((tile) => tile.dataset.camera);
      for (const tile of tiles) {
        const slot = tile.dataset.slot;
        if (slot in this.moving) continue;
        const video = tile.shadowRoot?.querySelector('video');
        const picture = `${this.seen(tile)?.source.localName} ${video?.getVideoPlaybackQuality().totalVideoFrames}`;
        if (looked[slot] === picture) continue;  // reading sixteen pictures again and again would take half a core
        looked[slot] = picture;
        const now = this.read(tile);
        const name = tile.shadowRoot.querySelector('header .name')?.textContent.trim() ?? '';
        if (!now || name === '') continue;
        const [was, camera] = [before[slot], `cam-${String(now.camera).padStart(3, '0')}`];
        if (was && was.camera === now.camera && was.frame !== now.frame)
          this.moving[slot] = { slot: Number(slot), camera, name, moving_ms: performance.now() };
        before[slot] = now;
      }
      if (tiles.length && tiles.every((tile) => tile.dataset.slot in this.moving)) clearInterval(timer);
    }, 25);
  },

  // Clicks `element` and resolves to the milliseconds until `camera` is seen in the slot; rejects on a wrong picture.
  clickUntilSeen(element, slot, camera) {
    const id = `cam-${String(camera).padStart(3, '0')}`;
    return new Promise((resolve, reject) => {
      const began = performance.now();
      const look = () => {
        const tile = this.tile(slot);
        const now = this.read(tile);
        const passed = performance.now() - began;
        if (now?.camera === camera) return resolve(passed);
        if (now && tile.dataset.camera === id) return reject(new Error(`camera ${now.camera} under the name ${id}`));
        if (passed > 10000) return reject(new Error(`${id} is not seen after 10 s`));
        requestAnimationFrame(look);
      };
      element.click();
      requestAnimationFrame(look);
    });
  },

  // Slot -> [[from, to], ...] in Unix ms: when no new frame was seen for longer than the limit.
  pauses: {},
  last: {},
  watchPauses(limit) {
    setInterval(() => {
      const now = performance.timeOrigin + performance.now();
      for (const tile of this.tiles()) {
        const slot = tile.dataset.slot;
        if (!tile.dataset.camera) continue;
        const video = tile.shadowRoot.querySelector('video');
        const frames = video.getVideoPlaybackQuality().totalVideoFrames;
        const last = (this.last[slot] ??= { frames, at: now });
        if (frames === last.frames || video.style.opacity !== '1') continue;
        if (now - last.at > limit) (this.pauses[slot] ??= []).push([last.at, now]);
        this.last[slot] = { frames, at: now };
      }
    }, 40);
  },
  newestPause() {
    const now = performance.timeOrigin + performance.now();
    return Math.max(...Object.values(this.last).map((last) => now - last.at));
  },
};
"""


class Moving(NamedTuple):
    """A tile that has shown two different frames."""

    slot: int
    camera: str
    """As its picture says it."""
    name: str
    """What stood over the picture."""
    moving_ms: float
    """Since the page's load began."""


class Pause(NamedTuple):
    """A time without a new picture in a tile; Unix seconds."""

    slot: int
    began: float
    ended: float


class Probe:
    """The script in one page. Install it before the page is loaded."""

    def __init__(self, page: Page) -> None:
        self.page = page

    @classmethod
    async def install(cls, page: Page, *, first_pictures: bool = False, pauses_over_ms: int = 0) -> "Probe":
        """Also begins to watch what is asked for, from the page's first moment."""
        watch = "probe.watchFirstPictures();" if first_pictures else ""
        watch += f"probe.watchPauses({pauses_over_ms});" if pauses_over_ms else ""
        await page.add_init_script(f"{SCRIPT}{watch}")
        return cls(page)

    async def moving(self, count: int, timeout_seconds: float) -> list[Moving]:
        """The tiles when ``count`` of them have shown a moving picture."""
        enough = "(count) => Object.keys(probe.moving).length >= count"
        try:
            await self.page.wait_for_function(enough, arg=count, timeout=timeout_seconds * 1000, polling=100)
        except PlaywrightTimeoutError as error:
            raise AssertionError(f"not {count} moving pictures in {timeout_seconds} s: {await self._said()}") from error
        found: dict[str, dict[str, Any]] = await self.page.evaluate("probe.moving")
        return [Moving(**tile) for tile in found.values()]

    async def cameras(self) -> dict[int, str | None]:
        """Slot → the camera whose picture is seen in it now."""
        script = "probe.tiles().map((tile) => [Number(tile.dataset.slot), probe.read(tile)?.camera ?? null])"
        found: list[tuple[int, int | None]] = await self.page.evaluate(script)
        return {slot: f"cam-{camera:03}" if camera else None for slot, camera in found}

    async def click_until_seen_ms(self, selector: str, slot: int, camera: int) -> float:
        """Clicks and returns the ms until the camera is seen in the slot; raises when another is seen in its name."""
        element = self.page.locator(selector)
        script = "(element, [slot, camera]) => probe.clickUntilSeen(element, slot, camera)"
        took: float = await element.evaluate(script, [slot, camera])
        return took

    async def pauses(self) -> list[Pause]:
        """All that have ended."""
        found: dict[str, list[tuple[float, float]]] = await self.page.evaluate("probe.pauses")
        return [Pause(int(slot), a / 1000, b / 1000) for slot, times in found.items() for a, b in times]

    async def settled(self, timeout_seconds: float, *, quiet_ms: int = 500) -> None:
        """Waits until every tile has had a new picture within ``quiet_ms``; raises what the tiles say instead."""
        try:
            async with asyncio.timeout(timeout_seconds):
                while await self.page.evaluate("probe.newestPause()") > quiet_ms:
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(f"pictures stand still for {timeout_seconds} s: {await self._said()}") from None

    async def _said(self) -> list[str]:
        said: list[str] = await self.page.evaluate("probe.tiles().map((tile) => tile.ariaLabel)")
        return said
