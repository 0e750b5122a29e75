"""The publisher: lines that C writes to the bus's socket stand and fall with the lease, as all that is published."""

from services.ingest.publisher import Publisher
from services.mesh.clock import ManualClock


class BusDouble:
    """Lends a socket."""

    def __init__(self) -> None:
        self.finished: list[bytes] = []

    def lend_media_socket(self) -> int:
        return 9

    def finish_media_line(self, rest: bytes) -> None:
        self.finished.append(rest)


def test_the_socket_is_lent_until_the_lease_ends() -> None:
    clock = ManualClock()
    held_until = clock.monotonic() + 2.5
    publisher = Publisher(BusDouble(), clock, lambda: held_until)  # type: ignore[arg-type]  # what it needs of a bus
    assert publisher.lend_socket() == (9, round(held_until * 1e6))
    clock.advance(2.5)
    assert publisher.lend_socket() == (-1, 0)


def test_what_was_written_counts_as_published_and_a_torn_line_is_finished_without_a_lease_too() -> None:
    bus = BusDouble()
    publisher = Publisher(bus, ManualClock(), lambda: float("-inf"))  # type: ignore[arg-type]  # what it needs of a bus
    publisher.wrote_lines(2, 300, b"")
    publisher.wrote_lines(1, 100, b"rest")
    publisher.dropped_lines(5)
    assert (publisher.published, publisher.published_bytes, publisher.totals()["dropped_no_lease"]) == (3, 400, 5)
    assert bus.finished == [b"rest"]
