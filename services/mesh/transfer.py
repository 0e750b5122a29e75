"""Streams of bytes over NATS with credit: the receiver says how many bytes may be under way.

A receiver makes an `Incoming` and names its ``deliver_to`` in a question. The answer has a control subject, on which it
grants credit as it consumes. A sender passes an asynchronous iterator of payloads to `send`, which publishes only as
much as there is credit for. Each payload is one message:

    kind (u8: 0 payload, 1 end, 2 error, 3 alive), sequence (u32, of payloads), payload

On the control subject: kind (u8: 0 credit, 1 cancel), credit (u64, bytes that may have been sent in all). Credit is a
running total, so the next grant replaces a lost one. A lost payload shows in the sequence of what follows it, a sign of
life too, and ends the transfer with an error. A side that hears nothing for `SILENCE_SECONDS` gives up.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from struct import Struct
from typing import Final, NamedTuple, Self

from services.contracts.errors import PantauError, UnavailableError, error_from_code
from services.mesh.bus import Bus, BusMessage, BusSubscription, is_nobody_there
from services.mesh.clock import Clock, SystemClock, timeout
from services.mesh.log import get_logger
from services.mesh.metrics import counter

log = get_logger()

WINDOW_BYTES: Final = 4 * 1024 * 1024
"""Bytes under way, by default."""
SILENCE_SECONDS: Final = 10.0
ALIVE_SECONDS: Final = 2.0
"""A sender that waits for credit, and a receiver that waits for payloads, send a sign of life so often."""
MAX_PAYLOAD_BYTES: Final = 4 * 1024 * 1024
MAX_WINDOW_BYTES: Final = 4 * WINDOW_BYTES
"""More credit than this is not believed: a receiver that is gone, or of another mesh, would be sent all there is."""

_HEAD: Final = Struct(">BI")
_CONTROL: Final = Struct(">BQ")
_PAYLOAD, _END, _ERROR, _ALIVE = range(4)
_CREDIT, _CANCEL = range(2)

_sent = counter("transfer_sent_bytes", "Payload bytes sent in transfers")
_broken = counter("transfer_broken", "Transfers that ended early", "side")


async def send(
    bus: Bus,
    tasks: asyncio.TaskGroup,
    deliver_to: str,
    payloads: AsyncIterator[bytes],
    *,
    name: str = "transfer",
    clock: Clock | None = None,
    control: str = "",
    when_over: Callable[[], None] = lambda: None,
) -> str:
    """Sends ``payloads``, each at most `MAX_PAYLOAD_BYTES`, as a task of ``tasks``; returns the control subject.

    ``control`` is that subject where both sides know it; default: an inbox. ``when_over`` is called at the end.
    Tell it over the same connection, so that it is known to the server by then. A `PantauError` out of ``payloads`` is
    raised at the receiver. The iterator is closed when the receiver cancels or falls silent.
    """
    control = control or bus.new_inbox()
    outgoing = _Outgoing(bus, deliver_to, clock or SystemClock())
    subscription = await bus.subscribe(control, outgoing.on_control)
    tasks.create_task(outgoing.run(subscription, payloads), name=name).add_done_callback(lambda _: when_over())
    return control


class _Outgoing:
    def __init__(self, bus: Bus, deliver_to: str, clock: Clock) -> None:
        self._bus = bus
        self._clock = clock
        self._to = deliver_to
        self._granted = self._sent = self._sequence = 0
        self._cancelled = False
        self._heard = asyncio.Event()

    async def on_control(self, message: BusMessage) -> None:
        if len(message.data) != _CONTROL.size:
            return
        kind, credit = _CONTROL.unpack(message.data)
        if kind == _CREDIT:
            self._granted = max(self._granted, min(credit, self._sent + MAX_WINDOW_BYTES))
        self._cancelled |= kind == _CANCEL
        self._heard.set()

    async def run(self, subscription: BusSubscription, payloads: AsyncIterator[bytes]) -> None:
        try:
            await self._wait_for_credit()  # the receiver listens from now on
            async for payload in payloads:
                await self._wait_for_credit()
                await self._publish(_PAYLOAD, payload)
                self._sent += len(payload)
                self._sequence += 1
                _sent.inc(len(payload))
            await self._publish(_END, b"")
        except PantauError as error:
            await self._publish(_ERROR, f"{error.code} {error.message}".encode())
        except _GoneError:
            if not self._cancelled:
                _broken.labels("sender").inc()
                log.info("transfer.receiver_gone", sent_bytes=self._sent)
        except Exception as error:
            log.exception("transfer.failed", error=error)
            await self._publish(_ERROR, b"internal the transfer failed; see the log of the service")
        finally:
            closing = getattr(payloads, "aclose", None)
            if closing is not None:
                await closing()
            await subscription.unsubscribe()

    async def _publish(self, kind: int, payload: bytes) -> None:
        await self._bus.publish(self._to, _HEAD.pack(kind, self._sequence) + payload)

    async def _wait_for_credit(self) -> None:
        """A payload is sent while less than the credit has been; the last one may pass it."""
        silent_since = self._clock.monotonic()
        while self._sent >= self._granted:
            if self._cancelled or self._clock.monotonic() - silent_since > SILENCE_SECONDS:
                raise _GoneError
            self._heard.clear()
            try:
                async with timeout(self._clock, ALIVE_SECONDS):
                    await self._heard.wait()
                silent_since = self._clock.monotonic()
            except TimeoutError:
                await self._publish(_ALIVE, b"")
        if self._cancelled:
            raise _GoneError


class _GoneError(Exception):
    pass


class AgreedSubjects(NamedTuple):
    """Subjects of a transfer across accounts, which have no inboxes in common."""

    data: str
    control: str


class Incoming:
    """The receiving side. Use it as ``async with``: leaving early cancels the transfer.

    Iterating raises the sender's `PantauError`, or `UnavailableError` where payloads were lost or the sender is gone.
    """

    def __init__(self, bus: Bus, window_bytes: int, clock: Clock, agreed: AgreedSubjects | None) -> None:
        self.deliver_to = agreed.data if agreed else bus.new_inbox()
        self._agreed = agreed
        self._notice = "" if agreed else self.deliver_to
        """Where nats-server says that the sender listens no more."""
        self._bus = bus
        self._clock = clock
        self._window_bytes = window_bytes
        self._control: str | None = None
        self._subscription: BusSubscription | None = None
        self._arrived: deque[tuple[int, int, bytes]] = deque()
        self._arrived_bytes = 0
        self._bearable_bytes = 2 * (window_bytes + MAX_PAYLOAD_BYTES)
        """What comes beyond it was sent without credit. It is dropped, so the sequence breaks the transfer off."""
        self._wake = asyncio.Event()
        self._consumed = self._granted = 0
        self._expected = 0
        self._over = False
        self._gone = False

    @classmethod
    async def open(
        cls,
        bus: Bus,
        *,
        window_bytes: int = WINDOW_BYTES,
        clock: Clock | None = None,
        agreed: AgreedSubjects | None = None,
    ) -> Self:
        """Listens on a new inbox: name `deliver_to` in the question that asks for the transfer.

        ``agreed`` is in place of inboxes where these are not reached.
        """
        incoming = cls(bus, window_bytes, clock or SystemClock(), agreed)
        incoming._subscription = await bus.subscribe(
            incoming.deliver_to, incoming._on_message, pending_bytes=window_bytes + 2 * MAX_PAYLOAD_BYTES
        )
        return incoming

    async def accept(self, control: str) -> None:
        """The answer's control subject: the transfer begins."""
        self._control = self._agreed.control if self._agreed else control
        await self._grant()

    async def _on_message(self, message: BusMessage) -> None:
        if len(message.data) >= _HEAD.size:
            kind, sequence = _HEAD.unpack_from(message.data)
            if self._arrived_bytes + len(message.data) <= self._bearable_bytes:
                self._arrived_bytes += len(message.data)
                self._arrived.append((kind, sequence, message.data[_HEAD.size :]))
            if kind == _ALIVE and self._control is not None:  # the consumer may be slow; it is not gone
                await self._bus.publish(self._control, _CONTROL.pack(_CREDIT, self._granted), reply=self._notice)
        elif is_nobody_there(message):
            # Only a hint: the sender unsubscribes when it has sent all, and its last payloads may still be under way.
            self._gone = True
        self._wake.set()

    async def _grant(self) -> None:
        if self._control is not None:
            self._granted = self._consumed + self._window_bytes
            await self._bus.publish(self._control, _CONTROL.pack(_CREDIT, self._granted), reply=self._notice)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self._over:
            raise StopAsyncIteration
        silent_since = self._clock.monotonic()
        while True:
            while not self._arrived:
                self._wake.clear()
                try:
                    async with timeout(self._clock, ALIVE_SECONDS):
                        await self._wake.wait()
                except TimeoutError:
                    if self._gone:
                        raise self._break("the sender is gone") from None
                    if self._clock.monotonic() - silent_since > SILENCE_SECONDS:
                        raise self._break("the sender fell silent") from None
                    await self._grant()  # the last grant may have been lost
            kind, sequence, payload = self._arrived.popleft()
            self._arrived_bytes -= _HEAD.size + len(payload)
            if kind == _ALIVE:
                if sequence != self._expected:  # all that there was credit for, so nothing else would show it
                    raise self._break(f"{sequence - self._expected} messages were lost on the way")
                silent_since = self._clock.monotonic()
                continue
            if kind == _ERROR:
                self._over = True
                code, _, text = payload.decode(errors="replace").partition(" ")
                raise error_from_code(code, text)
            if sequence != self._expected:
                raise self._break(f"{sequence - self._expected} messages were lost on the way")
            if kind == _END:
                self._over = True
                raise StopAsyncIteration
            self._expected += 1
            self._consumed += len(payload)
            if self._granted - self._consumed <= self._window_bytes // 2:
                await self._grant()
            return payload

    def _break(self, why: str) -> UnavailableError:
        _broken.labels("receiver").inc()
        return UnavailableError(f"a transfer broke off: {why}; try again")

    async def close(self) -> None:
        """Ends the transfer at any point."""
        if self._control is not None and not self._over:
            await self._bus.publish(self._control, _CONTROL.pack(_CANCEL, 0))
        self._over = True
        if self._subscription is not None:
            await self._subscription.unsubscribe()
        self._subscription = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
