"""Ends the embedded nats-server where it hangs, or where its store stays in an error after its disk has room again."""

import asyncio
from typing import Final

from services.contracts.errors import UnavailableError
from services.mesh.hangs import LOOK_SECONDS, HangWatch, process_times
from services.mesh.log import get_logger
from services.mesh.nats_server import NatsServer
from services.up.fetch import fetch

log = get_logger()

ANSWER_SECONDS: Final = 1.0
STORE_SECONDS: Final = 1.0
"""A store that is in its error for so long, although there is room, stays in it: nats-server 2.15 reads a stream anew
only when it starts. Longer than a single failed look."""
WRITE_ERROR: Final = "write error"
"""Stands in nats-server's answer while a stream cannot be written to. It answers 503 while it starts, too."""


class NatsWatch:
    """Watches one server. Who waits for the server's end starts it again."""

    def __init__(self, server: NatsServer) -> None:
        self._server = server
        self._signs = 0
        self._trouble = ""

    async def run(self) -> None:
        """Watches until it is cancelled."""
        asking = asyncio.create_task(self._ask(), name="nats health")
        try:
            await self._watch()
        finally:
            asking.cancel()

    async def _watch(self) -> None:
        hangs, failing = HangWatch(), 0
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            server = self._server
            if not server.running:
                failing = 0
                continue
            failing = failing + 1 if WRITE_ERROR in self._trouble and server.has_room() else 0
            if hangs.look((server.pid, self._signs), process_times(server.pid)):
                log.error("nats.hangs", pid=server.pid)
                await server.kill()
            elif failing * LOOK_SECONDS >= STORE_SECONDS:
                log.error("nats.store_failed", pid=server.pid, error=self._trouble)
                self._trouble = ""
                server.restart()

    async def _ask(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                answer = await fetch(self._server.health_url, timeout_seconds=ANSWER_SECONDS)
            except UnavailableError:  # it is away, or was never there
                self._trouble = ""
            else:
                self._trouble = "" if answer.ok else answer.body.decode(errors="replace")
                self._signs += 1
