"""How soon people see what they ask for, in Chromium, of a Pantau with sixteen simulated cameras."""

import asyncio
import signal
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

from playwright.async_api import Browser, BrowserContext

from bench.check.bus import own_mesh
from bench.check.promise import Promise
from services.contracts.sessions import Aim
from tests.browser import footage as small
from tests.browser.bus_cameras import cameras, lose_and_jitter
from tests.browser.chromium import chromium, shared_chromium, visitor
from tests.browser.footage import CAMERAS, Footage, camera
from tests.browser.probe import Probe
from tests.browser.recorded_page import ALL, Seeker, fragment, markers, opened, spread_frames, standing
from tests.browser.running_up import Running, running_up
from tests.browser.two_relays import watched_by_two_relays
from tests.browser.wall_page import WallPage
from tests.integration.recorded import holes, newest, recorded
from tests.wall.relay.running import running_relay

PATIENCE_SECONDS = 60.0
MINUTE_SECONDS = 60.0
SIXTEEN = [f"cam-{number:03}" for number in range(1, 17)]


async def measure(*, quick: bool) -> list[Promise]:
    """All of them."""
    with tempfile.TemporaryDirectory(prefix="pantau-bench-") as folder, running_up(Path(folder), 16) as pantau:
        async with shared_chromium() as browser:
            found = [
                await first_light(pantau, browser, 3 if quick else 10),
                await clicks(pantau, browser, 2 if quick else 6),
                await a_minute(pantau),
            ]
            with small.footage(pantau) as there:
                found += [
                    await seeks(pantau, browser, there, 20 if quick else 60),
                    await in_step(pantau, browser, there, 20 if quick else 60),
                ]
    found.append(await lossy(2 if quick else 5))
    for how in (signal.SIGTERM, signal.SIGKILL):
        found.append(await handed_over(how, 2 if quick else 5))
    return found


async def first_light(pantau: Running, browser: Browser, count: int) -> Promise:
    """A person who has been here before loads the page anew."""
    took_ms = []
    async with visitor(browser) as context:
        for _ in range(count):
            page = await context.new_page()
            probe = await Probe.install(page, first_pictures=True)
            await page.goto(pantau.url)
            moving = await probe.moving(len(SIXTEEN), PATIENCE_SECONDS)
            took_ms.append(max(tile.moving_ms for tile in moving))
            await page.close()
    return Promise("from a page's load to the last of sixteen moving cameras", "ms", took_ms, 3000)


async def clicks(pantau: Running, browser: Browser, rounds: int) -> Promise:
    """Without the cached GOP each camera would take a second on average."""
    took_ms = []
    async with visitor(browser) as context:
        page = await context.new_page()
        probe = await Probe.install(page, first_pictures=True)
        await page.goto(f"{pantau.url}/#grid=4&tiles={','.join(SIXTEEN[:4])}")
        await probe.moving(4, PATIENCE_SECONDS)
        for _ in range(rounds):
            for number in (6, 9, 12, 15):
                await page.locator("pantau-wall-tile[data-slot='0']").click()
                took_ms.append(await probe.click_until_seen_ms(f"#camera-cam-{number:03} .camera", 0, number))
                await page.wait_for_timeout(200)
    return Promise("from a click on a camera to its picture", "ms", took_ms, 500)


async def a_minute(pantau: Running) -> Promise:
    """The newest minute of each camera, the tiles of the measurements before it included."""
    await asyncio.sleep(MINUTE_SECONDS)
    missing = []
    for name in SIXTEEN:
        frames = newest(await asyncio.to_thread(recorded, pantau.data, name), MINUTE_SECONDS)
        missing.append(float(sum(hole.frames for hole in holes(frames))))
    return Promise("frames of a recorded minute that are missing, of a camera", "frames", missing, 0)


async def seeks(pantau: Running, browser: Browser, there: Footage, count: int) -> Promise:
    """There and back, at other places of the GOP each time; the clock stands."""
    took_ms = []
    async with visitor(browser) as context:
        at = there.began + 1
        page = await opened(pantau, context, fragment(at, camera(1), grid="1"))
        (shown,) = await standing(page, 1)
        seeker = Seeker(page, at, shown)
        for number in range(1, count + 1):
            took_ms.append(await seeker.seek_ms(at + number * 6.37 % 9))
            await asyncio.sleep(0.1)
    return Promise("from a recorded moment's address to its picture", "ms", took_ms, 300)


async def in_step(pantau: Running, browser: Browser, there: Footage, count: int) -> Promise:
    """Of each camera the picture of the moment or a neighbour of it."""
    apart: list[float] = []
    async with visitor(browser) as context:
        page = await opened(pantau, context, fragment(there.began + 2, *ALL))
        await standing(page, CAMERAS)
        await page.keyboard.press("Space")
        await asyncio.sleep(1.0)
        for _ in range(count):
            await asyncio.sleep(0.1)
            seen = await markers(page)
            apart.append(spread_frames(seen) if len(seen) == CAMERAS else float("inf"))
    return Promise("between nine recordings that play", "frames", apart, 2)


async def lossy(count: int) -> Promise:
    """Four tiles for ten seconds, with 5 % of the packets lost and 30 ms of jitter."""
    freezes_ms: list[float] = []
    async with own_mesh() as mesh, AsyncExitStack() as stack:
        front = await stack.enter_async_context(
            running_relay(mesh.bus, mesh.settings, kernel="off")  # packets are lost in Python
        )
        browser = await stack.enter_async_context(chromium(mesh.folder / "chromium"))
        await stack.enter_async_context(cameras(mesh.bus, front, 4))
        lose_and_jitter(front, 0.05, 0.03)
        page = await WallPage.create(browser, front)
        await page.connect(4, *[Aim(slot=n, camera=f"cam-{n}") for n in range(4)])
        for slot in range(4):
            await page.wait_for(slot, slot)
        await asyncio.sleep(1)
        for _ in range(count):
            await page.forget()
            await asyncio.sleep(10)
            freezes_ms += await page.longest_freeze_ms()
    return Promise("longest pause of a tile in 10 s of 5 % loss and 30 ms jitter", "ms", freezes_ms, 1000)


async def handed_over(how: signal.Signals, count: int) -> Promise:
    """Each try with new relays."""
    took = []
    for _ in range(count):
        async with own_mesh() as mesh, AsyncExitStack() as stack:
            browser: BrowserContext = await stack.enter_async_context(chromium(mesh.folder / "chromium"))
            watched = await stack.enter_async_context(
                watched_by_two_relays(mesh.settings, mesh.bus, mesh.folder, browser)
            )
            pauses = await watched.hand_over(how)
            took.append(max((pause.ended - pause.began for pause in pauses), default=0.0))
    name = {signal.SIGTERM: "drained", signal.SIGKILL: "killed"}[how]
    return Promise(f"pause of a tile whose relay is {name}", "s", took, 2.0)
