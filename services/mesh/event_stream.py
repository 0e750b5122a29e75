"""The event stream, and the outbox that publishes into it: what a service tells must survive a bus that is away."""

import asyncio
import uuid
from collections import deque
from typing import Any, Final

import nats.errors
import nats.js.errors
from nats.js.api import DiscardPolicy, RetentionPolicy, StreamConfig

from services.contracts import subjects
from services.contracts.events import Event, headers
from services.mesh.backoff import Backoff
from services.mesh.bus import Bus
from services.mesh.log import get_logger
from services.mesh.metrics import counter

log = get_logger()

OUTBOX_EVENTS: Final = 10_000
RETRY_SECONDS: Final = 0.1
MAX_RETRY_SECONDS: Final = 5.0
_dropped = counter("events_dropped", "Events lost because the outbox was full while the bus was away")


async def ensure_stream(
    bus: Bus, *, max_age_seconds: float = 30 * 86400, max_bytes: int = 2 * 1024**3, max_per_subject: int = 1440
) -> None:
    """Makes the events stream, or brings its limits up to date.

    ``max_per_subject`` keeps what comes every minute (health, closed segments) from crowding out what is rare.
    """
    config = StreamConfig(
        name=subjects.EVENTS_STREAM,
        description="Pantau's events",
        subjects=list(subjects.EVENT_FILTERS),
        retention=RetentionPolicy.LIMITS,
        discard=DiscardPolicy.OLD,
        max_age=max_age_seconds,
        max_bytes=max_bytes,
        max_msgs_per_subject=max_per_subject,
        duplicate_window=120,
    )
    try:
        await bus.js.add_stream(config)
    except nats.js.errors.BadRequestError:
        await bus.js.update_stream(config)


class EventOutbox:
    """Publishes events until the stream has acknowledged each, in order; keeps `OUTBOX_EVENTS` meanwhile."""

    def __init__(self, bus: Bus, *, source: str) -> None:
        """``source`` is the CloudEvents source, for example ``/recorder/recorder-1``."""
        self._bus = bus
        self._source = source
        self._waiting: deque[tuple[Event, str]] = deque()
        self._filled = asyncio.Event()

    def post(self, event: Event) -> None:
        """Takes an event; returns at once. When full the oldest is dropped and counted."""
        if len(self._waiting) >= OUTBOX_EVENTS:
            self._waiting.popleft()
            _dropped.inc()
        self._waiting.append((event, str(uuid.uuid4())))
        self._filled.set()

    async def run(self) -> None:
        """Publishes for ever; cancel to stop."""
        backoff = Backoff(RETRY_SECONDS, MAX_RETRY_SECONDS)
        while True:
            while self._waiting:
                event, event_id = self._waiting[0]
                try:
                    await self._bus.js.publish(
                        event.nats_subject,
                        event.pack(),
                        headers=headers(event, source=self._source, event_id=event_id),
                    )
                except (nats.errors.Error, TimeoutError) as error:
                    log.debug("events.retry", error=error)
                    await asyncio.sleep(backoff.next_seconds())
                    continue
                backoff.reset()
                if self._waiting and self._waiting[0][1] == event_id:
                    self._waiting.popleft()
            self._filled.clear()
            await self._filled.wait()

    async def flush(self, timeout_seconds: float = 1.0) -> None:
        """Waits until all has been published, at most ``timeout_seconds``; for the end of a process."""
        deadline = asyncio.get_running_loop().time() + timeout_seconds
        while self._waiting and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.01)

    def snapshot(self) -> list[dict[str, Any]]:
        """What is still waiting; for diagnostics."""
        return [event.model_dump(mode="json") for event, _ in self._waiting]
