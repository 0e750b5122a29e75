"""Waiting for something to hold: by polls, with a deadline that only its absence reaches."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

STILL_SECONDS = 60.0
"""What has not moved for so long stands still, on a loaded machine too."""


async def eventually(holds: Callable[[], bool], timeout_seconds: float = 90.0) -> None:
    """Returns once ``holds`` does; raises ``TimeoutError`` after ``timeout_seconds``."""
    async with asyncio.timeout(timeout_seconds):
        while not holds():
            await asyncio.sleep(0.02)


async def while_it_moves(
    ask: Callable[[], Awaitable[T]],
    good: Callable[[T], bool],
    moved: Callable[[T], object],
) -> T:
    """The first answer that is ``good``, however long it takes while ``moved`` of the answers changes: a loaded machine
    is slow, and no fault. Raises ``AssertionError`` where it stands still for `STILL_SECONDS`."""
    last: object = None
    since = time.monotonic()
    while not good(answer := await ask()):
        if moved(answer) != last:
            last, since = moved(answer), time.monotonic()
        assert time.monotonic() - since < STILL_SECONDS, f"it stands still: {answer!r}"
        await asyncio.sleep(0.1)
    return answer
