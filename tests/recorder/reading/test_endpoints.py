"""How what recorders read gets out of its thread."""

import threading
from collections.abc import Iterator
from contextlib import aclosing

import pytest

from services.recorder.reading.endpoints import in_thread


class Read:
    """Counts how often it was gone on with in one go, and whether it was closed."""

    def __init__(self) -> None:
        self.threads: list[int] = []
        self.closed = False

    def items(self, count: int) -> Iterator[int]:
        try:
            for number in range(count):
                self.threads.append(threading.get_ident())
                yield number
        finally:
            self.closed = True


@pytest.mark.parametrize("count", [0, 1, 2, 3, 31, 100])
@pytest.mark.parametrize("at_once", [1, 8])
async def test_everything_comes_in_order_and_nothing_is_read_in_the_loop(count: int, at_once: int) -> None:
    read = Read()
    assert [item async for item in in_thread(read.items(count), at_once)] == list(range(count))
    assert threading.get_ident() not in read.threads
    assert read.closed


async def test_the_first_does_not_wait_for_others_and_who_leaves_ends_the_reading() -> None:
    read = Read()
    async with aclosing(in_thread(read.items(1000), 32)) as items:  # type: ignore[type-var]  # it is a generator
        assert await anext(items) == 0
        assert len(read.threads) == 1
        assert await anext(items) == 1
    assert read.closed
    assert len(read.threads) == 3
