"""Answers the ``grants-*`` questions: who may do what with which cameras."""

from services.contracts.errors import ConflictError, NotFoundError
from services.contracts.permissions import Actor
from services.contracts.requests import id_ending
from services.contracts.rights import DEFAULT_GRANTS, Grant, GrantEntry, GrantInput, GrantKey
from services.mesh.clock import Clock
from services.registry.ledger import Ledgers


class Grants:
    """The grants that administrators have given, and the roles' own that they have taken away."""

    def __init__(self, ledgers: Ledgers, clock: Clock) -> None:
        self._ledger = ledgers.grants
        self._clock = clock

    async def add(self, given: GrantInput, actor: Actor) -> GrantEntry:
        """Gives a grant; asked again it is the one that was given then."""
        key = f"grant-{id_ending(given.request_id, actor, 12)}"
        now_us = self._clock.now_us()
        grant = Grant(**given.model_dump(), id=key, granted_by=actor.name, granted_us=now_us)
        try:
            return GrantEntry(grant=grant, revision=await self._ledger.create(key, grant))
        except ConflictError:
            known = await self._ledger.fetch(key)
            if known is None or known[0].granted_by != actor.name:
                raise
            return GrantEntry(grant=known[0], revision=known[1])

    async def remove(self, key: GrantKey, actor: Actor) -> GrantEntry:
        """Takes a grant away, which counts at once. Of a role's own an entry without rights stays; removing that gives
        it back."""
        entry = await self._ledger.fetch(key.id)
        default = DEFAULT_GRANTS.get(key.id)
        if entry is not None:
            await self._ledger.delete(key.id, entry[1])
            return GrantEntry(grant=default or entry[0], revision=0)
        if default is None:
            raise NotFoundError(f"there is no grant {key.id!r}")
        taken = {"rights": frozenset(), "granted_by": actor.name, "granted_us": self._clock.now_us()}
        gone = default.model_copy(update=taken)
        return GrantEntry(grant=gone, revision=await self._ledger.create(key.id, gone))
