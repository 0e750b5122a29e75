"""Following a stream in order and without a hole: mirrors of buckets and the feed of events do.

nats-py's ordered consumer looks four times a second whether it owes nats-server an answer. A registry follows 17
buckets, and nearly half of its wake-ups were these. Here nothing wakes up but for a message.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from nats.js.api import AckPolicy, ConsumerConfig, Header

from services.mesh.bus import Bus, BusMessage
from services.mesh.clock import Clock, ClockTimer

SILENT_SECONDS: Final = 15.0
"""A consumer that sends not even a heartbeat for so long is lost."""
INACTIVE_SECONDS: Final = 30.0
"""nats-server forgets a consumer that nobody has listened to for so long."""
_ACK: Final = "$JS.ACK."
"""Stands at the beginning of a stored message's reply subject."""


class StreamFollower:
    """Made by `following`."""

    def __init__(self, bus: Bus, clock: Clock) -> None:
        self.waiting = 0
        """How many messages there were at the beginning; they come first."""
        self._bus = bus
        self._clock = clock
        self._arrived: asyncio.Queue[BusMessage | None] = asyncio.Queue()
        """nats-server bounds it: of what was not answered (flow control) it sends 32 MB. None: it ends."""
        self._consumed = 0
        self._heard_at = clock.monotonic()
        self._timer: ClockTimer | None = None

    async def next(self) -> BusMessage | None:
        """The next message. None: no more can be promised, since the connection is another one, nothing was heard for
        `SILENT_SECONDS`, or a message was lost. Follow anew then.
        """
        while (message := await self._arrived.get()) is not None:
            if not message.reply.startswith(_ACK):
                if await self._misses(message):
                    return None
                continue
            self._consumed += 1
            return message if message.metadata.sequence.consumer == self._consumed else None
        return None

    async def take(self, message: BusMessage) -> None:
        """Takes what comes."""
        self._heard_at = self._clock.monotonic()
        self._arrived.put_nowait(message)

    def end(self) -> None:
        """`next` gives what has come so far, and then None."""
        self._arrived.put_nowait(None)

    def watch(self) -> None:
        """Ends where nothing is heard, until `close`."""
        left_seconds = self._heard_at + SILENT_SECONDS - self._clock.monotonic()
        if left_seconds <= 0:
            self.end()
        else:
            self._timer = self._clock.call_later(left_seconds, self.watch)

    def close(self) -> None:
        """Watches no more."""
        if self._timer is not None:
            self._timer.cancel()

    async def _misses(self, control: BusMessage) -> bool:
        """Whether a heartbeat tells of a message that has not come. Answers a question for flow control."""
        headers = control.headers or {}
        asked_on = control.reply or headers.get(Header.CONSUMER_STALLED, "")
        if asked_on:
            await self._bus.publish(asked_on, b"")
        return int(headers.get(Header.LAST_CONSUMER, "0")) > self._consumed


@asynccontextmanager
async def following(bus: Bus, clock: Clock, stream: str, config: ConsumerConfig) -> AsyncIterator[StreamFollower]:
    """Follows a stream from where ``config`` says. Raises nats-py's errors, and ``TimeoutError``."""
    follower = StreamFollower(bus, clock)
    inbox = bus.new_inbox()
    subscription = await bus.subscribe(inbox, follower.take)
    reconnected = asyncio.ensure_future(bus.reconnected())
    reconnected.add_done_callback(lambda _: follower.end())
    try:
        info = await bus.js.add_consumer(
            stream,
            config.evolve(
                deliver_subject=inbox,
                ack_policy=AckPolicy.NONE,
                max_deliver=1,
                idle_heartbeat=SILENT_SECONDS / 3,
                flow_control=True,
                inactive_threshold=INACTIVE_SECONDS,
                mem_storage=True,
                num_replicas=1,
            ),
        )
        follower.waiting = info.num_pending or 0
        follower.watch()
        yield follower
    finally:
        follower.close()
        reconnected.cancel()
        await subscription.unsubscribe()
