"""Media straight to the wire: one write a loop turn, in order, refused where the connection is away or far behind."""

import asyncio
from typing import Any

import pytest

from services.mesh.media_writer import MAX_UNSENT_BYTES, MediaWriter


class FakeSocket:
    """The connection's."""

    def fileno(self) -> int:
        """See ``socket.socket``."""
        return 9


class Wire(asyncio.WriteTransport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.unsent = 0
        self.closing = False
        self.secure = False

    def is_closing(self) -> bool:
        """See ``asyncio.WriteTransport``."""
        return self.closing

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """A socket, and of TLS what stands for it."""
        return {"socket": FakeSocket(), "ssl_object": object() if self.secure else None}.get(name, default)

    def write(self, data: Any) -> None:
        """See ``asyncio.WriteTransport``."""
        self.writes.append(bytes(data))

    def writelines(self, list_of_data: Any) -> None:
        """See ``asyncio.WriteTransport``."""
        self.write(b"".join(list_of_data))

    def get_write_buffer_size(self) -> int:
        """See ``asyncio.WriteTransport``."""
        return self.unsent


async def test_what_is_published_in_one_turn_goes_in_one_write() -> None:
    wire = Wire()
    writer = MediaWriter(lambda: wire)
    assert writer.publish("a.b", b"one")
    assert writer.publish("a.c", b"")
    assert wire.writes == []
    await asyncio.sleep(0)
    assert wire.writes == [b"PUB a.b 3\r\none\r\nPUB a.c 0\r\n\r\n"]
    assert writer.publish("a.b", b"two")
    await asyncio.sleep(0)
    assert wire.writes[1:] == [b"PUB a.b 3\r\ntwo\r\n"]


async def test_a_server_that_reads_too_slowly_is_sent_no_more() -> None:
    wire = Wire()
    writer = MediaWriter(lambda: wire)
    wire.unsent = MAX_UNSENT_BYTES + 1
    assert not writer.publish("a.b", b"one")
    wire.unsent = MAX_UNSENT_BYTES - 2
    assert writer.publish("a.b", b"one")
    assert not writer.publish("a.b", b"two")
    wire.unsent = 0
    await asyncio.sleep(0)
    assert wire.writes == [b"PUB a.b 3\r\none\r\n"]


async def test_a_connection_that_is_away_takes_nothing_and_one_that_goes_in_between_loses_it() -> None:
    here: list[Wire] = []
    writer = MediaWriter(lambda: here[0] if here else None)
    assert not writer.publish("a.b", b"one")
    here.append(Wire())
    assert writer.publish("a.b", b"two")
    lost = here.pop()
    await asyncio.sleep(0)
    assert lost.writes == []


@pytest.fixture
def rests(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The sleeps of the whole process, each noted and none slept."""
    rests: list[float] = []
    monkeypatch.setattr("time.sleep", rests.append)
    return rests


async def test_a_process_that_rests_after_a_write_handles_together_what_came_meanwhile(rests: list[float]) -> None:
    wire = Wire()
    writer = MediaWriter(lambda: wire)
    writer.rest_seconds = 0.02
    assert writer.publish("a.b", b"one")
    await asyncio.sleep(0)
    assert wire.writes == [b"PUB a.b 3\r\none\r\n"]
    assert rests == []
    await asyncio.sleep(0)
    assert rests == [0.02]


async def test_nothing_that_was_published_waits_for_the_rest(rests: list[float]) -> None:
    wire = Wire()
    writer = MediaWriter(lambda: wire)
    writer.rest_seconds = 0.5
    assert writer.publish("a.b", b"one")
    await asyncio.sleep(0)
    assert writer.publish("a.b", b"two")
    await asyncio.sleep(0)
    assert len(wire.writes) == 2
    assert rests == []


async def test_lines_that_were_made_elsewhere_go_at_once_and_behind_what_waits() -> None:
    wire = Wire()
    writer = MediaWriter(lambda: wire)
    assert writer.publish_lines(b"PUB a.b 3\r\none\r\n")
    assert wire.writes == [b"PUB a.b 3\r\none\r\n"]
    assert writer.publish("a.b", b"two")
    assert writer.publish_lines(b"PUB a.b 5\r\nthree\r\n")
    await asyncio.sleep(0)
    assert wire.writes[1:] == [b"PUB a.b 3\r\ntwo\r\nPUB a.b 5\r\nthree\r\n"]
    wire.unsent = MAX_UNSENT_BYTES + 1
    assert not writer.publish_lines(b"PUB a.b 3\r\none\r\n")


async def test_the_process_rests_once_behind_all_lines_of_a_turn(rests: list[float]) -> None:
    wire = Wire()
    writer = MediaWriter(lambda: wire)
    writer.rest_seconds = 0.5
    writer.rest()
    assert writer.publish_lines(b"PUB a.b 3\r\none\r\n")
    assert writer.publish_lines(b"PUB a.b 3\r\ntwo\r\n")
    assert rests == []
    writer.rest()
    writer.rest()
    assert rests == [0.5]


async def test_lines_that_the_kernel_has_not_taken_go_out_before_the_rest(rests: list[float]) -> None:
    wire = Wire()
    writer = MediaWriter(lambda: wire)
    writer.rest_seconds = 0.5
    assert writer.publish_lines(b"PUB a.b 3\r\none\r\n")
    wire.unsent = 10
    writer.rest()
    assert rests == []
    await asyncio.sleep(0)
    assert rests == [0.5]


async def test_what_was_published_beside_lines_goes_out_before_the_rest(rests: list[float]) -> None:
    wire = Wire()
    writer = MediaWriter(lambda: wire)
    writer.rest_seconds = 0.5
    assert writer.publish_lines(b"PUB a.b 3\r\none\r\n")
    assert writer.publish("a.b", b"two")
    writer.rest()
    assert rests == []
    await asyncio.sleep(0)
    assert wire.writes[1:] == [b"PUB a.b 3\r\ntwo\r\n"]
    await asyncio.sleep(0)
    assert rests == [0.5]


async def test_the_socket_is_lent_while_nothing_waits_in_front_of_what_is_written_to_it() -> None:
    wire = Wire()
    here = [wire]
    writer = MediaWriter(lambda: here[0] if here else None)
    assert writer.lend_socket() == 9
    writer.publish("a.b", b"one")
    assert writer.lend_socket() == -1
    await asyncio.sleep(0)
    assert writer.lend_socket() == 9
    for name, value in (("unsent", 1), ("closing", True), ("secure", True)):
        here[0] = Wire()
        setattr(here[0], name, value)
        assert writer.lend_socket() == -1, name
    here.clear()
    assert writer.lend_socket() == -1


async def test_the_rest_of_a_line_goes_to_the_connection_whatever_waits() -> None:
    wire = Wire()
    here = [wire]
    writer = MediaWriter(lambda: here[0] if here else None)
    wire.unsent = MAX_UNSENT_BYTES + 1
    writer.finish_line(b"e\r\n")
    assert wire.writes == [b"e\r\n"]
    here.clear()
    writer.finish_line(b"gone with its connection")
    assert wire.writes == [b"e\r\n"]
