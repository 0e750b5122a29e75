"""The event stream: publishing into it over outages of the bus, reading it, following it without a hole."""

import asyncio
import uuid
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple, TypeVar

import nats.errors
import nats.js.errors
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, DiscardPolicy, RetentionPolicy, StreamConfig

from services.contracts import subjects
from services.contracts.errors import UnavailableError
from services.contracts.events import Event, headers
from services.mesh.backoff import Backoff
from services.mesh.bus import Bus, BusMessage
from services.mesh.clock import Clock
from services.mesh.log import get_logger
from services.mesh.metrics import counter
from services.mesh.replicas import open_stream

log = get_logger()
E = TypeVar("E", bound=Event)

OUTBOX_EVENTS: Final = 10_000
RETRY_SECONDS: Final = 0.1
MAX_RETRY_SECONDS: Final = 5.0
FETCH_EVENTS: Final = 250
"""The size of a batch of old events."""
SILENT_SECONDS: Final = 15.0
"""A consumer that sends not even a heartbeat for so long is lost."""
LOOK_SECONDS: Final = 0.5
_dropped = counter("events_dropped", "Events lost because the outbox was full while the bus was away")


async def ensure_stream(
    bus: Bus, *, max_age_seconds: float = 30 * 86400, max_bytes: int = 2 * 1024**3, max_per_subject: int = 1440
) -> None:
    """Makes the events stream, or brings its limits up to date.

    ``max_per_subject`` keeps what comes every minute (health, closed segments) from crowding out what is rare. Raises
    `UnavailableError`, and `services.mesh.replicas.ClusterTooSmallError`.
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
    with _unavailable():
        await open_stream(bus, config)


@contextmanager
def _unavailable() -> Iterator[None]:
    """nats-py's errors as `UnavailableError`."""
    try:
        yield
    except (nats.errors.Error, TimeoutError) as error:
        raise UnavailableError(f"the event stream does not answer ({error or type(error).__name__})") from error


class StreamEvent(NamedTuple):
    """One event of the stream."""

    sequence: int
    """Its number in the stream. Numbers only grow; events that have expired leave holes."""
    message: BusMessage


async def last_event_number(bus: Bus) -> int:
    """The number of the newest event in the stream; 0 where there is none. Raises `UnavailableError`."""
    with _unavailable():
        try:
            info = await bus.js.stream_info(subjects.EVENTS_STREAM)
        except nats.js.errors.NotFoundError:
            return 0
        return info.state.last_seq


async def last_event(bus: Bus, event: type[E], site: str, subject_id: str) -> E | None:
    """The newest event of a class about a camera or incident; None where the stream has none.

    Raises `UnavailableError`.
    """
    subject = subjects.event(site, event.kind, event.name, subject_id)
    with _unavailable():
        try:
            message = await bus.js.get_last_msg(subjects.EVENTS_STREAM, subject)
        except nats.js.errors.NotFoundError:
            return None
    try:
        return event.unpack(message.data or b"")
    except ValueError as error:
        log.warning("events.unreadable", subject=subject, error=error)
        return None


async def events_between(bus: Bus, after: int, until: int) -> AsyncIterator[StreamEvent]:
    """Events with numbers over ``after`` up to ``until``, as far as the stream still has them.

    Raises `UnavailableError`.
    """
    if until <= after:
        return
    filters, stream = f"{subjects.ROOT}.>", subjects.EVENTS_STREAM
    with _unavailable():
        subscription = await bus.js.pull_subscribe(filters, stream=stream, config=_reading_from(after + 1))
    try:
        at = after
        while at < until:
            with _unavailable():
                try:
                    messages = await subscription.fetch(FETCH_EVENTS, timeout=1)
                except (nats.errors.TimeoutError, TimeoutError):
                    return  # the rest has expired
            for message in messages:
                at = message.metadata.sequence.stream
                if at <= until:
                    yield StreamEvent(at, message)
    finally:
        if bus.connected:
            await subscription.unsubscribe()


async def follow_events(bus: Bus, clock: Clock, after: int, take_event: Callable[[StreamEvent], None]) -> None:
    """Calls ``take_event`` for each event after ``after``, in order and without a hole, while that can be promised.

    Returns after a reconnect, after a silence of `SILENT_SECONDS`, or where a message was lost: follow anew from the
    last event that was taken. Raises `UnavailableError`.
    """
    generation = bus.reconnects
    inbox = bus.new_inbox()
    consumed, heard_at = 0, clock.monotonic()
    lost = asyncio.Event()

    async def take(message: BusMessage) -> None:
        nonlocal consumed, heard_at
        heard_at = clock.monotonic()
        if not message.reply or lost.is_set():
            return  # a heartbeat
        sequence = message.metadata.sequence
        if sequence.consumer != consumed + 1:
            lost.set()
            return
        consumed = sequence.consumer
        take_event(StreamEvent(sequence.stream, message))

    subscription = await bus.subscribe(inbox, take)
    try:
        with _unavailable():
            await bus.js.add_consumer(
                subjects.EVENTS_STREAM,
                _reading_from(after + 1, deliver_subject=inbox, idle_heartbeat=SILENT_SECONDS / 3),
            )
        while bus.reconnects == generation and clock.monotonic() - heard_at < SILENT_SECONDS:
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await lost.wait()
                return
            except TimeoutError:
                continue
    finally:
        await subscription.unsubscribe()


def _reading_from(sequence: int, **options: Any) -> ConsumerConfig:
    """A consumer in memory that acknowledges nothing and goes when nobody uses it."""
    return ConsumerConfig(
        deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
        opt_start_seq=sequence,
        ack_policy=AckPolicy.NONE,
        inactive_threshold=30.0,
        mem_storage=True,
        **options,
    )


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
        """Publishes until it is cancelled."""
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
