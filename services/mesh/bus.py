"""The connection to NATS: it reconnects without end, its buffers are bounded, and it logs a loss and a return once."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

import nats.errors
import nats.js.errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js.client import JetStreamContext

from services.contracts.bus_rights import BusRole, inbox_prefix
from services.contracts.errors import NobodyThereError, UnavailableError
from services.contracts.frames import PictureInbox
from services.mesh.backoff import Backoff
from services.mesh.log import get_logger
from services.mesh.media_transport import READ_REST, ReadRest, Take
from services.mesh.metrics import counter, gauge
from services.mesh.nats_claims import read_claims
from services.mesh.nats_client import NatsClient
from services.mesh.nkeys import Creds
from services.mesh.settings import MeshSettings

log = get_logger()

PENDING_OUT_BYTES: Final = 16 * 1024 * 1024
"""Bytes that may wait to be sent. Past that, publishing is refused."""
PENDING_IN_BYTES: Final = 32 * 1024 * 1024
"""Bytes that may wait in a subscription. Past that nats-py drops messages; frames' sequence numbers show it."""
STAY_SECONDS: Final = 10.0
"""It stays so long where it came to: JetStream's own change of leaders takes up to nine seconds."""

_connected = gauge("bus_connected", "1 while connected to NATS")
_dropped_out = counter("bus_dropped", "Messages not published because the bus was away or full")
_slow = counter("bus_slow_consumer", "Times that a subscription of this process overflowed")

BusMessage = Msg
"""What a handler gets: ``subject``, ``reply``, ``data``, ``headers``."""
Handler = Callable[[BusMessage], Awaitable[None]]


def is_nobody_there(message: BusMessage) -> bool:
    """Whether this is nats-server's own answer that nobody listens on the subject (status 503, no responders)."""
    return message.headers is not None and message.headers.get("Status") == "503"


class BusSubscription:
    """What `Bus.subscribe` returns."""

    def __init__(self, subscription: Subscription) -> None:
        self._subscription = subscription

    async def unsubscribe(self) -> None:
        """Ends it, also for the time after a reconnect. Never raises; may be called twice."""
        with suppress(nats.errors.Error):  # the connection is closed, and the server has forgotten it
            await self._subscription.unsubscribe()


class DirectSubscription(BusSubscription):
    """What `Bus.subscribe_direct` returns."""

    def __init__(self, client: NatsClient, subscription: Subscription) -> None:
        super().__init__(subscription)
        self._client = client

    async def unsubscribe(self) -> None:
        """Ends it as `BusSubscription.unsubscribe` does; messages that still come are not taken."""
        self._client.forget_direct(self._subscription)
        await super().unsubscribe()


class Bus:
    """One connection to NATS. Make it with `Bus.connect`."""

    def __init__(self, client: NatsClient, *, replicas: int = 1, makes_streams: bool = True) -> None:
        self.client = client
        """nats-py's; of this module and `services.mesh.rpc` alone."""
        self.js: JetStreamContext = client.jetstream(timeout=5)
        self.replicas = replicas
        """How many nodes shall keep each bucket and stream."""
        self.makes_streams = makes_streams
        """Whether this user may make and change buckets and streams; the others wait for them."""
        self.reconnects = 0
        """Grows at each reconnect. To resynchronise after one, compare it or wait on `reconnected`."""
        self._reconnected = asyncio.Event()
        self._away = False
        self._stay_until = 0.0
        self._waiting = False
        """Whether "bus.waiting" was logged."""
        self._joined = False

    @classmethod
    async def connect(cls, settings: MeshSettings, name: str) -> "Bus":
        """Connects, waiting for the server as long as it takes.

        ``name`` is the service's; it chooses the file where `MeshSettings.nats_creds` is a folder. Raises
        `BadKeyError` and `SettingsError` for files that cannot be used.
        """
        client = NatsClient()
        options: dict[str, object] = {}
        user = ""
        if settings.nats_creds is not None:
            path = settings.as_bus_user(name).nats_creds
            creds = Creds.read(path if path is not None else settings.nats_creds)
            user = str(read_claims(creds.jwt).get("name", ""))
            if user in set(BusRole):  # another's name may be no subject
                options["inbox_prefix"] = inbox_prefix(user)
            client.sign_in(creds)
        elif settings.nats_user:
            options = {"user": settings.nats_user, "password": settings.nats_password.get_secret_value()}
            log.warning(
                "bus.one_password",
                consequence="this service may use every subject, and so may anybody with its password",
                remedy="'pantau nats init' makes creds for each service; PANTAU_NATS_CREDS",
            )
        if (tls := settings.nats_tls()) is not None:
            options["tls"] = tls
        may_make = user in ("", BusRole.REGISTRY, BusRole.ADMIN) or user not in set(BusRole)
        bus = cls(client, replicas=settings.nats_replicas, makes_streams=may_make)
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
                    reconnect_time_wait=0.25,
                    reconnect_to_server_handler=client.next_server,
                    connect_timeout=1,  # a frozen node accepts and says nothing
                    pending_size=PENDING_OUT_BYTES,
                    **options,
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
        self.client.note_left_server()
        if not self._away and not self.client.is_closed and not self.client.is_draining:
            self._away = True
            log.warning("bus.lost")
        _connected.set(0)

    async def _on_reconnected(self) -> None:
        self._away = False
        self._stay_until = asyncio.get_running_loop().time() + STAY_SECONDS
        log.info("bus.back")
        _connected.set(1)
        self.reconnects += 1
        self._reconnected.set()
        self._reconnected = asyncio.Event()

    @property
    def connected(self) -> bool:
        """Whether it is connected now."""
        return self.client.is_connected

    @property
    def clustered(self) -> bool:
        """Whether the server is a node of a cluster."""
        return self.client.in_cluster

    @property
    def max_payload_bytes(self) -> int:
        """The largest message that the server takes; 0 before the first connection."""
        return self.client.max_payload

    def new_inbox(self) -> str:
        """A unique subject to receive answers on."""
        return self.client.new_inbox()

    async def reconnected(self) -> None:
        """Returns at the next reconnect."""
        await self._reconnected.wait()

    async def store_answers(self, timeout_seconds: float) -> bool:
        """Whether JetStream answers: on a node that is cut off from the others of its cluster it does not."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self.js.account_info()
        except (nats.errors.Error, TimeoutError):
            return False
        return True

    async def try_other_node(self, reason: str) -> None:
        """Connects to another node of the cluster; does nothing where there is none, or it came here just now."""
        if self.connected and self.client.has_other_nodes and asyncio.get_running_loop().time() >= self._stay_until:
            log.warning("bus.other_node", reason=reason)
            await self.client.leave_server()

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

    def publish_media(self, subject: str, payload: bytes) -> bool:
        """As `publish` without reply and headers, for media: at once, and all of one loop turn in one write.

        Order is kept among what is published this way, and not against `publish`.
        """
        if self.client.publish_media(subject, payload):
            return True
        _dropped_out.inc()
        return False

    def publish_media_lines(self, lines: bytes, count: int) -> bool:
        """As `publish_media`, of ``count`` messages, each behind its PUB line (NATS's client protocol).

        `rest` is to follow when all of the turn is done.
        """
        if self.client.publish_media_lines(lines):
            return True
        _dropped_out.inc(count)
        return False

    def lend_media_socket(self) -> int:
        """The number of a socket that lines as `publish_media_lines` takes may be written to at once, past the event
        loop, before anything else is awaited or published; -1: none now. Of a line that did not go whole
        `finish_media_line` is given the rest at once."""
        return self.client.lend_media_socket()

    def finish_media_line(self, rest: bytes) -> None:
        """Writes the ``rest`` of a line whose beginning went to the lent socket, before anything else is published."""
        self.client.finish_media_line(rest)

    def rest(self) -> None:
        """All of a turn is done: rests behind what `publish_media_lines` wrote in it (`rest_after_media`)."""
        self.client.rest()

    def rest_after_media(self, *, read: ReadRest = READ_REST, write_seconds: float = 0.0) -> None:
        """How long media may wait here, so that what comes meanwhile is handled together: a wake-up costs more than a
        frame. After a read only the connection rests, after a write the whole process."""
        self.client.rest_after_media(read=read, write_seconds=write_seconds)

    async def subscribe(
        self, subject: str, handler: Handler, *, queue: str = "", pending_bytes: int = PENDING_IN_BYTES
    ) -> BusSubscription:
        """Calls ``handler`` for each message, one after another; it must not raise. Unsubscribe through the result."""
        return BusSubscription(
            await self.client.subscribe(
                subject, queue=queue, cb=handler, pending_msgs_limit=65536, pending_bytes_limit=pending_bytes
            )
        )

    async def subscribe_direct(
        self, subject: str, take: Take, *, inbox: PictureInbox | None = None
    ) -> DirectSubscription:
        """As `subscribe`, for media: ``take`` is called with each payload as it is read, with no queue between.

        It must be quick. While it runs nothing is read, so what is too fast for this process waits in the server.
        Payloads that may stand in ``inbox`` (`services.mesh.kernel.choose.new_inbox`) may go there past ``take``. So
        ``take`` puts there what it can, and looks at what waits there before it does anything else.
        """
        return DirectSubscription(self.client, await self.client.subscribe_direct(subject, take, inbox))

    async def request(
        self, subject: str, payload: bytes, *, timeout_seconds: float = 5.0, headers: dict[str, str] | None = None
    ) -> BusMessage:
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
        """Sends what waits and closes the connection, within two seconds."""
        try:
            async with asyncio.timeout(2):
                if self.client.is_connected:
                    await self.client.drain()
                else:
                    await self.client.close()
        except (TimeoutError, nats.errors.Error, OSError):
            await self.client.close()
