"""The ``want`` protocol: frames of a profile are asked for, and the profile is kept open while somebody does.

The subject is `subjects.want` (answered by the ingest worker that holds the camera) or `subjects.convert` (answered by
the relay that converts it)::

    asker                                         answerer
      subscribes to <inbox>
      <subject>  reply: <inbox>         ──►         opens the profile if it is closed; keeps it open for its linger
                                        ◄──  <inbox>  1. a `WantReply`: status, reason, detail, number of frames
                                        ◄──  <inbox>  2. the cached frames, in decoding order, from a keyframe on
                                        ◄──  <inbox>  3. an empty message: the end
      every `RENEW_SECONDS`
      <subject>  without a reply        ──►         keeps it open for its linger again; answers nothing

- A linger is at least twice `RENEW_SECONDS`, so that one lost renewal closes nothing (ingest 30 s, a conversion 20 s).
- Where nobody listens, nats-server answers with status 503: `NobodyThereError`.
- An answerer without a lease says nothing. The asker gives up after a silence; so it does where messages are lost.
- Fewer frames than promised may come: the empty message is the end, not the number.
- Live frames go on meanwhile on the media subject. The asker joins both by ``(epoch, sequence)``.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final, Self

from pydantic import ValidationError

from services.contracts.errors import NobodyThereError, UnavailableError
from services.contracts.models import WantReply
from services.mesh.bus import PENDING_IN_BYTES, Bus, BusMessage, BusSubscription, is_nobody_there
from services.mesh.clock import Clock, SystemClock, timeout

RENEW_SECONDS: Final = 10.0
"""Between two renewals."""
SILENCE_SECONDS: Final = 2.0
"""An answer whose next message takes longer has broken off."""
FRAMES_AT_ONCE: Final = 32
"""After so many cached frames live ones get their turn."""


class _Inbox:
    """The messages of one answer, in order."""

    def __init__(self, subject: str, silence_seconds: float, clock: Clock) -> None:
        self._subject = subject
        self._clock = clock
        self._silence_seconds = silence_seconds
        self._messages: asyncio.Queue[BusMessage] = asyncio.Queue()

    async def add_message(self, message: BusMessage) -> None:
        self._messages.put_nowait(message)

    async def next_message(self) -> BusMessage:
        """Raises `NobodyThereError`, or `UnavailableError` after a silence."""
        if self._messages.empty():
            try:
                async with timeout(self._clock, self._silence_seconds):
                    message = await self._messages.get()
            except TimeoutError as error:
                raise UnavailableError(
                    f"no answer on {self._subject} within {self._silence_seconds:g} s; try again shortly"
                ) from error
        else:
            message = self._messages.get_nowait()
        if is_nobody_there(message):
            raise NobodyThereError(f"nobody answers on {self._subject} just now; try again shortly")
        return message


class WantAnswer:
    """An answer that has begun: `reply`, then iterate over the frames, each an access-unit message.

    Iterating raises `UnavailableError` where the answer breaks off.
    """

    def __init__(self, reply: WantReply, inbox: _Inbox) -> None:
        self.reply = reply
        self._inbox = inbox

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        message = await self._inbox.next_message()
        if not message.data:
            raise StopAsyncIteration
        return message.data


@asynccontextmanager
async def ask_want(
    bus: Bus,
    subject: str,
    *,
    silence_seconds: float = SILENCE_SECONDS,
    pending_bytes: int = PENDING_IN_BYTES,
    clock: Clock | None = None,
) -> AsyncIterator[WantAnswer]:
    """Asks once; the block has the answer when its first message is here. Leaving the block gives the rest up.

    ``pending_bytes`` bounds what waits on the way in. Raises `NobodyThereError` where nobody listens,
    `UnavailableError` where the bus is away or no answer comes.
    """
    inbox, deliver_to = _Inbox(subject, silence_seconds, clock or SystemClock()), bus.new_inbox()
    subscription = await bus.subscribe(deliver_to, inbox.add_message, pending_bytes=pending_bytes)
    try:
        if not await bus.publish(subject, b"", reply=deliver_to):
            raise UnavailableError("the bus is away; try again shortly")
        first = await inbox.next_message()
        try:
            reply = WantReply.unpack(first.data)
        except (ValidationError, ValueError) as error:
            raise UnavailableError(f"the answer on {subject} could not be read") from error
        yield WantAnswer(reply, inbox)
    finally:
        await subscription.unsubscribe()


async def renew_want(bus: Bus, subject: str) -> None:
    """Keeps a profile open; do it every `RENEW_SECONDS`."""
    await bus.publish(subject, b"")


Answer = Callable[[str], tuple[WantReply, Sequence[bytes]] | None]
"""``answer(profile)`` opens the profile and keeps it open; returns what is known of it and the cached frames,
or None where this process may not answer. It is called for renewals too; then only its effect counts."""


class WantAnswerer:
    """Answers on one subject at a time, from `listen` to `close`."""

    def __init__(
        self, bus: Bus, answer: Answer, *, publish_frame: Callable[[str, bytes], object] | None = None
    ) -> None:
        """``publish_frame(subject, message)`` sends one cached frame; by default `Bus.publish_media`."""
        self._bus = bus
        self._answer = answer
        self._publish_frame = publish_frame or bus.publish_media
        self._subscription: BusSubscription | None = None

    async def listen(self, subject: str) -> None:
        """Answers on ``subject`` (its profile may be ``*``), and no longer on the one before."""
        await self.close()
        self._subscription = await self._bus.subscribe(subject, self._on_want)

    async def close(self) -> None:
        """Answers no more."""
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            await subscription.unsubscribe()

    async def _on_want(self, message: BusMessage) -> None:
        answer = self._answer(message.subject.split(".")[-2])
        if answer is None or not message.reply:
            return
        reply, frames = answer
        self._bus.publish_media(message.reply, reply.pack())  # all of it this way: order is kept among them
        for number, frame in enumerate(frames, start=1):
            self._publish_frame(message.reply, frame)
            if number % FRAMES_AT_ONCE == 0:
                await asyncio.sleep(0)
        self._bus.publish_media(message.reply, b"")
