"""How what recorders read gets out of its thread, and what a hub's question becomes."""

import threading
from collections.abc import Iterator
from contextlib import aclosing
from types import SimpleNamespace
from typing import Any

import pytest

from services.contracts.errors import UnavailableError
from services.contracts.permissions import SYSTEM, Right
from services.contracts.playback import PlaybackQuestion
from services.contracts.subjects import footage_data, footage_question
from services.recorder.reading.endpoints import TRANSFERS_TO_HUB, Endpoints, in_thread


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


def endpoints() -> Endpoints:
    unused: Any = None
    service: Any = SimpleNamespace(home="city")
    return Endpoints(service, "rec-1", None, footage=unused, coverage=unused, search=unused)


def question() -> PlaybackQuestion:
    deliver_to = footage_data("mall", "playback", "gate", "a1")
    return PlaybackQuestion(camera="other", site="elsewhere", from_us=0, to_us=1, deliver_to=deliver_to)


def test_a_hub_is_played_the_subjects_camera_of_the_owners_own_site_and_nothing_else() -> None:
    """With all cameras granted, one that names another site was played, too."""
    subject = footage_question("city", "playback", "gate", "rec-1", "playback")
    asked, actor = endpoints()._fit(question(), SYSTEM, subject)
    assert (asked.camera, asked.site) == ("gate", "city")
    assert asked.deliver_to == footage_data("city", "playback", "gate", "a1")
    assert actor.rights == frozenset({Right.PLAYBACK})


async def test_a_hub_has_so_many_transfers_at_once_and_no_more() -> None:
    answering = endpoints()
    answering._to_hub = TRANSFERS_TO_HUB
    with pytest.raises(UnavailableError, match="as much to the hub as it may"):
        await answering._send(question(), iter(()), "playback")
