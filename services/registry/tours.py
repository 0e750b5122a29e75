"""Answers the ``tours-*`` questions."""

from services.contracts.permissions import Actor
from services.contracts.saved import SavedKey
from services.contracts.screens import Tour, TourDone, TourEntry, TourInput, TourList, TourQuery, TourUpdate
from services.mesh.clock import Clock
from services.registry.ledger import Ledgers
from services.registry.saved import SavedShelf


class Tours:
    """Saved tours."""

    def __init__(self, ledgers: Ledgers, clock: Clock) -> None:
        self._shelf = SavedShelf(ledgers.tours, Tour, clock, noun="tour")

    async def list(self, _query: TourQuery, actor: Actor) -> TourList:
        """The tours that ``actor`` may see."""
        seen = self._shelf.seen(actor)
        return TourList(tours=tuple(TourEntry(tour=tour, revision=revision) for tour, revision in seen))

    async def get(self, key: SavedKey, actor: Actor) -> TourEntry:
        """One tour; raises `NotFoundError`."""
        tour, revision = await self._shelf.get(key.id, actor)
        return TourEntry(tour=tour, revision=revision)

    async def save(self, given: TourInput, actor: Actor) -> TourEntry:
        """Saves a new tour."""
        tour, revision = await self._shelf.save(given, actor)
        return TourEntry(tour=tour, revision=revision)

    async def update(self, update: TourUpdate, actor: Actor) -> TourEntry:
        """Changes a tour's fields."""
        given = update.patch.given()
        tour, revision = await self._shelf.change(update.id, update.revision, lambda _before: given, actor)
        return TourEntry(tour=tour, revision=revision)

    async def remove(self, key: SavedKey, actor: Actor) -> TourDone:
        """Removes a tour; a screen that runs it goes on."""
        await self._shelf.remove(key.id, actor)
        return TourDone()
