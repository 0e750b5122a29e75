"""A demo's past is made while its cameras come and go."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

from services.contracts.models import DEMO_TAG
from services.mesh.clock import ClockTimer, ManualClock
from services.recorder.demo_past import DemoPast


class RestingClock(ManualClock):
    """Tells when somebody rests."""

    def __init__(self) -> None:
        super().__init__()
        self.rests = asyncio.Event()

    def call_later(self, seconds: float, callback: Callable[[], None]) -> ClockTimer:
        self.rests.set()
        return super().call_later(seconds, callback)


async def test_a_camera_that_is_removed_meanwhile_does_not_end_the_recorder() -> None:
    feeds = {"cam-1": SimpleNamespace(camera=SimpleNamespace(tags=(DEMO_TAG,)))}

    def histories(camera: str) -> list[object]:
        del feeds[camera]
        return []

    clock = RestingClock()
    past = DemoPast(
        3.0,
        recordings=cast("Any", SimpleNamespace(feeds=feeds)),
        footage=cast("Any", SimpleNamespace(histories=histories)),
        disks=cast("Any", None),
        clock=clock,
    )
    working = asyncio.create_task(past.run())
    resting = asyncio.create_task(clock.rests.wait())
    await asyncio.wait((working, resting), return_when=asyncio.FIRST_COMPLETED)
    assert not working.done(), working
    assert not feeds
    working.cancel()
