"""How many nodes of a NATS cluster keep each bucket and stream: ``PANTAU_NATS_REPLICAS``, applied at each opening.

A start only adds copies. A service that was started without the setting, or with a smaller one, takes none away.
"""

import asyncio
from typing import Final

import nats.js.errors
from nats.js.api import StreamConfig, StreamInfo

from services.contracts.errors import PantauError
from services.mesh.bus import Bus
from services.mesh.log import get_logger

log = get_logger()

NOT_CLUSTERED: Final = 10074
"""JetStream's error code JSStreamReplicasNotSupportedErr: the server is in no cluster."""
NO_PEERS: Final = 10005
"""JetStream's error code JSClusterNoPeersErrF: the cluster has too few nodes. One that is away counts."""
NODES_COME_SECONDS: Final = 10.0
"""How long nodes that start together may take to find each other."""
AGAIN_SECONDS: Final = 0.5


class ClusterTooSmallError(PantauError):
    """The cluster has fewer nodes than ``PANTAU_NATS_REPLICAS`` asks for."""

    code = "nats-replicas"


async def open_stream(bus: Bus, config: StreamConfig) -> StreamInfo:
    """Makes a stream, or brings it up to date.

    Raises nats-py's errors, and `ClusterTooSmallError`.
    """
    info = await find_stream(bus, config.name or "")
    return await _apply(bus, config, info)


async def keep_copies(bus: Bus, stream: str) -> None:
    """Gives an existing stream the copies that the setting asks for.

    Raises nats-py's errors, and `ClusterTooSmallError`.
    """
    info = await bus.js.stream_info(stream)
    if _copies(info) < bus.replicas:
        info = await _apply(bus, info.config, info)
    else:
        _warn_of_one_copy(bus, info)


async def find_stream(bus: Bus, stream: str) -> StreamInfo | None:
    """The stream as it is; None where there is none. Raises nats-py's errors."""
    try:
        return await bus.js.stream_info(stream)
    except nats.js.errors.NotFoundError:
        return None


def _copies(info: StreamInfo) -> int:
    return info.config.num_replicas or 1


async def _apply(bus: Bus, config: StreamConfig, present: StreamInfo | None) -> StreamInfo:
    config = config.evolve(num_replicas=max(bus.replicas, _copies(present) if present else 1))
    loop = asyncio.get_running_loop()
    refused_from = loop.time() + NODES_COME_SECONDS
    while True:
        try:
            info = await (bus.js.update_stream(config) if present else bus.js.add_stream(config))
        except nats.js.errors.APIError as error:
            if error.err_code not in (NOT_CLUSTERED, NO_PEERS):
                raise
            if error.err_code == NOT_CLUSTERED or loop.time() > refused_from:
                raise ClusterTooSmallError(
                    f"PANTAU_NATS_REPLICAS={bus.replicas} takes {bus.replicas} nodes of NATS with JetStream, "
                    f"and there are fewer ({error.description}): add nodes (deploy/nats/cluster.conf) or lower it"
                ) from error
            await asyncio.sleep(AGAIN_SECONDS)
            continue
        _warn_of_one_copy(bus, info)
        return info


def _warn_of_one_copy(bus: Bus, info: StreamInfo) -> None:
    if bus.clustered and _copies(info) == 1:
        log.warning(
            "bus.one_copy",
            stream=info.config.name,
            consequence="one node keeps it; while that node is away, nothing of it is read or written",
            remedy="PANTAU_NATS_REPLICAS=3",
        )
