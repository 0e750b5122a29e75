"""How much of the CPU that it could have had a process has used. Others that want it too leave it less."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from services.mesh.clock import Clock

SCHEDULED: Final = Path("/proc/self/schedstat")
"""Of the main thread, in nanoseconds: how long it ran, and how long it wanted to and had to wait (Linux,
Documentation/scheduler/sched-stats.rst). The end of a quota is such a wait as well."""
LEAST_SHARE: Final = 0.01


class CpuUse:
    """`look` from time to time."""

    def __init__(self, clock: Clock, cpus: Callable[[], float], scheduled: Path = SCHEDULED) -> None:
        """``cpus``: what the process may use. A container's quota may be changed while it runs."""
        self._clock = clock
        self._cpus = cpus
        self._scheduled = scheduled
        self._at, self._used, self._waited = self._now()

    def look(self) -> float:
        """Since the look before: 1 where it had nothing left."""
        (at, used, waited), before = self._now(), (self._at, self._used, self._waited)
        self._at, self._used, self._waited = at, used, waited
        seconds = max(at - before[0], 0.001)
        left = max(1 - (waited - before[2]) / seconds, LEAST_SHARE)
        return (used - before[1]) / seconds / min(self._cpus(), left)

    def _now(self) -> tuple[float, float, float]:
        return self._clock.monotonic(), time.process_time(), _waited_seconds(self._scheduled)


def _waited_seconds(scheduled: Path) -> float:
    """How long the main thread has waited for a CPU; 0 where the system does not tell."""
    try:
        return int(scheduled.read_text().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0
