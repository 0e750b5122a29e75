"""Reads viewers' sign-ins anew, again and again, so that a session lasts no longer than its sign-in."""

import asyncio
from collections.abc import Collection
from typing import Final

from services.contracts.accounts import SignIn
from services.contracts.errors import UnavailableError
from services.mesh.buckets import Bucket
from services.mesh.clock import Clock

AT_ONCE: Final = 16
CLOCKS_APART_US: Final = 60_000_000
"""Fronts delete what has expired, by their clocks. Without any front a relay does not go on for ever either."""


class SignInCheck:
    """Reads the bucket itself: a mirror that has silently stopped would never show that an entry is gone."""

    def __init__(self, bucket: Bucket[SignIn], clock: Clock) -> None:
        self._bucket = bucket
        self._clock = clock

    async def over(self, sign_ins: Collection[str]) -> set[str]:
        """Those of ``sign_ins`` that have ended. While the bus is away nothing is known, and no media come either."""
        few = asyncio.Semaphore(AT_ONCE)

        async def read(sign_in_id: str) -> bool:
            async with few:
                try:
                    entry = await self._bucket.get(sign_in_id)
                except UnavailableError:
                    return False
            return entry is None or entry[0].expires_us + CLOCKS_APART_US < self._clock.now_us()

        asked = [sign_in_id for sign_in_id in sign_ins if sign_in_id]  # without one: the machine's own user
        answers = await asyncio.gather(*(read(sign_in_id) for sign_in_id in asked))
        return {sign_in_id for sign_in_id, over in zip(asked, answers, strict=True) if over}
