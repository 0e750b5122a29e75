"""Keeps audit events that a program or a stranger could make without end from filling the audit stream."""

from collections import OrderedDict
from typing import Final

from services.mesh.clock import Clock

EVERY_SECONDS: Final = 60.0
MOST_KEYS: Final = 4096


class AuditGate:
    """Lets one event of a key through each `EVERY_SECONDS`, and counts those that it held back."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._keys: OrderedDict[tuple[str, ...], tuple[float, int]] = OrderedDict()
        """When the last one went through, and how many came since."""

    def take(self, *key: str) -> int | None:
        """How many were held back since the last one of the key that went through; None: hold this one back."""
        now = self._clock.monotonic()
        at, held = self._keys.get(key, (float("-inf"), 0))
        if now - at < EVERY_SECONDS:
            self._keys[key] = at, held + 1
            return None
        self._keys[key] = now, 0
        self._keys.move_to_end(key)
        if len(self._keys) > MOST_KEYS:
            self._keys.popitem(last=False)
        return held
