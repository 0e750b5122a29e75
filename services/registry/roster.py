"""Which workers are there, with patience for those that may still come. Pure."""

from collections.abc import Callable, Iterable
from typing import Final

from services.contracts.models import Id, WorkerLease
from services.mesh.leases import EXPIRE_SECONDS

EXPECT_SECONDS: Final = EXPIRE_SECONDS
"""So long after a start, or after the bus was away, a missing worker may still come."""


class WorkerRoster:
    """The workers of one role over time. Times are seconds of a monotonic clock."""

    def __init__(self) -> None:
        self.alive: dict[Id, WorkerLease] = {}
        self._began_at = float("-inf")
        self._changed_at = float("-inf")

    def begin_view(self, now: float) -> None:
        """Begins a new view: this registry has started, or the bus is back."""
        self._began_at = now
        self._changed_at = now

    def update_leases(self, leases: Iterable[WorkerLease], now: float) -> bool:
        """Takes the live leases; returns whether a worker came, went, restarted or began to drain."""
        alive = {lease.worker: lease for lease in leases}
        changed = _who(alive) != _who(self.alive)
        if changed:
            self._changed_at = now
        self.alive = alive
        return changed

    def expected(self, now: float) -> bool:
        """Whether missing workers may still come."""
        return now - self._began_at < EXPECT_SECONDS

    def settled(self, seconds: float, now: float) -> bool:
        """Whether the same workers have been there for ``seconds``."""
        return now - self._changed_at >= seconds

    def silent(self, names: Iterable[Id], seconds: float, now: float, silent_seconds: Callable[[Id], float]) -> set[Id]:
        """The workers of ``names`` that have been silent for ``seconds``, as far back as this view reaches."""
        return {
            name
            for name in names
            if name not in self.alive and min(silent_seconds(name), now - self._began_at) >= seconds
        }


def _who(alive: dict[Id, WorkerLease]) -> set[tuple[Id, int, bool]]:
    return {(lease.worker, lease.incarnation, lease.draining) for lease in alive.values()}
