"""The events stream as this front's clients see it: one consumer for all of them, and catching up for each.

An event's number in the stream is what a client names when it comes back (``Last-Event-ID``), so it may come back to
another front.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Final, NamedTuple
from urllib.parse import unquote

import msgpack

from services.contracts.errors import UnavailableError
from services.contracts.subjects import ROOT
from services.mesh.backoff import Backoff
from services.mesh.bus import Bus
from services.mesh.clock import Clock
from services.mesh.event_stream import StreamEvent, events_between, follow_events, last_event_number
from services.mesh.log import get_logger
from services.mesh.metrics import counter, gauge

log = get_logger()

MAX_WAITING: Final = 1000
"""Events that wait for a slow client. Above it the client is disconnected; it catches up when it reconnects."""
MAX_CATCH_UP: Final = 5000
"""A client that comes back gets at most so many; ``events.skipped`` carries the number of the others."""
_RETRY_SECONDS: Final = 0.25
_MAX_RETRY_SECONDS: Final = 2.0

_clients = gauge("front_event_clients", "Clients that follow the events")
_cut = counter("front_event_clients_too_slow", "Clients cut off because they did not read")


class FeedEvent(NamedTuple):
    """One event, ready to be sent."""

    sequence: int
    """Its number in the stream."""
    kind: str
    """camera, recording, incident or audit."""
    type: str
    """As in camera.offline."""
    block: bytes
    """Its lines of server-sent events."""


def sse_block(event_type: str, data: str, event_id: int | None = None) -> bytes:
    """The lines of one server-sent event (WHATWG HTML, 9.2.6); ``data`` has no line break."""
    head = f"id: {event_id}\n" if event_id is not None else ""
    return f"{head}event: {event_type}\ndata: {data}\n\n".encode()


def read_event(stored: StreamEvent) -> FeedEvent | None:
    """An event of the stream; None where the message is none."""
    message = stored.message
    event_type = unquote((message.headers or {}).get("ce-type", "")).removeprefix(f"{ROOT}.")
    kind = event_type.partition(".")[0]
    try:
        body = json.dumps(msgpack.unpackb(message.data), separators=(",", ":"), ensure_ascii=False)
    except (ValueError, TypeError) as error:
        log.warning("front.bad_event", subject=message.subject, error=error)
        return None
    if not kind or not event_type.isprintable():
        return None
    return FeedEvent(stored.sequence, kind, event_type, sse_block(event_type, body, stored.sequence))


class EventFollower:
    """One client's place in the feed; ends with None when it was too slow or the front stops."""

    def __init__(self, accepts: Callable[[FeedEvent], bool]) -> None:
        self.accepts = accepts
        self._queue: asyncio.Queue[FeedEvent | None] = asyncio.Queue(MAX_WAITING + 1)
        self._ended = False

    def offer_event(self, event: FeedEvent) -> bool:
        """Takes an event; False where the client is too far behind, which ends it."""
        if self._ended or not self.accepts(event):
            return not self._ended
        if self._queue.qsize() >= MAX_WAITING:
            self.end_following()
            return False
        self._queue.put_nowait(event)
        return True

    def end_following(self) -> None:
        """Ends it; events that wait are dropped."""
        if not self._ended:
            self._ended = True
            while not self._queue.empty():
                self._queue.get_nowait()
            self._queue.put_nowait(None)

    async def next_events(self) -> list[FeedEvent] | None:
        """All events that wait, at least one; None at the end."""
        first = await self._queue.get()
        events = [first]
        while not self._queue.empty():
            events.append(self._queue.get_nowait())
        return None if None in events else [event for event in events if event is not None]


class EventFeed:
    """Follows the stream and hands each event to every follower."""

    def __init__(self, bus: Bus, clock: Clock) -> None:
        self._bus = bus
        self._clock = clock
        self._followers: set[EventFollower] = set()
        self._last: int | None = None
        """Number of the last event handed on; None before the first look at the stream."""

    def add_follower(self, accepts: Callable[[FeedEvent], bool]) -> EventFollower:
        """A follower of what comes from now on; give it back with `remove_follower`."""
        follower = EventFollower(accepts)
        self._followers.add(follower)
        _clients.set(len(self._followers))
        return follower

    def remove_follower(self, follower: EventFollower) -> None:
        """The client has gone."""
        self._followers.discard(follower)
        _clients.set(len(self._followers))

    def end_followers(self) -> None:
        """Ends every follower."""
        for follower in self._followers:
            follower.end_following()

    async def last_sequence(self) -> int:
        """The number of the newest event in the stream; 0 where there is none. Raises `UnavailableError`."""
        return await last_event_number(self._bus)

    async def events_between(self, after: int, until: int) -> AsyncIterator[FeedEvent]:
        """Events with numbers over ``after`` up to ``until``, as far as the stream still has them.

        Raises `UnavailableError`.
        """
        async for stored in events_between(self._bus, after, until):
            if event := read_event(stored):
                yield event

    async def run(self) -> None:
        """Follows for ever, over every reconnect and without a hole; cancel to stop."""
        backoff = Backoff(_RETRY_SECONDS, _MAX_RETRY_SECONDS)
        while True:
            try:
                newest = await last_event_number(self._bus)
                if self._last is None:
                    self._last = newest
                elif self._last > newest:
                    self._last = 0  # the stream was created again
                await follow_events(self._bus, self._clock, self._last, self._take)
                backoff.reset()
            except UnavailableError as error:
                log.debug("front.events_again", error=error)
            await asyncio.sleep(backoff.next_seconds())

    def _take(self, stored: StreamEvent) -> None:
        if self._last is not None and stored.sequence <= self._last:
            return
        self._last = stored.sequence
        event = read_event(stored)
        if event is not None:
            for follower in [follower for follower in self._followers if not follower.offer_event(event)]:
                _cut.inc()
                self.remove_follower(follower)
