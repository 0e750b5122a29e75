"""nats-py's client with what it lacks: the one module that uses its private names.

pyproject.toml pins the version for their sake; ``tests/mesh/test_bus_seam.py`` holds that no other module uses any.
"""

import asyncio
import base64
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from nats.aio import transport as nats_transport
from nats.aio.client import Client, Server, Srv
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.aio.transport import WebSocketTransport
from nats.errors import Error, SlowConsumerError
from nats.protocol.command import pub_cmd
from nats.protocol.parser import Parser

from services.contracts.frames import PictureInbox
from services.mesh.lean import give_websockets
from services.mesh.media_transport import READ_REST, MediaTransport, ReadRest, Take, give
from services.mesh.media_writer import MAX_UNSENT_BYTES, MediaWriter
from services.mesh.nkeys import Creds, NKey

if TYPE_CHECKING:  # it needs cffi, and is imported where there is something for it
    from services.mesh.kernel.inbox import KernelInboxes

LOOK_SECONDS: Final = 0.5
"""So often it looks whether the server said anything. A process that was stopped itself misses one look."""
SILENT_SECONDS: Final = 1.5
"""A node of a cluster that says nothing for so long, although asked, is left for another."""
SILENT_ALONE_SECONDS: Final = 12.0
"""The same where there is no other server."""
TRY_AGAIN_SECONDS: Final = 0.25
MAX_WAITING_BYTES: Final = 128 * 1024 * 1024
"""What may wait in all subscriptions together; past it large messages are dropped as by a slow consumer. Each has a
limit of its own, too, but there may be hundreds."""
ANSWERABLE: Final = (b"_INBOX.", b"$JS.ACK.", b"$JS.FC.", b"_R_.", b"_GR_.")
"""Where a message may ask to be answered: an inbox, or what nats-server itself puts there."""
LARGE_BYTES: Final = 16 * 1024
"""What waits is added up only for a message of so many bytes; the limit may be passed by smaller ones."""


class ForbiddenReplyError(Error):
    """A message names something else than an inbox to answer on."""


class NatsClient(Client):
    """Gives media the short way, follows to another node, and survives the answer to a flush that was given up."""

    def __init__(self) -> None:
        super().__init__()
        self._parser = self._ps = _CountingParser(self)
        self._jwt = b""
        self._key: NKey | None = None
        self._takes: dict[bytes, Take] = {}
        """By subscription id as the wire has it."""
        self._inboxes: KernelInboxes | None = None
        self._read_rest = READ_REST
        self._media = MediaWriter(self._wire)
        self._left_at: dict[str, float] = {}
        """Address → when it was left or tried last, by `time.monotonic`."""

    def sign_in(self, creds: Creds) -> None:
        """Signs in with ``creds``; call it before `connect`. nats-py reads them with a package of their own."""
        self._jwt, self._key = creds.jwt.encode(), creds.key

    async def connect(self, *arguments: Any, **options: Any) -> None:
        """nats-py's, with what `sign_in` was given."""
        if self._key is not None:
            self._auth_configured = True
            options |= {"signature_cb": self._sign_nonce, "user_jwt_cb": lambda: bytearray(self._jwt)}
        await super().connect(*arguments, **options)

    def _connect_command(self) -> bytes:
        """nats-py signs in without TLS where the server, or a machine on the way, does not offer it."""
        transport = self._transport
        wire = transport.wire if isinstance(transport, MediaTransport) else None
        if "tls" in self.options and wire is not None and wire.get_extra_info("ssl_object") is None:
            raise Error("nats-server does not offer TLS, and nats_ca (PANTAU_NATS_CA) asks for it")
        return super()._connect_command()

    def _sign_nonce(self, nonce: str) -> bytes:
        assert self._key is not None
        return base64.b64encode(self._key.sign(nonce.encode()))

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes) -> None:
        """nats-py bounds what waits in each subscription, and not what waits in all of them.

        A question that is to be answered elsewhere than in an inbox is dropped: nats-server holds the subjects of
        those who ask against their rights, but not where they ask to be answered, and this user may publish more.
        """
        if reply and not reply.startswith(ANSWERABLE):
            await self._error_cb(ForbiddenReplyError(f"a message on {subject.decode()} asks to be answered elsewhere"))
            return
        if len(data) >= LARGE_BYTES and self.waiting_bytes + len(data) > MAX_WAITING_BYTES and sid in self._subs:
            await self._error_cb(SlowConsumerError(subject.decode(), reply.decode(), sid, self._subs[sid]))
            return
        await super()._process_msg(sid, subject, reply, data, headers)

    @property
    def waiting_bytes(self) -> int:
        """What waits in all subscriptions."""
        return sum(subscription._pending_size for subscription in self._subs.values())

    def publish_media(self, subject: str, payload: bytes) -> bool:
        """Writes a media message with all others of this loop turn; False where it was dropped."""
        if self._media.publish(subject, payload):
            return True
        return isinstance(self._transport, WebSocketTransport) and self._publish_by_flusher(
            pub_cmd(subject, "", payload)
        )

    def publish_media_lines(self, lines: bytes) -> bool:
        """The same of messages behind their PUB lines."""
        if self._media.publish_lines(lines):
            return True
        return isinstance(self._transport, WebSocketTransport) and self._publish_by_flusher(lines)

    def lend_media_socket(self) -> int:
        """The number of the connection's socket, for whole lines that are written at once; -1: none now."""
        return self._media.lend_socket()

    def finish_media_line(self, rest: bytes) -> None:
        """Writes the ``rest`` of a line whose beginning went to that socket."""
        self._media.finish_line(rest)

    def rest(self) -> None:
        """Rests behind the lines that were written in a turn, now that all of it is done."""
        self._media.rest()

    def rest_after_media(self, *, read: ReadRest = READ_REST, write_seconds: float = 0.0) -> None:
        """See `media_transport.ReadRest` and `MediaWriter.rest_seconds`."""
        self._read_rest = read
        self._media.rest_seconds = write_seconds
        if isinstance(self._transport, MediaTransport):
            self._transport.rest = read

    def _publish_by_flusher(self, command: bytes) -> bool:
        """As `MediaWriter.publish`, through nats-py's pending list: a WebSocket has no transport to write to."""
        if not self.is_connected or self._pending_data_size + len(command) > MAX_UNSENT_BYTES:
            return False
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
        transport = self._transport
        if self.is_reconnecting or (isinstance(transport, MediaTransport) and transport.open_wire is None):
            self._pending, self._pending_data_size = [], 0
        await super()._close(status, do_cbs)

    @property
    def in_cluster(self) -> bool:
        """Whether the server that it is connected to names a cluster (INFO of NATS's client protocol)."""
        return bool(self._server_info.get("cluster"))

    @property
    def has_other_nodes(self) -> bool:
        """Whether it knows more of the cluster than the node that it is connected to."""
        return self.in_cluster and len(self._server_pool) > 1

    async def leave_server(self) -> None:
        """Connects anew, to another server where there is one. What waits to be sent is dropped."""
        transport = self._transport
        if isinstance(transport, MediaTransport) and transport.wire is not None:
            transport.wire.abort()  # closing would wait until a server that reads no more has read all
        await self.force_reconnect()

    def note_left_server(self) -> None:
        """The connection is lost: `next_server` shall name this server last."""
        if self._current_server is not None:
            self._left_at[self._current_server.uri.netloc] = time.monotonic()

    def next_server(self, servers: Sequence[Server], _info: Mapping[str, Any]) -> tuple[Server, float]:
        """Where to connect, and after how many seconds: the server that was left or tried the longest time ago."""
        server = min(servers, key=lambda known: self._left_at.get(known.uri.netloc, float("-inf")))
        now = time.monotonic()
        wait_seconds = max(0.0, self._left_at.get(server.uri.netloc, float("-inf")) + TRY_AGAIN_SECONDS - now)
        self._left_at[server.uri.netloc] = now + wait_seconds
        return server, wait_seconds

    async def _ping_interval(self) -> None:
        """Instead of nats-py's, which needs three intervals to find a server silent and counts pongs alone."""
        reads, silent_looks = self._reads, 0
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if self._reads != reads:
                reads, silent_looks = self._reads, 0
                continue
            silent_looks += 1
            limit_seconds = SILENT_SECONDS if self.has_other_nodes else SILENT_ALONE_SECONDS
            if silent_looks * LOOK_SECONDS >= limit_seconds:
                await self.leave_server()
                return
            await self._send_ping()

    async def _connect_to_server(self, s: Srv) -> None:
        """nats-py makes its own transport for TCP where there is none."""
        if s.uri.scheme in ("ws", "wss"):
            give_websockets(nats_transport)
            await super()._connect_to_server(s)
            return
        s.last_attempt = time.monotonic()
        transport = self._transport = MediaTransport(self._takes, self._read_rest, self._inboxes)
        await transport.connect(s.uri, 0, self.options["connect_timeout"])

    @property
    def _reads(self) -> int:
        """Changes whenever something was read."""
        media = self._transport.reads if isinstance(self._transport, MediaTransport) else 0
        return self._parser.reads + media

    def _wire(self) -> asyncio.WriteTransport | None:
        """What media is written to; None while the connection is away, and of a WebSocket connection."""
        transport = self._transport
        return transport.open_wire if self.is_connected and isinstance(transport, MediaTransport) else None

    async def subscribe_direct(self, subject: str, take: Take, inbox: PictureInbox | None = None) -> Subscription:
        """Subscribes so that ``take`` is called with each payload as it is read, instead of queueing it.

        Where C can fill ``inbox``, payloads that may stand in it go there, and not to ``take``.
        """
        subscription = await self.subscribe(subject, pending_msgs_limit=0, pending_bytes_limit=0)
        early = subscription._pending_queue  # messages that came before the parser knew the subscription
        subscription._pending_queue = direct = _DirectQueue(take)
        while not early.empty():
            direct.put_nowait(early.get_nowait())
        self._takes[b"%d" % subscription._id] = take
        if inbox is not None and type(inbox) is not PictureInbox:
            self._fill(subscription._id, inbox)
        return subscription

    def _fill(self, subscription: int, inbox: PictureInbox) -> None:
        from services.mesh.kernel.inbox import KernelInbox, KernelInboxes

        assert isinstance(inbox, KernelInbox)
        if self._inboxes is None:
            self._inboxes = KernelInboxes()
            if isinstance(self._transport, MediaTransport):
                self._transport.use(self._inboxes)
        self._inboxes.add(subscription, inbox)

    def forget_direct(self, subscription: Subscription) -> None:
        """Nothing more is taken the short way."""
        self._takes.pop(b"%d" % subscription._id, None)
        if self._inboxes is not None:
            self._inboxes.forget(subscription._id)


class _CountingParser(Parser):
    """nats-py's, which tells how often it was given something."""

    reads = 0

    async def parse(self, data: bytes = b"") -> None:
        self.reads += 1
        await super().parse(data)


class _DirectQueue(asyncio.Queue[Msg]):
    """Stands where nats-py puts a subscription's messages, for those that do not take the parser's short way."""

    def __init__(self, take: Take) -> None:
        super().__init__()
        self._take = take

    def put_nowait(self, item: Msg) -> None:
        give(self._take, item.data)
