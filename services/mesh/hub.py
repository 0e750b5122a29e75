"""An owner's side of a hub: joins it, and says which cameras it may watch.

The account `HUB_ACCOUNT` takes from the mesh's own what was granted, under the name that the owner has at the hub, and
its nats-server is a leaf node that joins this account to the owner's at the hub. Live video of a camera that is not
granted does not leave the owner's server, also where the hub asks for it.
"""

import datetime as dt
import time
from collections.abc import Sequence
from typing import Final

from services.contracts import subjects
from services.contracts.errors import ConflictError, InvalidInputError, NotFoundError
from services.contracts.sites import SERVICE
from services.mesh import leaf_nodes
from services.mesh.authority import CITY, SYS_USER, Authority
from services.mesh.leaf_nodes import HUB_ACCOUNT, Joined
from services.mesh.nats_claims import UNLIMITED, AccountClaims, AccountLimits, Export, Import
from services.mesh.settings import MeshSettings
from services.mesh.sites import Invitation, connected, shared_by

ALL: Final = "*"
"""Stands for every camera of the mesh's own site."""


class Hub:
    """Joins a hub with the keys of the owner's `Authority`, on its running nats-server."""

    def __init__(self, authority: Authority, settings: MeshSettings) -> None:
        """``settings`` say where nats-server is, and its CA."""
        self._authority = authority
        self._settings = settings

    @property
    def joined(self) -> Joined:
        """The hub that was joined; raises `NotFoundError`."""
        found = leaf_nodes.joined(self._authority)
        if found is None:
            raise NotFoundError("this mesh has joined no hub: 'pantau site join FILE' does, with the hub's invitation")
        return found

    @property
    def granted(self) -> tuple[str, ...]:
        """The cameras that the hub may watch; `ALL` stands for all."""
        return tuple(self._authority.note(HUB_ACCOUNT).get("cameras", ()))

    async def join(self, invitation: Invitation) -> None:
        """Connects to the hub; a renewed invitation of the same one replaces that of before.

        Raises `ConflictError`, `InvalidInputError`, `UnavailableError`.
        """
        authority = self._authority
        present = leaf_nodes.joined(authority)
        if present is not None and (present.hub, present.site) != (invitation.hub, invitation.site):
            raise ConflictError(f"this mesh has joined {present.hub} as {present.site}: 'pantau site leave' first")
        if dt.date.fromisoformat(invitation.until) < dt.datetime.fromtimestamp(time.time(), dt.UTC).date():
            raise InvalidInputError(f"the invitation ended on {invitation.until}: ask the hub for another")
        to = Joined(invitation.hub, invitation.site, f"tls://{invitation.address}", invitation.until)
        async with connected(authority, self._settings, SYS_USER) as system:
            authority.save_account(CITY, self._city(shared_by(authority.home)))
            await authority.push(system, CITY)
            cameras = self.granted if present is not None else ()
            self._save(to.site, cameras)
            await authority.push(system, HUB_ACCOUNT)
        leaf_nodes.keep_joined(authority, to, invitation.ca, invitation.creds)

    async def grant(self, cameras: Sequence[str]) -> tuple[str, ...]:
        """The hub may watch these from now on, too; returns all that it may. Raises as `withdraw` does."""
        return await self._change(set(self.granted) | set(_checked(cameras)))

    async def withdraw(self, cameras: Sequence[str]) -> tuple[str, ...]:
        """The hub may not watch these any more, which counts at once; `ALL`: none. Returns those that it still may.

        Raises `NotFoundError`, `ConflictError`, `InvalidInputError`, `UnavailableError`.
        """
        gone, present = set(_checked(cameras)), set(self.granted)
        if ALL in present and ALL not in gone:
            raise ConflictError("all cameras are granted: withdraw all, and grant those that shall stay")
        return await self._change(set() if ALL in gone else present - gone)

    async def leave(self) -> None:
        """Ends the connection, and what was granted. Raises `NotFoundError`, `UnavailableError`."""
        await self.withdraw([ALL])
        authority = self._authority
        leaf_nodes.forget_joined(authority)
        async with connected(authority, self._settings, SYS_USER) as system:
            authority.save_account(CITY, self._city(()))
            await authority.push(system, CITY)
            await authority.revoke(system, HUB_ACCOUNT)

    async def _change(self, cameras: set[str]) -> tuple[str, ...]:
        to = self.joined
        kept = (ALL,) if ALL in cameras else tuple(sorted(cameras))
        self._save(to.site, kept)
        async with connected(self._authority, self._settings, SYS_USER) as system:
            await self._authority.push(system, HUB_ACCOUNT)
        return kept

    def _save(self, site: str, cameras: Sequence[str]) -> None:
        """The account with the connection's own and with what is granted."""
        home, city = self._authority.home, self._authority.account_key(CITY).public
        own, there = (subjects.rpc(each, SERVICE, "*") for each in (home, site))
        imports = [Import(own, city, "service", there)]
        for camera in cameras:
            there = subjects.media(site, "$1", "$2" if camera == ALL else camera)
            imports.append(Import(subjects.media(home, "*", camera), city, "stream", there))
            own, there = (subjects.want(each, "*", camera) for each in (home, site))
            imports.append(Import(own, city, "service", there))
        limits = AccountLimits(connections=UNLIMITED, leafs=UNLIMITED)
        self._authority.save_account(
            HUB_ACCOUNT, AccountClaims(limits, imports=tuple(imports)), {"cameras": list(cameras)}
        )

    def _city(self, exports: Sequence[Export]) -> AccountClaims:
        claims = self._authority.claims(CITY)
        own = {each.subject for each in shared_by(self._authority.home)}
        return claims._replace(exports=(*(each for each in claims.exports if each.subject not in own), *exports))


def _checked(cameras: Sequence[str]) -> Sequence[str]:
    wrong = [each for each in cameras if each != ALL and not subjects.is_id(each)]
    if wrong or not cameras:
        raise InvalidInputError(f"{', '.join(wrong) or 'nothing'} names no camera; give ids, or 'all'")
    return cameras
