"""The events' streams as this front's clients see them: one consumer of each for all, and catching up for each client.

How far a client has read is what it names when it comes back (``Last-Event-ID``): a number of the events stream and one
of the audit stream, so it may come back to another front. Health is newest figures, which nobody catches up with.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

import msgpack

from services.contracts import subjects
from services.contracts.errors import UnavailableError
from services.contracts.events import STREAMS
from services.contracts.subjects import ROOT
from services.mesh.backoff import Backoff
from services.mesh.bus import Bus
from services.mesh.clock import Clock
from services.mesh.event_stream import StreamEvent, events_between, follow_events, last_event_number
from services.mesh.log import get_logger
from services.mesh.metrics import counter, gauge
from services.mesh.tasks import together

log = get_logger()

MAX_WAITING: Final = 1000
"""Events that wait for a slow client. Above it the client is disconnected; it catches up when it reconnects."""
MAX_CATCH_UP: Final = 5000
"""A client that comes back gets at most so many; ``events.skipped`` carries the number of the others."""
_RETRY_SECONDS: Final = 0.25
_MAX_RETRY_SECONDS: Final = 2.0

_clients = gauge("front_event_clients", "Clients that follow the events")
_cut = counter("front_event_clients_too_slow", "Clients cut off because they did not read")


_COPIED: Final = "Nats-Stream-Source"
"""JetStream's header of a message that it copied from another stream."""
PLACE_PATTERN: Final = r"^(\d{1,18})(?:-(\d{1,18}))?$"


class EventPlace(NamedTuple):
    """How far somebody has read: the numbers of the last events."""

    events: int
    audit: int | None
    """None, as in places of before there was an audit stream: from now on."""

    @classmethod
    def parse(cls, text: str) -> "EventPlace | None":
        """Of a ``Last-Event-ID``; None where it is none."""
        found = re.fullmatch(PLACE_PATTERN, text.strip())
        return cls(int(found[1]), int(found[2]) if found[2] else None) if found else None

    def __str__(self) -> str:
        return f"{self.events}-{self.audit or 0}"

    def of(self, stream: str) -> int | None:
        """The number in one stream; None: from now on."""
        return {subjects.EVENTS_STREAM: self.events, subjects.AUDIT_STREAM: self.audit}.get(stream)

    def at(self, stream: str, number: int) -> "EventPlace":
        """With another number in one stream."""
        if stream == subjects.EVENTS_STREAM:
            return self._replace(events=number)
        return self._replace(audit=number) if stream == subjects.AUDIT_STREAM else self


CAUGHT_UP: Final = (subjects.EVENTS_STREAM, subjects.AUDIT_STREAM)
"""The streams of which a client that comes back gets what it missed."""
FEED: Final = "events"
"""The kind of what the feed says of itself: ``events.skipped``, ``events.acknowledged``."""


class FeedEvent(NamedTuple):
    """One event, ready to be sent."""

    stream: str
    sequence: int | None
    """Its number in the stream; None: it is not of a stream."""
    kind: str
    """camera, recording, incident, worker or audit; `FEED`."""
    type: str
    """As in camera.offline."""
    block: bytes
    """Its lines of server-sent events."""
    cameras: tuple[str, ...] = ()
    """The cameras that it tells of."""
    site: str = ""
    """Their owner."""


def sse_block(event_type: str, data: str, place: EventPlace | None = None) -> bytes:
    """The lines of one server-sent event (WHATWG HTML, 9.2.6); ``data`` has no line break."""
    head = f"id: {place}\n" if place is not None else ""
    return f"{head}event: {event_type}\ndata: {data}\n\n".encode()


def read_event(stream: str, stored: StreamEvent, before: EventPlace) -> FeedEvent | None:
    """An event of a stream, for who has read as far as ``before``; None where the message is none.

    Also None of one that was copied when the streams were parted: it was told when it happened.
    """
    message = stored.message
    if _COPIED in (message.headers or {}):
        return None
    event_type = unquote((message.headers or {}).get("ce-type", "")).removeprefix(f"{ROOT}.")
    kind = event_type.partition(".")[0]
    try:
        told = msgpack.unpackb(message.data)
        body = json.dumps(told, separators=(",", ":"), ensure_ascii=False)
    except (ValueError, TypeError) as error:
        log.warning("front.bad_event", subject=message.subject, error=error)
        return None
    if not kind or not event_type.isprintable():
        return None
    block = sse_block(event_type, body, before.at(stream, stored.sequence))
    site = str(told.get("site", "")) if isinstance(told, dict) else ""
    return FeedEvent(stream, stored.sequence, kind, event_type, block, cameras_of(told), site)


def cameras_of(body: Any) -> tuple[str, ...]:
    """The cameras that an event's body tells of."""
    if not isinstance(body, dict):
        return ()
    several = body.get("cameras")
    found = several if isinstance(several, list) else [body["camera"]] if "camera" in body else []
    return tuple(map(str, found))


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
    """Follows the streams and hands each event to every follower."""

    def __init__(self, bus: Bus, clock: Clock) -> None:
        self._bus = bus
        self._clock = clock
        self._followers: set[EventFollower] = set()
        self._last: dict[str, int] = {}
        """Stream → number of the last event handed on; nothing before the first look at it."""

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

    def tell(self, event_type: str, body: str) -> None:
        """Tells every follower something that is not of the stream; ``body`` is JSON."""
        self._hand_on(FeedEvent("", None, FEED, event_type, sse_block(event_type, body)))

    def end_followers(self) -> None:
        """Ends every follower."""
        for follower in self._followers:
            follower.end_following()

    async def newest(self) -> EventPlace:
        """The end of the streams. Raises `UnavailableError`."""
        numbers = [await last_event_number(self._bus, stream) for stream in CAUGHT_UP]
        return EventPlace(*numbers)

    async def events_between(self, stream: str, after: EventPlace, until: int) -> AsyncIterator[FeedEvent]:
        """Events of a stream behind ``after`` up to number ``until``, as far as the stream still has them.

        Raises `UnavailableError`.
        """
        async for stored in events_between(self._bus, stream, after.of(stream) or 0, until):
            if event := read_event(stream, stored, after):
                yield event

    async def run(self) -> None:
        """Follows for ever, over every reconnect and without a hole; cancel to stop."""
        await together(*(self._follow(stream) for stream in STREAMS))

    async def _follow(self, stream: str) -> None:
        backoff = Backoff(_RETRY_SECONDS, _MAX_RETRY_SECONDS)
        while True:
            try:
                newest = await last_event_number(self._bus, stream)
                if self._last.setdefault(stream, newest) > newest:
                    self._last[stream] = 0  # the stream was created again
                take = partial(self._take, stream)
                await follow_events(self._bus, self._clock, stream, self._last[stream], take)
                backoff.reset()
            except UnavailableError as error:
                log.debug("front.events_again", stream=stream, error=error)
            await asyncio.sleep(backoff.next_seconds())

    def _take(self, stream: str, stored: StreamEvent) -> None:
        if stored.sequence <= self._last[stream]:
            return
        self._last[stream] = stored.sequence
        read = EventPlace(self._last.get(subjects.EVENTS_STREAM, 0), self._last.get(subjects.AUDIT_STREAM, 0))
        event = read_event(stream, stored, read)
        if event is not None:
            self._hand_on(event)

    def _hand_on(self, event: FeedEvent) -> None:
        for follower in [follower for follower in self._followers if not follower.offer_event(event)]:
            _cut.inc()
            self.remove_follower(follower)
