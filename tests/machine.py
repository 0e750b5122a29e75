"""How slow this machine is just now: promises about time hold for one that is not, and are stretched where it is."""

import time
from statistics import median

_REFERENCE_SECONDS = 0.005
"""What `_work` takes on an idle core of 3 GHz."""
_SAMPLES = 9
_PAUSE_SECONDS = 0.05


def slowness() -> float:
    """How many times as long as on an idle core a piece of work takes here; at least 1.

    It waits for its turn as all others do, so a machine that shares its cores with much else is a slow one, too.
    """
    took = []
    for _ in range(_SAMPLES):
        began = time.perf_counter()
        _work()
        took.append(time.perf_counter() - began)
        time.sleep(_PAUSE_SECONDS)
    return max(1.0, median(took) / _REFERENCE_SECONDS)


def _work() -> int:
    total = 0
    for number in range(100_000):
        total += number & 7
    return total
