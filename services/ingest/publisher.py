"""The way out of a worker: only while the worker's lease is held, and never waiting for a bus that is away."""

from collections.abc import Callable

from services.mesh.bus import Bus
from services.mesh.clock import Clock


class Publisher:
    """Publishes frames, counting what cannot go."""

    def __init__(self, bus: Bus, clock: Clock, held_until: Callable[[], float]) -> None:
        """Publishing is allowed until ``held_until()`` (`Clock.monotonic`)."""
        self._bus = bus
        self._clock = clock
        self._held_until = held_until
        self.published = 0
        self.published_bytes = 0
        self.dropped_no_lease = 0
        self.dropped_no_bus = 0
        self.dropped_too_large = 0

    @property
    def permitted(self) -> bool:
        """Whether publishing is allowed now."""
        return self._clock.monotonic() < self._held_until()

    def publish(self, subject: str, message: bytes) -> None:
        """One frame; dropped and counted without a lease or a bus, or where the server takes none so large."""
        if not self.permitted:
            self.dropped_no_lease += 1
        elif len(message) > self._bus.max_payload_bytes > 0:
            self.dropped_too_large += 1
        elif self._bus.publish_media(subject, message):
            self.published += 1
            self.published_bytes += len(message)
        else:
            self.dropped_no_bus += 1

    def publish_lines(self, lines: bytes, count: int, size_bytes: int) -> None:
        """``count`` frames of together ``size_bytes``, each behind its PUB line; as `publish`."""
        if not self.permitted:
            self.dropped_no_lease += count
        elif self._bus.publish_media_lines(lines, count):
            self.published += count
            self.published_bytes += size_bytes
        else:
            self.dropped_no_bus += count

    def lend_socket(self) -> tuple[int, int]:
        """The bus's socket, which whole lines may be written to before anything else is done; -1: it has none to lend.

        And until when anything may be published, by `Clock.monotonic`, in microseconds; (-1, 0) without a lease.
        """
        return (self._bus.lend_media_socket(), int(self._held_until() * 1e6)) if self.permitted else (-1, 0)

    def wrote_lines(self, count: int, size_bytes: int, rest: bytes) -> None:
        """``count`` frames of together ``size_bytes`` were written to that socket, but for the ``rest`` of the last."""
        self.published += count
        self.published_bytes += size_bytes
        if rest:
            self._bus.finish_media_line(rest)

    def dropped_lines(self, count: int) -> None:
        """``count`` frames were made without a lease."""
        self.dropped_no_lease += count

    def totals(self) -> dict[str, int]:
        """All counters."""
        return {
            "published": self.published,
            "published_bytes": self.published_bytes,
            "dropped_no_lease": self.dropped_no_lease,
            "dropped_no_bus": self.dropped_no_bus,
            "dropped_too_large": self.dropped_too_large,
        }
