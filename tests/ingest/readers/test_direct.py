"""The direct reader's connection; what it reads is tested with servers in `tests/integration`."""

import asyncio

from services.ingest.readers.direct import RtspProtocol


class Wire(asyncio.Transport):
    """A transport that tells whether it is read."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        self.calls.append("pause")

    def resume_reading(self) -> None:
        self.calls.append("resume")


class Session:
    """Counts bytes."""

    reads_itself = False

    def __init__(self) -> None:
        self.buffer = bytearray(1000)
        self.counts: list[int] = []

    def connected(self, transport: asyncio.Transport) -> None:
        assert isinstance(transport, Wire)

    def room(self) -> memoryview:
        return memoryview(self.buffer)

    def received(self, count: int) -> None:
        self.counts.append(count)


async def test_a_read_that_fills_the_buffer_lets_other_work_of_the_loop_in_before_the_next() -> None:
    wire, session = Wire(), Session()
    protocol = RtspProtocol(session)  # type: ignore[arg-type]  # the part of it that a connection calls
    protocol.connection_made(wire)
    protocol.get_buffer(65_536)
    protocol.buffer_updated(1000)
    assert wire.calls == ["pause"]
    await asyncio.sleep(0)
    assert wire.calls == ["pause", "resume"]
    protocol.get_buffer(65_536)
    protocol.buffer_updated(999)
    assert wire.calls == ["pause", "resume"]
    assert session.counts == [1000, 999]
