"""Answers the ``screens-*`` questions: which screens there are, and what each is to show."""

from collections.abc import Callable
from typing import Final

from services.contracts.errors import ConflictError, NotFoundError
from services.contracts.layouts import Layout, LayoutTile
from services.contracts.permissions import Actor
from services.contracts.screens import (
    SEEN_SECONDS,
    Arrangement,
    Screen,
    ScreenKey,
    ScreenList,
    ScreenOrder,
    ScreenQuery,
    ScreenStop,
    Tour,
    TourStep,
)
from services.mesh.clock import Clock
from services.registry.ledger import Ledgers

ATTEMPTS: Final = 5
_GRIDS: Final = ("1", "2", "4", "9", "12", "16", "25", "36", "49", "64")
"""Of equal tiles: a step that names cameras is shown in the smallest with room for them."""


class Screens:
    """The registered screens."""

    def __init__(self, ledgers: Ledgers, clock: Clock) -> None:
        self._screens = ledgers.screens
        self._layouts = ledgers.layouts
        self._tours = ledgers.tours
        self._clock = clock

    async def list(self, _query: ScreenQuery, _actor: Actor) -> ScreenList:
        """All screens, by name."""
        return ScreenList(screens=tuple(self._screens.entries[key][0] for key in sorted(self._screens.entries)))

    async def here(self, key: ScreenKey, _actor: Actor) -> Screen:
        """A screen's page is there: registers it where it is new."""
        known = self._screens.get(key.id)
        now_us = self._clock.now_us()
        if known is not None and now_us - known.seen_us < SEEN_SECONDS * 500_000:
            return known
        return await self._change(key.id, lambda screen: screen.model_copy(update={"seen_us": now_us}))

    async def show(self, order: ScreenOrder, actor: Actor) -> Screen:
        """Sends a wall or a tour to a screen; one that is not there yet shows it when it comes.

        Raises `NotFoundError` for a tour that is gone, or of which all saved walls are.
        """
        stops: tuple[ScreenStop, ...] = ()
        name = ""
        if order.tour is not None:
            tour = self._tours.get(order.tour)
            if tour is None or not tour.seen_by(actor):
                raise NotFoundError(f"there is no tour {order.tour!r}")
            name, stops = tour.name, self._stops(tour)
            if not stops:
                raise NotFoundError(f"no wall of the tour {name!r} is there any more")
        sent = {
            "wall": order.wall,
            "tour": name,
            "stops": stops,
            "sent_us": self._clock.now_us(),
            "sent_by": actor.name,
        }
        return await self._change(order.id, lambda screen: screen.model_copy(update=sent))

    async def remove(self, key: ScreenKey, _actor: Actor) -> ScreenList:
        """Forgets a screen; one whose page is open comes back with its next sign of life."""
        entry = self._screens.entries.get(key.id) or await self._screens.fetch(key.id)
        if entry is None:
            raise NotFoundError(f"there is no screen {key.id!r}")
        await self._screens.delete(key.id, entry[1])
        return ScreenList(screens=())

    def _stops(self, tour: Tour) -> tuple[ScreenStop, ...]:
        """A tour's stops as walls: a screen needs no rights to the saved walls. Those that are gone are left out."""
        found = ((step, self._wall(step)) for step in tour.steps)
        return tuple(
            ScreenStop(wall=wall, dwell_seconds=step.dwell_seconds) for step, wall in found if wall is not None
        )

    def _wall(self, step: TourStep) -> Arrangement | None:
        if step.layout is not None:
            layout = self._layouts.get(step.layout)
            return _arrangement(layout) if layout else None
        grid = next(grid for grid in _GRIDS if int(grid) >= len(step.cameras))
        tiles = tuple(LayoutTile(camera=camera) for camera in step.cameras)
        return Arrangement.model_validate({"grid": grid, "tiles": tiles})

    async def _change(self, key: str, change: Callable[[Screen], Screen]) -> Screen:
        for _attempt in range(ATTEMPTS):
            entry = self._screens.entries.get(key) or await self._screens.fetch(key)
            after = change(entry[0] if entry else Screen(id=key))
            try:
                if entry is None:
                    await self._screens.create(key, after)
                else:
                    await self._screens.update(key, after, entry[1])
            except ConflictError:
                await self._screens.fetch(key)
            else:
                return after
        raise ConflictError(f"the screen {key} keeps changing; try again")


def _arrangement(layout: Layout) -> Arrangement:
    return Arrangement(grid=layout.grid, tiles=layout.tiles, hotspot=layout.hotspot)
