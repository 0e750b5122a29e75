"""The inbox: nothing lost, in order, however threads and loop interleave."""

import asyncio
import threading

from services.ingest.inbox import Inbox


async def test_items_of_many_threads_arrive_complete_and_in_order() -> None:
    inbox: Inbox[tuple[int, int]] = Inbox(asyncio.get_running_loop())
    threads, each = 8, 2000

    def put(thread: int) -> None:
        for number in range(each):
            inbox.put((thread, number))

    for thread in range(threads):
        threading.Thread(target=put, args=(thread,), daemon=True).start()
    got: list[tuple[int, int]] = []
    async with asyncio.timeout(30):
        while len(got) < threads * each:
            got += await inbox.take()
    for thread in range(threads):
        assert [number for owner, number in got if owner == thread] == list(range(each))


async def test_a_put_from_the_loop_itself_wakes_the_taker() -> None:
    inbox: Inbox[int] = Inbox(asyncio.get_running_loop())
    asyncio.get_running_loop().call_later(0.01, inbox.put, 1)
    async with asyncio.timeout(1):
        assert await inbox.take() == [1]


def test_a_put_after_the_loop_is_nothing() -> None:
    # passes if nothing raises
    loop = asyncio.new_event_loop()
    inbox: Inbox[int] = Inbox(loop)
    loop.close()
    inbox.put(1)
