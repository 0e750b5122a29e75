"""Cameras in trouble: their tiles say why, come back by themselves, and nobody else's picture suffers."""

import re

import pytest
from playwright.async_api import BrowserContext, expect

from tests.browser.app_page import AppPage
from tests.browser.probe import Probe
from tests.browser.running_up import Running

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

PATIENCE_SECONDS = 60.0
REFUSED = re.compile("The camera (closed|refuses) the connection|The stream cannot be read")
"""All that libav tells of a camera that hangs up on a question is that no stream could be read."""


async def test_a_stalled_and_a_refusing_camera_say_so_and_come_back_without_a_hand(
    pantau: Running, browser: BrowserContext
) -> None:
    page = await browser.new_page()
    probe = await Probe.install(page, first_pictures=True, pauses_over_ms=1000)
    await page.add_init_script("localStorage.setItem('pantau.language', 'en')")
    await page.goto(f"{pantau.url}/#grid=4&tiles=cam-001,cam-002,cam-003,cam-004")
    await probe.moving(4, PATIENCE_SECONDS)
    said = [page.locator(f"pantau-wall-tile[data-slot='{slot}'] .message") for slot in range(4)]
    with pantau.fault("cam-002", "stall"), pantau.fault("cam-003", "refuse"):
        await expect(said[1]).to_contain_text("The camera sends no pictures", timeout=PATIENCE_SECONDS * 1000)
        await expect(said[2]).to_contain_text(REFUSED, timeout=PATIENCE_SECONDS * 1000)
        for slot in (1, 2):
            await expect(said[slot]).to_contain_text("since")
        await probe.settled(PATIENCE_SECONDS, 0, 3)
        for slot in (0, 3):
            await expect(said[slot]).to_have_count(0)
    await probe.settled(2 * PATIENCE_SECONDS)
    for message in said:
        await expect(message).to_have_count(0)
    assert await probe.cameras() == {0: "cam-001", 1: "cam-002", 2: "cam-003", 3: "cam-004"}


async def test_a_lost_camera_is_in_the_feed_of_every_page_until_somebody_has_seen_it(
    pantau: Running, browser: BrowserContext
) -> None:
    pages = []
    for number in range(2):
        app = await AppPage.open(
            browser, f"{pantau.url}/#grid=1&tiles=cam-00{number + 5}", language="en", pictures=False
        )
        page = app.page
        page.set_default_timeout(90_000)
        await page.get_by_role("button", name="Events").click()
        pages.append(page)
    rows = [page.locator("pantau-events-panel li").filter(has_text="Camera offline") for page in pages]
    with pantau.fault("cam-004", "stall"):
        for page in pages:
            await page.locator("pantau-events-panel input[type=search]").fill("cam-004")
        await expect(rows[0].get_by_role("button", name="Acknowledge")).to_be_visible(timeout=90_000)
        await pages[0].bring_to_front()
        await rows[0].get_by_role("button", name="Acknowledge").click()
        for row in rows:
            await expect(row).to_contain_text("seen by local", timeout=90_000)
            await expect(row.get_by_role("button", name="Acknowledge")).to_have_count(0)
    seen = [
        event for event in pantau.api("/events/recent")["events"] if event["subject"] == "cam-004" and event["seen"]
    ]
    assert {event["seen"]["by"] for event in seen} == {"local"}
