"""Whether what most tests need starts at all: told once at the beginning, not by every test after its own wait."""

import asyncio
import tempfile
from collections.abc import Coroutine
from pathlib import Path

import pytest

from services.contracts import subjects
from services.contracts.errors import PantauError
from services.contracts.models import Camera
from services.mesh.buckets import Bucket
from services.mesh.bus import Bus
from services.mesh.nats_server import NatsServer
from services.mesh.settings import MeshSettings

PATIENCE_SECONDS = 120.0
EXIT_STATUS = 3
"""Pytest's own status of an internal error: no test has run."""


def check_nats() -> None:
    """Ends the session where a nats-server does not start, or keeps no bucket."""
    _check("a nats-server with JetStream", _nats())


def check_chromium() -> None:
    """Ends the session where Chromium does not start, or opens no page."""
    _check("Chromium", _chromium())


def _check(name: str, starting: Coroutine[None, None, None]) -> None:
    async def within() -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await starting

    try:
        asyncio.run(within())
    except TimeoutError:
        reason = f"it does not answer within {PATIENCE_SECONDS:g} s"
    except (PantauError, OSError) as error:
        reason = str(error)
    except Exception as error:  # noqa: BLE001 (Playwright and nats-py raise errors of many classes)
        reason = f"{type(error).__name__}: {error}"
    else:
        return
    pytest.exit(f"no test was run: {name} does not start here: {reason}", EXIT_STATUS)


async def _nats() -> None:
    with tempfile.TemporaryDirectory(prefix="pantau-preflight-") as folder:
        async with NatsServer(Path(folder) / "nats") as server:
            bus = await Bus.connect(MeshSettings(nats_url=server.url, data=Path(folder), admin_port=0), "preflight")
            await Bucket.open(bus, subjects.CAMERAS_BUCKET, Camera)
            await bus.close()


async def _chromium() -> None:
    from tests.browser.chromium import shared_chromium

    async with shared_chromium() as browser:
        page = await browser.new_page()
        await page.goto("about:blank")
