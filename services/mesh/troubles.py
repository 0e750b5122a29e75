"""Troubles of the mesh itself: told on a core subject by those who see them, and followed by those who show them."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from pydantic import ValidationError

from services.contracts import subjects
from services.contracts.models import Id
from services.contracts.troubles import Trouble, TroubleReport
from services.mesh.bus import Bus, BusMessage
from services.mesh.child import Child
from services.mesh.clock import Clock
from services.mesh.log import get_logger

log = get_logger()

TELL_SECONDS: Final = 2.0
FORGET_SECONDS: Final = 7.0
"""A trouble that is not repeated for so long is over."""


def crash_loops(children: Sequence[Child], machine: str) -> list[Trouble]:
    """Of those children that end again and again."""
    return [
        Trouble(
            kind="crash-loop",
            subject=child.name,
            detail=f"{child.name} on {machine} ends again and again; its log says why",
        )
        for child in children
        if child.is_looping
    ]


async def tell_troubles(bus: Bus, home: Id, source: str, current: Callable[[], Sequence[Trouble]]) -> None:
    """Tells ``current`` until it is cancelled. ``source`` is this process alone."""
    told = False
    while True:
        troubles = tuple(current())
        if troubles or told:
            await bus.publish(subjects.troubles(home), TroubleReport(source=source, troubles=troubles).pack())
        told = bool(troubles)
        await asyncio.sleep(TELL_SECONDS)


class TroubleBook:
    """The troubles of the whole mesh."""

    def __init__(self, bus: Bus, home: Id, clock: Clock) -> None:
        self._bus = bus
        self._home = home
        self._clock = clock
        self._told: dict[str, tuple[float, tuple[Trouble, ...]]] = {}

    def current(self) -> list[Trouble]:
        """All that is told, without doubles."""
        now = self._clock.monotonic()
        found = {trouble: None for at, told in self._told.values() if now - at < FORGET_SECONDS for trouble in told}
        return sorted(found, key=lambda trouble: (trouble.kind, trouble.subject))

    def text(self) -> str | None:
        """For ``/readyz``."""
        return "; ".join(trouble.detail for trouble in self.current()) or None

    async def run(self) -> None:
        """Follows what is told until it is cancelled."""
        subscription = await self._bus.subscribe(subjects.troubles(self._home), self._on_report)
        try:
            await asyncio.Event().wait()
        finally:
            await subscription.unsubscribe()

    async def _on_report(self, message: BusMessage) -> None:
        try:
            report = TroubleReport.unpack(message.data)
        except (ValidationError, ValueError) as error:
            log.warning("troubles.unreadable", error=error)
            return
        self._told[report.source] = (self._clock.monotonic(), report.troubles)
