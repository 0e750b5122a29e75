"""An owner's side of a hub: joins it, and says which cameras it may watch.

The account `HUB_ACCOUNT` takes from the mesh's own what was granted, under the name that the owner has at the hub, and
its nats-server is a leaf node that joins this account to the owner's at the hub. Video of a camera that is not granted
does not leave the owner's server, also where the hub asks for it.
"""

import asyncio
import datetime as dt
import time
from collections.abc import Iterable, Sequence
from typing import Final

from services.contracts import subjects
from services.contracts.errors import ConflictError, InvalidInputError, NotFoundError
from services.contracts.events import Audit
from services.contracts.permissions import SYSTEM, Right
from services.contracts.sites import GRANTABLE, SERVICE
from services.mesh import leaf_nodes
from services.mesh.authority import CITY, SYS_USER, Authority
from services.mesh.event_stream import EventOutbox
from services.mesh.hub_grants import ALL, ALWAYS, Granted, HubGrant, Window, counting, needed, read
from services.mesh.leaf_nodes import HUB_ACCOUNT, Joined
from services.mesh.nats_claims import UNLIMITED, AccountClaims, AccountLimits, Export, Import
from services.mesh.settings import MeshSettings
from services.mesh.sites import Invitation, connected, shared_by
from services.mesh.tasks import end

MAX_PURPOSE_CHARS: Final = 500
AUDIT_SECONDS: Final = 5.0
"""So long a change waits for the audit stream."""


class Hub:
    """Joins a hub with the keys of the owner's `Authority`, on its running nats-server."""

    def __init__(self, authority: Authority, settings: MeshSettings) -> None:
        """``settings`` say where nats-server is, and its CA."""
        self._authority = authority
        self._settings = settings
        self._told: tuple[Import, ...] | None = None

    @property
    def joined(self) -> Joined:
        """The hub that was joined; raises `NotFoundError`."""
        found = leaf_nodes.joined(self._authority)
        if found is None:
            raise NotFoundError("this mesh has joined no hub: 'pantau site join FILE' does, with the hub's invitation")
        return found

    @property
    def granted(self) -> Granted:
        """What the hub may do with which cameras, now and later."""
        return read(self._authority.note(HUB_ACCOUNT))

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
            self._save(to.site, self.granted if present is not None else ())
            await authority.push(system, HUB_ACCOUNT)
        leaf_nodes.keep_joined(authority, to, invitation.ca, invitation.creds)

    async def grant(
        self,
        cameras: Sequence[str],
        rights: Sequence[Right] = (Right.LIVE,),
        window: Window = ALWAYS,
        purpose: str = "",
    ) -> Granted:
        """The hub may do this with these, too; returns all that it may. Raises as `withdraw` does.

        What was granted before of the same right to the same camera has the new window and purpose.
        """
        if window.is_over(time.time()) or 0 < window.until_s <= window.from_s:
            raise InvalidInputError("--until: is over, or before --from")
        if len(purpose) > MAX_PURPOSE_CHARS:
            raise InvalidInputError(f"--purpose: at most {MAX_PURPOSE_CHARS} characters")
        new = [HubGrant(each, right, window, purpose) for each in _checked(cameras) for right in _grantable(rights)]
        named = {(each.camera, each.right) for each in new}
        kept = [each for each in self.granted if (each.camera, each.right) not in named]
        return await self._change([*kept, *new], "site-granted", new)

    async def withdraw(self, cameras: Sequence[str], rights: Sequence[Right] = GRANTABLE) -> Granted:
        """The hub may not do this with these any more, which counts at once; `ALL`: with none.

        Returns what it still may. Raises `NotFoundError`, `ConflictError`, `InvalidInputError`, `UnavailableError`.
        """
        gone, less = set(_checked(cameras)), set(_grantable(rights))
        granted = self.granted
        if ALL not in gone and any(each.camera == ALL and each.right in less for each in granted):
            raise ConflictError("all cameras are granted: withdraw all, and grant those that shall stay")
        ended = [each for each in granted if each.right in less and (ALL in gone or each.camera in gone)]
        return await self._change([each for each in granted if each not in ended], "site-withdrawn", ended)

    async def follow_times(self) -> None:
        """Tells nats-server what begins and what ends by now; to be called again and again.

        Raises `UnavailableError`, `AuthorityError`; the next call tells it then.
        """
        if leaf_nodes.joined(self._authority) is None:
            return
        taken = self._authority.taken(HUB_ACCOUNT)
        if taken != self._told:
            await self._tell()
            self._told = taken

    async def leave(self) -> None:
        """Ends the connection, and what was granted. Raises `NotFoundError`, `UnavailableError`."""
        await self.withdraw([ALL])
        authority = self._authority
        leaf_nodes.forget_joined(authority)
        async with connected(authority, self._settings, SYS_USER) as system:
            authority.save_account(CITY, self._city(()))
            await authority.push(system, CITY)
            await authority.revoke(system, HUB_ACCOUNT)

    async def _change(self, granted: Iterable[HubGrant], action: str, changed: Sequence[HubGrant]) -> Granted:
        to = self.joined
        kept = needed(granted, time.time())
        self._save(to.site, kept)
        await self._tell()
        await self._audit(action, to.hub, changed)
        return kept

    async def _tell(self) -> None:
        async with connected(self._authority, self._settings, SYS_USER) as system:
            await self._authority.push(system, HUB_ACCOUNT)

    async def _audit(self, action: str, hub: str, changed: Sequence[HubGrant]) -> None:
        """Enters the grants in the mesh's audit; `ALL` as the mesh's own site."""
        home, at_us = self._authority.home, time.time_ns() // 1000
        async with connected(self._authority, self._settings, "admin") as bus:
            outbox = EventOutbox(bus, source="/site")
            for each in changed:
                target = home if each.camera == ALL else each.camera
                detail = {"hub": hub, **each.told()}
                outbox.post(Audit.by(SYSTEM, site=home, at_us=at_us, target=target, action=action, detail=detail))
            sending = asyncio.create_task(outbox.run())
            await outbox.flush(AUDIT_SECONDS)
            await end([sending])

    def _save(self, site: str, granted: Granted) -> None:
        """The account with the connection's own and with what is granted."""
        home, city = self._authority.home, self._authority.account_key(CITY).public
        own, there = (subjects.rpc(each, SERVICE, "*") for each in (home, site))
        imports = [Import(own, city, "service", there)]
        for grant in granted:
            crossing = _crossing(home, site, city, grant.camera, grant.right)
            imports += [
                each._replace(from_s=window.from_s, until_s=window.until_s)
                for window in counting(grant, granted)
                for each in crossing
            ]
        limits = AccountLimits(connections=UNLIMITED, leafs=UNLIMITED)
        self._authority.save_account(
            HUB_ACCOUNT,
            AccountClaims(limits, imports=tuple(imports)),
            {"grants": [each.as_json() for each in granted]},
        )

    def _city(self, exports: Sequence[Export]) -> AccountClaims:
        claims = self._authority.claims(CITY)
        own = {each.subject for each in shared_by(self._authority.home)}
        return claims._replace(exports=(*(each for each in claims.exports if each.subject not in own), *exports))


def _crossing(home: str, site: str, city: str, camera: str, right: Right) -> list[Import]:
    """What the hub's account takes from the mesh's own, ``city``, for one right to one camera."""
    name = "$2" if camera == ALL else camera
    if right is Right.LIVE:
        own, there = (subjects.want(each, "*", camera) for each in (home, site))
        frames = Import(subjects.media(home, "*", camera), city, "stream", subjects.media(site, "$1", name))
        return [frames, Import(own, city, "service", there)]
    questions, askers = (subjects.footage_question(each, right, camera, "*", "*") for each in (home, site))
    control, controlling = (subjects.footage_credit(each, right, camera, "*") for each in (home, site))
    transfer, camera_there = ("$2", "$1") if camera == ALL else ("$1", camera)
    there = subjects.footage_data(site, right, camera_there, transfer)
    return [
        Import(questions, city, "service", askers),
        Import(control, city, "service", controlling),
        Import(subjects.footage_data(home, right, camera, "*"), city, "stream", there),
    ]


def _grantable(rights: Sequence[Right]) -> Sequence[Right]:
    wrong = [each for each in rights if each not in GRANTABLE]
    if wrong or not rights:
        raise InvalidInputError(
            f"{', '.join(wrong) or 'nothing'} cannot be granted to a hub: {', '.join(GRANTABLE)} can"
        )
    return rights


def _checked(cameras: Sequence[str]) -> Sequence[str]:
    wrong = [each for each in cameras if each != ALL and not subjects.is_id(each)]
    if wrong or not cameras:
        raise InvalidInputError(f"{', '.join(wrong) or 'nothing'} names no camera; give ids, or 'all'")
    return cameras
