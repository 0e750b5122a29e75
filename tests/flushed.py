"""A barrier that nats-py's own is not."""

from nats.aio.client import Client


async def flushed(client: Client) -> None:
    """Returns when the server has read all that the client was asked to send.

    nats-py writes the ping of its ``flush`` at once, past the subscriptions and messages that still wait to be
    written; but they are, before its answer comes.
    """
    await client.flush()
    await client.flush()
