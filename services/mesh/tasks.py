"""Ends tasks even where they swallow a cancellation."""

import asyncio
from collections.abc import Coroutine, Generator, Iterable
from contextvars import Context
from typing import Any, Final, TypeVar

T = TypeVar("T")

AGAIN_SECONDS: Final = 0.1


async def end(tasks: Iterable["asyncio.Task[Any]"]) -> None:
    """Cancels ``tasks`` until they have ended.

    Once is not enough on Python 3.11: ``asyncio.wait_for``, which nats-py waits with, swallows a cancellation that
    meets its result (python/cpython#86296).
    """
    waiting = set(tasks)
    while waiting:
        for task in waiting:
            task.cancel()
        _, waiting = await asyncio.wait(waiting, timeout=AGAIN_SECONDS)


async def first_set(events: Iterable[asyncio.Event], timeout_seconds: float) -> None:
    """Returns when any of ``events`` is set, or ``timeout_seconds`` have passed."""
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, timeout=timeout_seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


async def together(*coroutines: Coroutine[Any, Any, None]) -> None:
    """Runs them until all have ended, or one fails, which ends the others.

    Each cancellation reaches each of them, so `end` ends it. A task group passes on the first one alone.
    """
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class KnownTasks(asyncio.TaskGroup):
    """A task group that can tell which of its tasks still run."""

    def __init__(self) -> None:
        super().__init__()
        self.running: set[asyncio.Task[Any]] = set()

    def create_task(
        self,
        coro: Generator[Any, None, T] | Coroutine[Any, Any, T],
        *,
        name: str | None = None,
        context: Context | None = None,
    ) -> "asyncio.Task[T]":
        """See ``asyncio.TaskGroup.create_task``."""
        task = super().create_task(coro, name=name, context=context)
        self.running.add(task)
        task.add_done_callback(self.running.discard)
        return task
