"""Barriers that nats-py's own are not."""

from contextlib import suppress

import nats.errors
from nats.aio.client import Client

from services.contracts.frames import PictureInbox
from services.mesh.bus import PENDING_IN_BYTES, Bus, BusSubscription, DirectSubscription, Handler
from services.mesh.media_transport import Take


async def flushed(client: Client) -> None:
    """Returns when the server has read all that the client was asked to send.

    nats-py writes the ping of its ``flush`` at once, past the subscriptions and messages that still wait to be
    written; but they are, before its answer comes.
    """
    await client.flush()
    await client.flush()


class HeardBus(Bus):
    """A test's own connection. The server knows its subscription before the test goes on and has others publish."""

    async def subscribe(
        self, subject: str, handler: Handler, *, queue: str = "", pending_bytes: int = PENDING_IN_BYTES
    ) -> BusSubscription:
        """Subscribes; the server knows it when this returns."""
        subscription = await super().subscribe(subject, handler, queue=queue, pending_bytes=pending_bytes)
        await self._settle()
        return subscription

    async def subscribe_direct(
        self, subject: str, take: Take, *, inbox: PictureInbox | None = None
    ) -> DirectSubscription:
        """Subscribes; the server knows it when this returns."""
        subscription = await super().subscribe_direct(subject, take, inbox=inbox)
        await self._settle()
        return subscription

    async def _settle(self) -> None:
        with suppress(nats.errors.Error):  # without a server, nats-py subscribes when there is one again
            await flushed(self.client)
