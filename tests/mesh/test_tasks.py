"""Ending tasks for certain, also those that swallow a cancellation as `asyncio.wait_for` may on Python 3.11."""

import asyncio

from services.mesh.tasks import KnownTasks, end


async def stubborn(times: int) -> None:
    """Swallows so many cancellations."""
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            times -= 1
            if times < 0:
                raise


async def test_a_task_that_swallows_its_cancellation_is_cancelled_again() -> None:
    tasks = [asyncio.create_task(stubborn(times)) for times in (0, 1, 2)]
    await asyncio.sleep(0)
    async with asyncio.timeout(90):
        await end(tasks)
    assert all(task.cancelled() for task in tasks)


async def test_a_group_knows_who_still_runs() -> None:
    async with KnownTasks() as tasks:
        long = tasks.create_task(asyncio.sleep(60), name="long")
        short = tasks.create_task(asyncio.sleep(0))
        await short
        await asyncio.sleep(0)
        assert tasks.running == {long}
        long.cancel()
    assert tasks.running == set()
