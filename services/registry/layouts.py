"""Answers the ``layouts-*`` questions: saved walls, and which one each person opened last."""

from hashlib import sha256

from services.contracts.layouts import (
    Layout,
    LayoutDone,
    LayoutEntry,
    LayoutInput,
    LayoutList,
    LayoutQuery,
    LayoutUpdate,
    PersonWalls,
)
from services.contracts.permissions import Actor
from services.contracts.saved import SavedKey
from services.mesh.clock import Clock
from services.registry.ledger import Ledger, Ledgers
from services.registry.saved import SavedShelf


class Layouts:
    """Saved walls."""

    def __init__(self, ledgers: Ledgers, clock: Clock) -> None:
        self._shelf = SavedShelf(ledgers.layouts, Layout, clock, noun="layout")
        self._persons: Ledger[PersonWalls] = ledgers.persons

    async def list(self, _query: LayoutQuery, actor: Actor) -> LayoutList:
        """The walls that ``actor`` may see, and the one they opened last."""
        seen = tuple(LayoutEntry(layout=layout, revision=revision) for layout, revision in self._shelf.seen(actor))
        person = self._persons.get(_person_key(actor))
        last = person.last_layout if person else None
        return LayoutList(layouts=seen, last=last if any(entry.layout.id == last for entry in seen) else None)

    async def get(self, key: SavedKey, actor: Actor) -> LayoutEntry:
        """One wall; raises `NotFoundError`."""
        layout, revision = await self._shelf.get(key.id, actor)
        return LayoutEntry(layout=layout, revision=revision)

    async def save(self, given: LayoutInput, actor: Actor) -> LayoutEntry:
        """Saves a new wall; it is the one that ``actor`` opened last."""
        layout, revision = await self._shelf.save(given, actor)
        await self._remember(layout.id, actor)
        return LayoutEntry(layout=layout, revision=revision)

    async def update(self, update: LayoutUpdate, actor: Actor) -> LayoutEntry:
        """Changes a wall's fields."""
        given = update.patch.given()
        layout, revision = await self._shelf.change(update.id, update.revision, lambda _before: given, actor)
        return LayoutEntry(layout=layout, revision=revision)

    async def remove(self, key: SavedKey, actor: Actor) -> LayoutDone:
        """Removes a wall."""
        await self._shelf.remove(key.id, actor)
        return LayoutDone()

    async def open(self, key: SavedKey, actor: Actor) -> LayoutDone:
        """Remembers that ``actor`` opened a wall: their page begins with it."""
        layout, _revision = await self._shelf.get(key.id, actor)
        await self._remember(layout.id, actor)
        return LayoutDone()

    async def _remember(self, layout: str, actor: Actor) -> None:
        key = _person_key(actor)
        known = self._persons.get(key)
        if known is None or known.last_layout != layout:
            await self._persons.put(key, PersonWalls(last_layout=layout))


def _person_key(actor: Actor) -> str:
    """An account's name has signs that a bucket's key may not have."""
    return sha256(actor.name.encode()).hexdigest()[:32]
