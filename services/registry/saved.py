"""A bucket of things that people save: who sees them, who may change them, and compare-and-set for each change."""

from collections.abc import Callable
from typing import Final, Generic, TypeVar

from pydantic import ValidationError

from services.contracts.errors import ConflictError, ForbiddenError, InvalidInputError, NotFoundError
from services.contracts.models import Id
from services.contracts.permissions import Actor, Role
from services.contracts.requests import Repeatable, id_ending
from services.contracts.saved import Audience, SavedItem
from services.mesh.clock import Clock
from services.registry.ledger import Ledger

S = TypeVar("S", bound=SavedItem)

ATTEMPTS: Final = 5


class SavedShelf(Generic[S]):
    """Everybody keeps personal things; an operator shares; the owner or a supervisor changes what is shared."""

    def __init__(self, ledger: Ledger[S], model: type[S], clock: Clock, *, noun: str) -> None:
        """``noun`` names one thing in messages and begins its id."""
        self._ledger = ledger
        self._model = model
        self._clock = clock
        self._noun = noun

    def seen(self, actor: Actor) -> list[tuple[S, int]]:
        """What ``actor`` may see, by name, with revisions."""
        found = [entry for entry in self._ledger.entries.values() if entry[0].seen_by(actor)]
        return sorted(found, key=lambda entry: (entry[0].name.casefold(), entry[0].id))

    async def get(self, key: Id, actor: Actor) -> tuple[S, int]:
        """One thing; raises `NotFoundError`, also where ``actor`` may not see it."""
        entry = self._ledger.entries.get(key) or await self._ledger.fetch(key)
        if entry is None or not entry[0].seen_by(actor):
            raise NotFoundError(f"there is no {self._noun} {key!r}")
        return entry

    async def save(self, given: Repeatable, actor: Actor) -> tuple[S, int]:
        """Saves a new thing of ``actor``'s; asked again it is the one that was saved then."""
        key = f"{self._noun}-{id_ending(given.request_id, actor, 8)}"
        made = self._made(given.model_dump() | {"id": key, "owner": actor.name})
        _require_sharing(made, actor)
        try:
            return made, await self._ledger.create(key, made)
        except ConflictError:
            known = await self._ledger.fetch(key)
            if known is None or known[0].owner != actor.name:
                raise
            return known

    async def change(
        self, key: Id, revision: int | None, changed: Callable[[S], dict[str, object]], actor: Actor
    ) -> tuple[S, int]:
        """Changes a thing's fields; raises `ConflictError` where ``revision`` is not the last."""
        for _attempt in range(ATTEMPTS):
            before, current = await self.get(key, actor)
            if revision not in (None, current):
                raise ConflictError(f"{key} is at revision {current} by now, not {revision}; read it again")
            _require_owner(before, actor)
            after = self._made(before.model_dump() | changed(before))
            _require_sharing(after, actor)
            try:
                return after, await self._ledger.update(key, after, current)
            except ConflictError:
                if revision is not None:
                    raise
                await self._ledger.fetch(key)
        raise ConflictError(f"{key} keeps changing; try again")

    async def remove(self, key: Id, actor: Actor) -> None:
        """Removes a thing."""
        before, revision = await self.get(key, actor)
        _require_owner(before, actor)
        await self._ledger.delete(key, revision)

    def _made(self, fields: dict[str, object]) -> S:
        try:
            return self._model.model_validate(fields | {"changed_us": self._clock.now_us()})
        except ValidationError as error:
            raise InvalidInputError("; ".join(each["msg"] for each in error.errors())) from error


def _require_sharing(item: SavedItem, actor: Actor) -> None:
    if item.audience is not Audience.PERSONAL:
        actor.require(Role.OPERATOR)


def _require_owner(item: SavedItem, actor: Actor) -> None:
    if item.owner != actor.name and not actor.may(Role.SUPERVISOR):
        raise ForbiddenError(f"{item.name} is {item.owner}'s; they or a supervisor can change it")
