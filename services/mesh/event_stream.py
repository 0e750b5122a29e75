"""The events' streams: publishing into them over outages of the bus, reading one, following one without a hole."""

import asyncio
import uuid
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, TypeVar

import nats.errors
import nats.js.errors
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    DiscardPolicy,
    RetentionPolicy,
    StreamConfig,
    StreamSource,
)
from nats.js.client import JetStreamContext

from services.contracts import subjects
from services.contracts.errors import UnavailableError
from services.contracts.events import STREAMS, Event, headers, stream_subjects
from services.mesh.backoff import Backoff
from services.mesh.bus import Bus, BusMessage
from services.mesh.clock import Clock
from services.mesh.following import following
from services.mesh.log import get_logger
from services.mesh.metrics import counter
from services.mesh.replicas import find_stream, open_stream
from services.mesh.tasks import together

log = get_logger()
E = TypeVar("E", bound=Event)

OUTBOX_EVENTS: Final = 10_000
RETRY_SECONDS: Final = 0.1
MAX_RETRY_SECONDS: Final = 5.0
FLUSH_SECONDS: Final = 3.0
"""Less than a service has to end (`services.mesh.lifecycle.DRAIN_SECONDS`)."""
AWAY_SECONDS: Final = 0.5
FETCH_EVENTS: Final = 250
"""The size of a batch of old events."""
DUPLICATE_SECONDS: Final = 120
COPIED_SECONDS: Final = 0.2
ROOM_SECONDS: Final = 0.05
_dropped = counter("events_dropped", "Events lost because the outbox was full while the bus was away", "stream")


class StreamLimits(NamedTuple):
    """How long and how much the events' streams keep."""

    events_seconds: float = 30 * 86400
    events_bytes: int = 2 * 1024**3
    events_per_subject: int = 1440
    """Keeps what comes often (gaps of a bad camera) from crowding out what is rare."""
    audit_seconds: float = 365 * 86400
    audit_bytes: int = 4 * 1024**3
    """Above it the audit stream refuses, and forgets nothing."""
    health_seconds: float = 3600
    health_bytes: int = 256 * 1024**2


DEFAULT_LIMITS: Final = StreamLimits()


async def ensure_stream(bus: Bus, limits: StreamLimits = DEFAULT_LIMITS) -> None:
    """Makes the events' streams, or brings their limits up to date.

    Where `subjects.EVENTS_STREAM` is of a version that kept all events in it, what the audit stream keeps is copied
    there first. The old ones stay where they are, too, until they expire. Raises `UnavailableError`, and
    `services.mesh.replicas.ClusterTooSmallError`.
    """
    with _unavailable():
        await open_stream(bus, _events_config(limits))
        await _take_over_audit(bus, limits)
        await open_stream(bus, _health_config(limits))


def _events_config(limits: StreamLimits) -> StreamConfig:
    return StreamConfig(
        name=subjects.EVENTS_STREAM,
        description="Pantau's events about cameras, recordings and incidents",
        subjects=stream_subjects(subjects.EVENTS_STREAM),
        retention=RetentionPolicy.LIMITS,
        discard=DiscardPolicy.OLD,
        max_age=limits.events_seconds,
        max_bytes=limits.events_bytes,
        max_msgs_per_subject=limits.events_per_subject,
        duplicate_window=DUPLICATE_SECONDS,
    )


def _audit_config(limits: StreamLimits) -> StreamConfig:
    return StreamConfig(
        name=subjects.AUDIT_STREAM,
        description="Who saw, exported or changed what, and the seals of footage",
        subjects=stream_subjects(subjects.AUDIT_STREAM),
        retention=RetentionPolicy.LIMITS,
        discard=DiscardPolicy.NEW,
        max_age=limits.audit_seconds,
        max_bytes=limits.audit_bytes,
        duplicate_window=DUPLICATE_SECONDS,
    )


def _health_config(limits: StreamLimits) -> StreamConfig:
    return StreamConfig(
        name=subjects.HEALTH_STREAM,
        description="The newest figures of each camera",
        subjects=stream_subjects(subjects.HEALTH_STREAM),
        retention=RetentionPolicy.LIMITS,
        discard=DiscardPolicy.OLD,
        max_age=limits.health_seconds,
        max_bytes=limits.health_bytes,
        max_msgs_per_subject=1,
        duplicate_window=DUPLICATE_SECONDS,
    )


async def _take_over_audit(bus: Bus, limits: StreamLimits) -> None:
    """Makes the audit stream. It takes nothing new before it has what the events stream kept for it.

    A start that was interrupted meanwhile is recognised by the stream's source.
    """
    config = _audit_config(limits)
    present = await find_stream(bus, subjects.AUDIT_STREAM)
    if present is not None and not present.config.sources:
        await open_stream(bus, config)
        return
    waiting = await _kept_by_events(bus, config.subjects or [])
    if waiting:
        sources = [StreamSource(name=subjects.EVENTS_STREAM, filter_subject=each) for each in config.subjects or []]
        log.info("events.audit_copied", events=waiting)
        await open_stream(bus, config.evolve(subjects=[], sources=sources, max_bytes=-1))
        while (await bus.js.stream_info(subjects.AUDIT_STREAM)).state.messages < waiting:
            await asyncio.sleep(COPIED_SECONDS)
            waiting = await _kept_by_events(bus, config.subjects or [])  # some may expire
    await open_stream(bus, config)


async def _kept_by_events(bus: Bus, filters: list[str]) -> int:
    """How many messages of the events stream match ``filters``."""
    config = ConsumerConfig(
        deliver_policy=DeliverPolicy.ALL,
        ack_policy=AckPolicy.NONE,
        filter_subjects=filters,
        inactive_threshold=5.0,
        mem_storage=True,
    )
    info = await bus.js.add_consumer(subjects.EVENTS_STREAM, config)
    await bus.js.delete_consumer(subjects.EVENTS_STREAM, info.name)
    return info.num_pending or 0


@contextmanager
def _unavailable() -> Iterator[None]:
    """nats-py's errors as `UnavailableError`."""
    try:
        yield
    except (nats.errors.Error, TimeoutError) as error:
        raise UnavailableError(f"the event stream does not answer ({error or type(error).__name__})") from error


class StreamEvent(NamedTuple):
    """One event of a stream."""

    sequence: int
    """Its number in the stream. Numbers only grow; events that have expired leave holes."""
    message: BusMessage


async def last_event_number(bus: Bus, stream: str) -> int:
    """The number of the newest event in the stream; 0 where there is none. Raises `UnavailableError`."""
    with _unavailable():
        try:
            info = await bus.js.stream_info(stream)
        except nats.js.errors.NotFoundError:
            return 0
        return info.state.last_seq


async def last_event(bus: Bus, event: type[E], site: str, subject_id: str) -> E | None:
    """The newest event of a class about a camera or incident; None where its stream has none.

    Raises `UnavailableError`.
    """
    subject = subjects.event(site, event.kind, event.name, subject_id)
    with _unavailable():
        try:
            message = await bus.js.get_last_msg(event.stream, subject)
        except nats.js.errors.NotFoundError:
            return None
    try:
        return event.unpack(message.data or b"")
    except ValueError as error:
        log.warning("events.unreadable", subject=subject, error=error)
        return None


async def events_between(bus: Bus, stream: str, after: int, until: int) -> AsyncIterator[StreamEvent]:
    """Events with numbers over ``after`` up to ``until``, as far as the stream still has them.

    Raises `UnavailableError`.
    """
    if until <= after:
        return
    with _unavailable():
        subscription = await bus.js.pull_subscribe(f"{subjects.ROOT}.>", stream=stream, config=_reading_from(after + 1))
    try:
        at, read = after, 0
        while at < until:
            with _unavailable():
                try:
                    messages = await subscription.fetch(FETCH_EVENTS, timeout=1)
                except (nats.errors.TimeoutError, TimeoutError):
                    if await _more_comes(subscription, read):
                        continue
                    return  # the rest has expired
            read += len(messages)
            for message in messages:
                at = message.metadata.sequence.stream
                if at <= until:
                    yield StreamEvent(at, message)
    finally:
        if bus.connected:
            await subscription.unsubscribe()


async def _more_comes(subscription: JetStreamContext.PullSubscription, read: int) -> bool:
    """Whether there is more for a reader that got ``read`` events, and none for a while.

    Raises nats-py's errors, and `UnavailableError` where events were lost on the way.
    """
    info = await subscription.consumer_info()
    if info.num_pending or subscription.pending_msgs:
        return True
    if info.delivered is not None and info.delivered.consumer_seq > read:
        raise UnavailableError("events were lost on the way; read them again")
    return False


async def recent_events(
    bus: Bus, subject_filters: Sequence[str], since: datetime, *, at_most: int
) -> list[StreamEvent]:
    """The newest events since a moment on any of the subjects, oldest first; at most so many.

    Raises `UnavailableError`.
    """
    config = ConsumerConfig(
        deliver_policy=DeliverPolicy.BY_START_TIME,
        opt_start_time=since,
        ack_policy=AckPolicy.NONE,
        inactive_threshold=30.0,
        mem_storage=True,
        filter_subjects=list(subject_filters),
    )
    newest: deque[StreamEvent] = deque(maxlen=at_most)
    with _unavailable():
        try:
            subscription = await bus.js.pull_subscribe("", stream=subjects.EVENTS_STREAM, config=config)
        except nats.js.errors.NotFoundError:
            return []
        try:
            waiting = (await subscription.consumer_info()).num_pending or 0
            while waiting > 0:
                messages = await subscription.fetch(min(FETCH_EVENTS, waiting), timeout=2)
                newest.extend(StreamEvent(message.metadata.sequence.stream, message) for message in messages)
                waiting -= len(messages)
        finally:
            if bus.connected:
                await subscription.unsubscribe()
    return list(newest)


async def events_since(
    bus: Bus, stream: str, subject: str, since_us: int, *, after: int = 0, until: int | None = None
) -> AsyncIterator[StreamEvent]:
    """Events on ``subject`` that came at ``since_us`` (Unix time) or later, above number ``after`` (then the time does
    not count) and up to number ``until``; None: all that are there. Raises `UnavailableError`.
    """
    start: dict[str, Any] = {"deliver_policy": DeliverPolicy.ALL}
    if after:
        start = {"deliver_policy": DeliverPolicy.BY_START_SEQUENCE, "opt_start_seq": after + 1}
    elif since_us > 0:
        start = {
            "deliver_policy": DeliverPolicy.BY_START_TIME,
            "opt_start_time": datetime.fromtimestamp(since_us / 1e6, UTC),
        }
    config = ConsumerConfig(
        filter_subject=subject, ack_policy=AckPolicy.NONE, inactive_threshold=30.0, mem_storage=True, **start
    )
    with _unavailable():
        try:
            consumer = await bus.js.add_consumer(stream, config)
        except nats.js.errors.NotFoundError:
            return  # there is no stream yet
        left, read = consumer.num_pending or 0, 0
        subscription = await bus.js.pull_subscribe_bind(consumer.name, stream=stream)
    try:
        while left > 0:
            with _unavailable():
                try:
                    messages = await subscription.fetch(min(left, FETCH_EVENTS), timeout=1)
                except (nats.errors.TimeoutError, TimeoutError):
                    if await _more_comes(subscription, read):
                        continue
                    return  # the rest has expired
            left -= len(messages)
            read += len(messages)
            for message in messages:
                sequence = message.metadata.sequence.stream
                if until is not None and sequence > until:
                    return
                yield StreamEvent(sequence, message)
    finally:
        if bus.connected:
            await subscription.unsubscribe()


async def count_events(bus: Bus, stream: str, subject: str, since_us: int) -> int:
    """How many events on ``subject`` came at ``since_us`` (Unix time) or later. Raises `UnavailableError`."""
    config = ConsumerConfig(
        deliver_policy=DeliverPolicy.BY_START_TIME,
        opt_start_time=datetime.fromtimestamp(since_us / 1e6, UTC),
        filter_subject=subject,
        ack_policy=AckPolicy.NONE,
        inactive_threshold=5.0,
        mem_storage=True,
    )
    with _unavailable():
        try:
            info = await bus.js.add_consumer(stream, config)
            await bus.js.delete_consumer(stream, info.name)
        except nats.js.errors.NotFoundError:
            return 0  # there is no stream yet
    return info.num_pending or 0


async def follow_events(
    bus: Bus, clock: Clock, stream: str, after: int, take_event: Callable[[StreamEvent], None]
) -> None:
    """Calls ``take_event`` for each event after ``after``, in order and without a hole, while that can be promised.

    Returns where no more can be promised (`StreamFollower.next`): follow anew from the last event that was taken.
    Raises `UnavailableError`.
    """
    config = ConsumerConfig(deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=after + 1)
    with _unavailable():
        async with following(bus, clock, stream, config) as follower:
            while (message := await follower.next()) is not None:
                take_event(StreamEvent(message.metadata.sequence.stream, message))


class StreamFill(NamedTuple):
    """How full a stream is."""

    percent: int
    """Of its limit in bytes; 0: it has none."""
    first: int
    """The number of its oldest event, or of the next one where it has none."""
    last: int
    """The number of its newest event."""


async def stream_fill(bus: Bus, stream: str) -> StreamFill:
    """How full a stream is. Raises `UnavailableError`."""
    with _unavailable():
        info = await bus.js.stream_info(stream)
    limit = info.config.max_bytes or 0
    percent = 100 * info.state.bytes // limit if limit > 0 else 0
    return StreamFill(percent, info.state.first_seq, info.state.last_seq)


async def forget_events(bus: Bus, event: type[Event], before_us: int, last: int) -> None:
    """Removes the events of a class that are older than ``before_us`` (Unix time), at most those up to number ``last``.

    Raises `UnavailableError`.
    """
    config = ConsumerConfig(
        filter_subject=event.subject_filter(),
        deliver_policy=DeliverPolicy.BY_START_TIME,
        opt_start_time=datetime.fromtimestamp(before_us / 1e6, UTC),
        ack_policy=AckPolicy.EXPLICIT,
        inactive_threshold=5.0,
        mem_storage=True,
    )
    with _unavailable():
        consumer = await bus.js.add_consumer(event.stream, config)
        end = last + 1
        if consumer.num_pending:
            reading = await bus.js.pull_subscribe_bind(consumer.name, stream=event.stream)
            (kept,) = await reading.fetch(1, timeout=1)
            end = min(end, kept.metadata.sequence.stream)
            await reading.unsubscribe()
        await bus.js.delete_consumer(event.stream, consumer.name)
        await bus.js.purge_stream(event.stream, subject=event.subject_filter(), seq=end)


def _reading_from(sequence: int) -> ConsumerConfig:
    """A consumer in memory that acknowledges nothing and goes when nobody uses it."""
    return ConsumerConfig(
        deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
        opt_start_seq=sequence,
        ack_policy=AckPolicy.NONE,
        inactive_threshold=30.0,
        mem_storage=True,
    )


class EventOutbox:
    """Publishes events until their streams have acknowledged each; keeps `OUTBOX_EVENTS` of each stream meanwhile.

    In order for each stream. One that refuses (the audit stream where it is full) holds up no other.
    """

    def __init__(self, bus: Bus, *, source: str) -> None:
        """``source`` is the CloudEvents source, for example ``/recorder/recorder-1``."""
        self._bus = bus
        self._queues = {stream: _StreamOutbox(bus, source, stream) for stream in STREAMS}

    def post(self, event: Event, event_id: str | None = None) -> None:
        """Takes an event; returns at once. When full the oldest is dropped and counted.

        ``event_id``: where it may have been told before, perhaps by another process. The stream takes one of that id
        within `DUPLICATE_SECONDS`. None: an id of its own.
        """
        self._queues[event.stream].post(event, event_id or str(uuid.uuid4()))

    async def run(self) -> None:
        """Publishes until it is cancelled."""
        await together(*(queue.run() for queue in self._queues.values()))

    async def room(self, events: int) -> None:
        """Returns when that many more can be taken of each stream; for who posts many at once."""
        while any(len(queue.waiting) + events > OUTBOX_EVENTS for queue in self._queues.values()):
            await asyncio.sleep(ROOM_SECONDS)

    async def flush(self, timeout_seconds: float | None = None) -> None:
        """Waits until all has been published, at most ``timeout_seconds``.

        Without: at most as long as the end of a process may take, `FLUSH_SECONDS`, and `AWAY_SECONDS` without a bus.
        """
        now = asyncio.get_running_loop().time
        began = connected = now()
        while self.snapshot() and now() < began + (timeout_seconds or FLUSH_SECONDS):
            if self._bus.connected:
                connected = now()
            elif timeout_seconds is None and now() >= connected + AWAY_SECONDS:
                return
            await asyncio.sleep(0.01)

    def snapshot(self) -> list[Event]:
        """What is still waiting; for diagnostics."""
        return [event for queue in self._queues.values() for event, _ in queue.waiting]


class _StreamOutbox:
    """The events of one stream. Nobody waits until figures are acknowledged: newer ones come in a minute."""

    def __init__(self, bus: Bus, source: str, stream: str) -> None:
        self.waiting: deque[tuple[Event, str]] = deque()
        self._bus = bus
        self._source = source
        self._stream = stream
        self._filled = asyncio.Event()

    def post(self, event: Event, event_id: str) -> None:
        if len(self.waiting) >= OUTBOX_EVENTS:
            self.waiting.popleft()
            _dropped.labels(self._stream).inc()
        self.waiting.append((event, event_id))
        self._filled.set()

    async def run(self) -> None:
        backoff = Backoff(RETRY_SECONDS, MAX_RETRY_SECONDS)
        while True:
            while self.waiting:
                event, event_id = self.waiting[0]
                try:
                    await self._publish(event, event_id)
                except (nats.errors.Error, TimeoutError) as error:
                    log.debug("events.retry", stream=self._stream, error=error)
                    await asyncio.sleep(backoff.next_seconds())
                    continue
                backoff.reset()
                if self.waiting and self.waiting[0][1] == event_id:
                    self.waiting.popleft()
            self._filled.clear()
            await self._filled.wait()

    async def _publish(self, event: Event, event_id: str) -> None:
        about = headers(event, source=self._source, event_id=event_id)
        if self._stream != subjects.HEALTH_STREAM:
            await self._bus.js.publish(event.nats_subject, event.pack(), headers=about)
        elif not await self._bus.publish(event.nats_subject, event.pack(), headers=about):
            raise nats.errors.ConnectionClosedError
