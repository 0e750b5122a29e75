"""Chromium for tests."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Browser, BrowserContext, ViewportSize, async_playwright, expect

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
)
VIEWPORT = ViewportSize(width=1280, height=720)
PATIENCE_MS = 90_000
"""What a page is waited for where a test does not say it: a loaded machine paints late."""
expect.set_options(timeout=PATIENCE_MS)


def executable() -> str | None:
    """The Chromium to use: `CHROMIUM`, the system's, else Playwright's own (None)."""
    return os.environ.get("CHROMIUM") or shutil.which("chromium")


@asynccontextmanager
async def chromium(profile: Path, *flags: str) -> AsyncIterator[BrowserContext]:
    """A browser whose profile is kept in ``profile``, closed at the end of the block."""
    async with async_playwright() as playwright:
        context = await playwright.chromium.launch_persistent_context(
            str(profile), executable_path=executable(), headless=True, args=[*FLAGS, *flags], viewport=VIEWPORT
        )
        context.set_default_timeout(PATIENCE_MS)
        try:
            yield context
        finally:
            await context.close()


@asynccontextmanager
async def shared_chromium() -> AsyncIterator[Browser]:
    """A browser for several tests in one event loop, each with a `visitor` of its own."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable(), headless=True, args=[*FLAGS])
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def visitor(browser: Browser) -> AsyncIterator[BrowserContext]:
    """Somebody who has never been here: no storage, no cache, no pages."""
    context = await browser.new_context(viewport=VIEWPORT)
    context.set_default_timeout(PATIENCE_MS)
    try:
        yield context
    finally:
        await context.close()
