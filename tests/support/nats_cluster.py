"""Three real nats-servers on loopback, one cluster: deploy/nats as shipped, but for ports and where data is kept."""

import os
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from services.mesh.nats_server import NatsServer
from services.mesh.settings import MeshSettings
from tests.support.ports import free_port

SHIPPED = Path(__file__).parents[2] / "deploy" / "nats"
PASSWORD = "city-password"
NODES = 3


class NatsCluster:
    """The nodes, and how to stop one."""

    def __init__(self, nodes: list[NatsServer]) -> None:
        self.nodes = nodes

    def settings(self, *, replicas: int = 3, at: int | None = None) -> MeshSettings:
        """For a service that is given all nodes; with ``at`` that one alone, which tells it the others."""
        urls = ",".join(node.url for node in (self.nodes if at is None else [self.nodes[at]]))
        return MeshSettings.model_validate(
            {"nats_url": urls, "nats_user": "pantau", "nats_password": PASSWORD, "nats_replicas": replicas}
        )

    def node_at(self, url: str) -> NatsServer:
        """The node that listens there."""
        (node,) = (node for node in self.nodes if node.url.rpartition(":")[2] == url.rpartition(":")[2])
        return node


def freeze(node: NatsServer) -> None:
    """It keeps its connections and does nothing."""
    os.kill(node.pid, signal.SIGSTOP)


def thaw(node: NatsServer) -> None:
    """It goes on."""
    os.kill(node.pid, signal.SIGCONT)


@asynccontextmanager
async def cluster(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[NatsCluster]:
    """Started from the shipped files."""
    for name in ("PANTAU_NATS_PASSWORD", "NATS_SYS_PASSWORD", "NATS_POLICE_PASSWORD", "NATS_TRANSPORT_PASSWORD"):
        monkeypatch.setenv(name, PASSWORD)
    monkeypatch.setenv("NATS_CLUSTER_PASSWORD", "route-password")
    ports = [free_port() for _ in range(NODES)]
    for number, port in enumerate(ports, 1):
        monkeypatch.setenv(f"NATS_ROUTE_{number}", f"nats://route:route-password@127.0.0.1:{port}")
    nodes = []
    for number, port in enumerate(ports, 1):
        home = folder / f"nats-{number}"
        shutil.copytree(SHIPPED, home)
        text = (home / "nats.conf").read_text()
        text = text.replace("port: 4222", 'host: "127.0.0.1"\nport: -1').replace('http: "127.0.0.1:8222"', "")
        # NatsServer writes its own file as nats.conf; what is included stands beside it.
        (home / "node.conf").write_text(text.replace("/data/jetstream", str(home / "jetstream")))
        text = (home / "cluster.conf").read_text().replace('include "nats.conf"', 'include "node.conf"')
        text = text.replace("0.0.0.0:6222", f"127.0.0.1:{port}").replace("$NATS_NODE", f"nats-{number}")
        nodes.append(NatsServer(home, port=free_port(), text=text))
    async with AsyncExitStack() as stack:
        for node in nodes:
            await node.start()
            stack.push_async_callback(node.kill)
        yield NatsCluster(nodes)
