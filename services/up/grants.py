"""Grants to a hub begin and end at their times, which nats-server knows nothing of."""

from typing import Final

from services.contracts.errors import PantauError
from services.mesh.clock import Clock, sleep
from services.mesh.hub import Hub
from services.mesh.log import get_logger

log = get_logger()
LOOK_SECONDS: Final = 1.0


async def follow_grants(hub: Hub, clock: Clock) -> None:
    """Tells nats-server of them until it is cancelled; again where it could not be told."""
    while True:
        try:
            await hub.follow_times()
        except PantauError as error:
            log.warning("hub.grants_not_told", error=error)
        await sleep(clock, LOOK_SECONDS)
