"""Waiting for something to hold: by polls, with a deadline that only its absence reaches."""

import asyncio
from collections.abc import Callable


async def eventually(holds: Callable[[], bool], timeout_seconds: float = 90.0) -> None:
    """Returns once ``holds`` does; raises ``TimeoutError`` after ``timeout_seconds``."""
    async with asyncio.timeout(timeout_seconds):
        while not holds():
            await asyncio.sleep(0.02)
