"""nats-py's client with what it lacks: the one module that uses its private names.

pyproject.toml pins the version for their sake; ``tests/mesh/test_bus_seam.py`` holds that no other module uses any.
"""

import asyncio

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.aio.transport import WebSocketTransport
from nats.protocol.command import pub_cmd

from services.mesh.media_parser import MediaParser, Take, give
from services.mesh.media_writer import MAX_UNSENT_BYTES, MediaWriter


class NatsClient(Client):
    """Gives media the short way, and survives the answer to a flush that was given up."""

    def __init__(self) -> None:
        super().__init__()
        self._parser = self._ps = MediaParser(self, self._read_transport)
        self._media = MediaWriter(self._write_transport)

    def publish_media(self, subject: str, payload: bytes) -> bool:
        """Writes a media message with all others of this loop turn; False where it was dropped."""
        if isinstance(self._transport, WebSocketTransport):
            return self._publish_by_flusher(subject, payload)
        return self._media.publish(subject, payload)

    def _publish_by_flusher(self, subject: str, payload: bytes) -> bool:
        """As `MediaWriter.publish`, through nats-py's pending list: a WebSocket has no transport to write to."""
        if not self.is_connected or self._pending_data_size + len(payload) > MAX_UNSENT_BYTES:
            return False
        command = pub_cmd(subject, "", payload)
        self._pending.append(command)
        self._pending_data_size += len(command)
        if self._flush_queue is not None and self._flush_queue.empty():
            self._flush_queue.put_nowait(asyncio.get_running_loop().create_future())
        return True

    async def _process_pong(self) -> None:
        """nats-py's reading would end at the pong of a flush that was given up: its future is done already."""
        if self._pongs and self._pongs[0].done():
            self._pongs[0] = asyncio.get_running_loop().create_future()
        await super()._process_pong()

    async def _close(self, status: int, do_cbs: bool = True) -> None:
        """nats-py writes what waits to a lost connection, and at the error leaves its subscriptions running."""
        if self.is_reconnecting:
            self._pending, self._pending_data_size = [], 0
        await super()._close(status, do_cbs)

    @property
    def in_cluster(self) -> bool:
        """Whether the server that it is connected to names a cluster (INFO of NATS's client protocol)."""
        return bool(self._server_info.get("cluster"))

    def _read_transport(self) -> asyncio.ReadTransport | None:
        """What is read from; None of a WebSocket connection, whose reading cannot be paused here."""
        writer = getattr(self._transport, "_io_writer", None)
        return writer.transport if writer is not None else None

    def _write_transport(self) -> asyncio.WriteTransport | None:
        """What is written to; None while the connection is away, and of a WebSocket connection."""
        writer = getattr(self._transport, "_io_writer", None) if self.is_connected else None
        return writer.transport if writer is not None else None

    async def subscribe_direct(self, subject: str, take: Take) -> Subscription:
        """Subscribes so that ``take`` is called with each payload as it is read, instead of queueing it."""
        subscription = await self.subscribe(subject, pending_msgs_limit=0, pending_bytes_limit=0)
        early = subscription._pending_queue  # messages that came before the parser knew the subscription
        subscription._pending_queue = direct = _DirectQueue(take)
        while not early.empty():
            direct.put_nowait(early.get_nowait())
        self._parser.direct(subscription._id, take)
        return subscription

    def forget_direct(self, subscription: Subscription) -> None:
        """Nothing more is taken the short way."""
        self._parser.forget(subscription._id)


class _DirectQueue(asyncio.Queue[Msg]):
    """Stands where nats-py puts a subscription's messages, for those that do not take the parser's short way."""

    def __init__(self, take: Take) -> None:
        super().__init__()
        self._take = take

    def put_nowait(self, item: Msg) -> None:
        give(self._take, item.data)
