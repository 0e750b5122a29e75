"""The connection to NATS: reconnects for ever, buffers boundedly, says once when the bus goes and when it is back."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js.client import JetStreamContext

from services.contracts.errors import NobodyThereError, UnavailableError
from services.mesh.backoff import Backoff
from services.mesh.log import get_logger
from services.mesh.media_parser import MediaParser, Take, give
from services.mesh.metrics import counter, gauge
from services.mesh.settings import MeshSettings

log = get_logger()

PENDING_OUT_BYTES: Final = 16 * 1024 * 1024
"""What is kept for the server while it is away; past that, publishing is refused."""
PENDING_IN_BYTES: Final = 32 * 1024 * 1024
"""What a subscription may have waiting; past that nats-py drops, and the sequence numbers show it."""

_connected = gauge("bus_connected", "1 while connected to NATS")
_dropped_out = counter("bus_dropped", "Messages not published because the bus was away or full")
_slow = counter("bus_slow_consumer", "Times that a subscription of this process overflowed")

Handler = Callable[[Msg], Awaitable[None]]


class _Client(Client):
    """Survives the answer to a flush that was given up: nats-py's reading would end at it."""

    async def _process_pong(self) -> None:
        if self._pongs and self._pongs[0].done():
            self._pongs[0] = asyncio.get_running_loop().create_future()
        await super()._process_pong()


class _Direct(asyncio.Queue[Msg]):
    """Stands where nats-py puts a subscription's messages, for those that do not take the parser's short way."""

    def __init__(self, take: Take) -> None:
        super().__init__()
        self._take = take

    def put_nowait(self, item: Msg) -> None:
        give(self._take, item.data)


class DirectSubscription:
    """See `Bus.subscribe_direct`."""

    def __init__(self, parser: MediaParser, subscription: Subscription) -> None:
        self._parser = parser
        self._subscription = subscription

    async def unsubscribe(self) -> None:
        """Nothing more is taken from now on. Raises nats-py's errors where the connection is gone."""
        self._parser.forget(self._subscription._id)
        await self._subscription.unsubscribe()


class Bus:
    """One connection to NATS. Make it with `Bus.connect`."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._parser = MediaParser(client)
        client._ps = self._parser
        self.js: JetStreamContext = client.jetstream(timeout=5)
        self.reconnects = 0
        """Grows at each reconnect; whoever must resynchronise compares it, or waits on `reconnected`."""
        self._reconnected = asyncio.Event()
        self._away = False
        self._waiting = False
        """Whether it was said that the server is not there yet."""
        self._joined = False

    @classmethod
    async def connect(cls, settings: MeshSettings, name: str) -> "Bus":
        """Connects, waiting for the server as long as it takes."""
        client = _Client()
        bus = cls(client)
        options: dict[str, object] = {}
        if settings.nats_user:
            options = {"user": settings.nats_user, "password": settings.nats_password.get_secret_value()}
        backoff = Backoff(0.2, 2.0)
        while True:
            try:
                # nats-py waits for a server by itself, and tells error_cb alone; a refused login it raises.
                await client.connect(
                    settings.nats_url.split(","),
                    name=name,
                    error_cb=bus._on_error,
                    disconnected_cb=bus._on_disconnected,
                    reconnected_cb=bus._on_reconnected,
                    allow_reconnect=True,
                    max_reconnect_attempts=-1,
                    reconnect_time_wait=0.25,  # type: ignore[arg-type]  # annotated int, used as seconds in sleep()
                    ping_interval=5,
                    max_outstanding_pings=2,
                    connect_timeout=2,
                    pending_size=PENDING_OUT_BYTES,
                    **options,  # type: ignore[arg-type]  # user and password as given above
                )
                break
            except (OSError, nats.errors.Error, TimeoutError) as error:
                bus._say_waiting(error)
                await asyncio.sleep(backoff.next_seconds())
        _connected.set(1)
        if bus._waiting:
            log.info("bus.connected", url=settings.nats_url)
        bus._joined = True
        return bus

    def _say_waiting(self, error: Exception) -> None:
        if not self._waiting:
            log.warning("bus.waiting", error=error)
        self._waiting = True

    async def _on_error(self, error: Exception) -> None:
        if isinstance(error, nats.errors.SlowConsumerError):
            _slow.inc()
            log.warning("bus.slow_consumer", subject=error.subject)
        elif not self._joined:
            self._say_waiting(error)
        elif self.client.is_connected:
            log.warning("bus.error", error=error)

    async def _on_disconnected(self) -> None:
        if not self._away and not self.client.is_closed and not self.client.is_draining:
            self._away = True
            log.warning("bus.lost")
        _connected.set(0)

    async def _on_reconnected(self) -> None:
        self._away = False
        log.info("bus.back")
        _connected.set(1)
        self.reconnects += 1
        self._reconnected.set()
        self._reconnected = asyncio.Event()

    @property
    def connected(self) -> bool:
        """Whether the server is there just now."""
        return self.client.is_connected

    async def reconnected(self) -> None:
        """Returns at the next reconnect."""
        await self._reconnected.wait()

    async def publish(
        self, subject: str, payload: bytes, *, reply: str = "", headers: dict[str, str] | None = None
    ) -> bool:
        """Publishes at most once. While the bus is away nothing is kept: returns False, and counts the message.

        For what must arrive use `services.mesh.event_stream.EventOutbox`.
        """
        if not self.client.is_connected:
            _dropped_out.inc()
            return False
        try:
            await self.client.publish(subject, payload, reply=reply, headers=headers)
        except (
            nats.errors.OutboundBufferLimitError,
            nats.errors.ConnectionClosedError,
            nats.errors.ConnectionDrainingError,
        ):
            _dropped_out.inc()
            return False
        return True

    async def subscribe(
        self, subject: str, handler: Handler, *, queue: str = "", pending_bytes: int = PENDING_IN_BYTES
    ) -> Subscription:
        """Calls ``handler`` for each message, one after another; it must not raise. Unsubscribe through the result."""
        return await self.client.subscribe(
            subject, queue=queue, cb=handler, pending_msgs_limit=65536, pending_bytes_limit=pending_bytes
        )

    async def subscribe_direct(self, subject: str, take: Take) -> DirectSubscription:
        """As `subscribe`, for media: ``take`` is called with each payload as it is read, with no queue between.

        It must be quick. While it runs nothing is read, so what is too fast for this process waits in the server.
        """
        subscription = await self.client.subscribe(subject, pending_msgs_limit=0, pending_bytes_limit=0)
        early = subscription._pending_queue  # what came before this was known
        subscription._pending_queue = direct = _Direct(take)
        while not early.empty():
            direct.put_nowait(early.get_nowait())
        self._parser.direct(subscription._id, take)
        return DirectSubscription(self._parser, subscription)

    async def request(
        self, subject: str, payload: bytes, *, timeout_seconds: float = 5.0, headers: dict[str, str] | None = None
    ) -> Msg:
        """One question, one answer; raises `UnavailableError` when nobody answers in time.

        `NobodyThereError` where nobody listens on the subject at all.
        """
        try:
            return await self.client.request(subject, payload, timeout=timeout_seconds, headers=headers)
        except nats.errors.NoRespondersError as error:
            raise NobodyThereError(f"nobody answers on {subject} just now; try again shortly") from error
        except (TimeoutError, nats.errors.Error) as error:
            raise UnavailableError(f"no answer on {subject} within {timeout_seconds:g} s") from error

    async def close(self) -> None:
        """Sends what is waiting and leaves. Takes at most two seconds."""
        try:
            async with asyncio.timeout(2):
                if self.client.is_connected:
                    await self.client.drain()
                else:
                    await self.client.close()
        except (TimeoutError, nats.errors.Error):
            await self.client.close()
