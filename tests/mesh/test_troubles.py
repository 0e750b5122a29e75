"""Troubles of the mesh: told while they last, and forgotten when they are not."""

import asyncio
import os
import sys

from services.contracts.troubles import Trouble
from services.mesh.bus import Bus
from services.mesh.child import Child
from services.mesh.clock import ManualClock
from services.mesh.troubles import FORGET_SECONDS, TroubleBook, crash_loops, tell_troubles
from tests.eventually import eventually

FULL = Trouble(kind="unassigned", subject="ingest", count=3, detail="3 cameras have no ingest: add one")


async def test_a_trouble_is_told_to_all_until_it_is_over_or_its_teller_is_gone(bus: Bus) -> None:
    clock = ManualClock()
    book = TroubleBook(bus, "city", clock)
    following = asyncio.create_task(book.run())
    seen = [FULL]
    tellers = [asyncio.create_task(tell_troubles(bus, "city", f"registry {n}", lambda: seen)) for n in (1, 2)]
    await eventually(lambda: book.current() == [FULL])
    assert book.text() == FULL.detail
    seen.clear()
    await eventually(lambda: book.text() is None)
    seen.append(FULL)
    await eventually(lambda: book.current() == [FULL])
    for teller in tellers:
        teller.cancel()
    await asyncio.gather(*tellers, return_exceptions=True)
    clock.advance(FORGET_SECONDS)
    assert book.current() == []
    following.cancel()


async def test_a_child_that_ends_again_and_again_is_in_a_crash_loop_and_one_that_was_killed_once_is_not() -> None:
    dying = Child("recorder", [sys.executable, "-c", ""], os.environ, grace_seconds=1)
    assert crash_loops([dying], "box-1") == []
    keeping = asyncio.create_task(dying.keep())
    await eventually(lambda: dying.starts == 1)
    assert crash_loops([dying], "box-1") == []
    await eventually(lambda: bool(crash_loops([dying], "box-1")))
    assert 5 <= dying.starts <= 6
    (told,) = crash_loops([dying], "box-1")
    assert (told.kind, told.subject) == ("crash-loop", "recorder")
    dying.stop()
    await keeping
