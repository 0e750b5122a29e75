"""When a child that ended is started again."""

import random
from typing import Final

STEADY_SECONDS: Final = 10.0
"""A child that lived so long was well: the next end is a first one."""
FIRST_DELAYS_SECONDS: Final = (0.0, 0.25, 0.5, 1.0)
MAX_DELAY_SECONDS: Final = 30.0


class RestartPolicy:
    """At once the first time, later and later while the child keeps dying young."""

    def __init__(self) -> None:
        self._young_deaths = 0

    def delay_seconds(self, lived_seconds: float) -> float:
        """How long to wait before the next start of a child that lived ``lived_seconds``; jittered from 1 s up."""
        if lived_seconds >= STEADY_SECONDS:
            self._young_deaths = 0
        deaths = self._young_deaths
        self._young_deaths += 1
        if deaths < len(FIRST_DELAYS_SECONDS):
            return FIRST_DELAYS_SECONDS[deaths]
        doubled: float = 2.0 ** min(deaths - len(FIRST_DELAYS_SECONDS) + 1, 10)
        return min(doubled, MAX_DELAY_SECONDS) * random.uniform(0.75, 1.0)
