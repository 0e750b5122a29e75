"""The recorder's upkeep: pass after pass, the next at once where somebody hurries."""

import asyncio
from unittest.mock import Mock

from services.recorder.housekeeping import PASS_SECONDS, Housekeeping
from services.recorder.retention.holds import CurrentHolds


async def test_who_hurries_during_a_pass_gets_another_at_once() -> None:
    hurry, loop, passes = asyncio.Event(), asyncio.get_running_loop(), 0
    coverage = Mock()

    def last_of_a_pass() -> list[object]:
        nonlocal passes
        passes += 1
        if passes == 1:
            loop.call_soon_threadsafe(hurry.set)
        return []

    coverage.of_a_day_that_ended = last_of_a_pass
    holds = CurrentHolds(list, lambda: 0, lambda: 0.0)
    upkeep = Housekeeping([], holds, footage=Mock(), coverage=coverage, events=Mock(), hurry=hurry)
    running = asyncio.create_task(upkeep.run())
    async with asyncio.timeout(PASS_SECONDS / 2):
        while passes < 2:
            await asyncio.sleep(0.01)
    running.cancel()
