"""The promises that are about time, each measured some times and held against a fixed bound.

`make test` proves that a thing happens; this proves how soon. The bounds are for a machine that does nothing else.
"""

from bench.check import failures, ingest, page, recordings, relays, wall
from bench.check.promise import COLUMNS, Promise
from bench.report import table
from services.mesh import log


async def run(*, quick: bool) -> bool:
    """Prints every promise with its figures; false where one is missed."""
    log.configure("bench", level="error")
    promises: list[Promise] = []
    for group in (relays.measure, ingest.measure, recordings.measure, wall.measure, page.measure, failures.measure):
        found = await group(quick=quick)
        print("\n".join(promise.line() for promise in found), flush=True)
        promises += found
    rows = [promise.row() for promise in promises]
    missed = sum(not promise.kept for promise in promises)
    note = f"{missed} of {len(promises)} promises are missed." if missed else f"All {len(promises)} promises are kept."
    print(table("What is promised", COLUMNS, rows, note))
    return not missed
