"""What waits in connections is counted until it is read, and of closed ones nothing is."""

import asyncio
import socket
from collections.abc import Callable

import pytest
import uvloop

from services.ingest.readers.source_backlog import SourceBacklog
from tests.eventually import eventually


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_what_has_come_and_is_not_read_waits_and_a_closed_connection_has_nothing(
    loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(_count())


async def _count() -> None:
    backlog = SourceBacklog()
    camera, ours = socket.socketpair()
    transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=ours)
    backlog.add(transport)
    assert backlog.waiting_bytes() == 0
    transport.pause_reading()
    with camera:
        camera.sendall(bytes(1000))
        assert backlog.waiting_bytes() == 1000
        transport.resume_reading()
        await eventually(lambda: backlog.waiting_bytes() == 0)
        transport.pause_reading()
        camera.sendall(bytes(1000))
        transport.close()
        await eventually(lambda: backlog.waiting_bytes() == 0)
        backlog.discard(transport)


def test_datagrams_that_nobody_reads_wait_all_of_them() -> None:
    backlog = SourceBacklog()
    with socket.socket(type=socket.SOCK_DGRAM) as ours, socket.socket(type=socket.SOCK_DGRAM) as camera:
        ours.bind(("127.0.0.1", 0))
        backlog.add(ours)
        assert backlog.waiting_bytes() == 0
        for _ in range(10):
            camera.sendto(bytes(1000), ours.getsockname())
        assert backlog.waiting_bytes() >= 10_000
    assert backlog.waiting_bytes() == 0, "it is closed"
