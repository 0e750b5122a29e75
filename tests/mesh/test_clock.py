"""The clocks that tests turn, and what waits by them."""

import asyncio
import time

import pytest

from services.mesh.clock import Clock, ManualClock, SystemClock, TurnedClock, sleep, timeout


def test_a_manual_clock_calls_what_is_due_in_order_and_each_at_its_own_time() -> None:
    clock = ManualClock()
    begun, called = clock.monotonic(), list[tuple[str, float]]()

    def call(name: str, seconds: float) -> None:
        clock.call_later(seconds, lambda: called.append((name, clock.monotonic() - begun)))

    call("late", 3.0)
    call("early", 1.0)
    clock.call_later(2.0, lambda: call("chained", 0.5))
    clock.call_later(2.0, lambda: called.append(("cancelled", 0.0))).cancel()
    clock.advance(0.5)
    assert called == []
    clock.advance(2.25)
    assert called == [("early", 1.0), ("chained", 2.5)]
    clock.advance(10.0)
    assert called[2:] == [("late", 3.0)]
    assert clock.monotonic() - begun == 12.75


@pytest.mark.parametrize("clock", [ManualClock(), TurnedClock()], ids=["manual", "turned"])
async def test_what_sleeps_wakes_when_the_clock_is_turned_and_not_before(clock: ManualClock | TurnedClock) -> None:
    async def time_out() -> None:
        async with timeout(clock, 5000.0):
            await asyncio.Event().wait()

    sleeping, patient = asyncio.create_task(sleep(clock, 3000.0)), asyncio.create_task(time_out())
    await asyncio.sleep(0.01)
    clock.advance(2000.0)
    await asyncio.sleep(0.01)
    assert not sleeping.done()
    clock.advance(1500.0)
    await sleeping
    assert not patient.done()
    clock.advance(2000.0)
    with pytest.raises(TimeoutError):
        await patient


@pytest.mark.parametrize("clock", [SystemClock(), TurnedClock()], ids=["system", "turned"])
async def test_the_machine_s_clock_goes_by_itself_and_ends_no_block_that_is_done(clock: Clock) -> None:
    began = clock.monotonic()
    async with timeout(clock, 0.02):
        pass
    await sleep(clock, 0.03)
    assert clock.monotonic() - began >= 0.025
    before_us = time.time_ns() // 1000
    assert before_us <= clock.now_us() <= time.time_ns() // 1000
