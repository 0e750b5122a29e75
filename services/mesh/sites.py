"""A hub's joined sites: each owner has an account of its own on nats-server, which one leaf node may be joined to.

The city's account takes three things from it, all under the owner's site: media while somebody watches, answers to
``want``, and answers of the owner's registry. Interest goes over the leaf node's connection and nothing else does, so a
camera that nobody watches costs nothing. The owner decides what is in that account (`services.mesh.hub`).
"""

import asyncio
import datetime as dt
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from cryptography import x509

from services.contracts import subjects
from services.contracts.errors import ConflictError, InvalidInputError, NotFoundError, UnavailableError
from services.contracts.permissions import SYSTEM as SYSTEM_ACTOR
from services.contracts.sites import SERVICE, JoinedSite, JoinedSites, SiteInput, SiteKey
from services.mesh import leaf_nodes, rpc
from services.mesh.authority import CITY, EVERYTHING, SYS_USER, Authority
from services.mesh.bus import Bus
from services.mesh.leaf_nodes import Listening
from services.mesh.nats_claims import AccountClaims, AccountLimits, Export, Import
from services.mesh.nkeys import BadKeyError, Creds
from services.mesh.settings import MeshSettings

PREFIX: Final = "SITE_"
SUBSCRIPTIONS: Final = 20_000
LEAFS: Final = 4
"""One is used. After a cut the one before may be thought alive for a while."""
CONNECT_SECONDS: Final = 10.0
_FORMAT: Final = "pantau-invitation-1"


class Invitation(NamedTuple):
    """The file that an owner gets."""

    site: str
    hub: str
    """The hub's own site."""
    address: str
    ca: str
    """PEM."""
    creds: str
    until: str

    def text(self) -> str:
        """The file."""
        return json.dumps({"format": _FORMAT, **self._asdict()}, indent=1) + "\n"

    @classmethod
    def read(cls, path: Path) -> "Invitation":
        """Raises `InvalidInputError`."""
        try:
            given: dict[str, Any] = json.loads(path.read_text())
            found = cls(*(given[name] for name in cls._fields))
            Listening.parse(found.address)
            dt.date.fromisoformat(found.until)
            x509.load_pem_x509_certificates(found.ca.encode())  # with a bad one nats-server would not start again
            Creds.parse(found.creds)
            whole = given["format"] == _FORMAT and subjects.is_id(found.site) and subjects.is_id(found.hub)
        except OSError as error:
            raise InvalidInputError(f"cannot read {path}: {error.strerror}") from error
        except (ValueError, KeyError, TypeError, AttributeError, InvalidInputError, BadKeyError):
            whole = False
        if not whole:
            raise InvalidInputError(f"{path} is no invitation of 'pantau site invite'")
        return found


class Sites:
    """Invites, lists and revokes owners with the keys of the hub's `Authority`, on its running mesh."""

    def __init__(self, authority: Authority, settings: MeshSettings) -> None:
        """``settings`` say where nats-server is, and its CA."""
        self._authority = authority
        self._settings = settings

    async def all(self) -> list[JoinedSite]:
        """Those that were invited and not revoked. Raises `UnavailableError`."""
        async with self._as("admin") as bus:
            answer = await rpc.call(bus, self._registry("sites-list"), rpc.Nothing(), JoinedSites, actor=SYSTEM_ACTOR)
        return list(answer.sites)

    async def invite(
        self, site: str, until: dt.date, where: Listening | None = None, *, replace: bool = False
    ) -> Invitation:
        """Makes the owner's account. ``where`` is needed at the first time.

        Raises `ConflictError`, `InvalidInputError`, `UnavailableError`.
        """
        authority, account = self._authority, PREFIX + site
        if not subjects.is_id(site) or site == authority.home:
            raise InvalidInputError(f"{site!r} cannot be a site's name: use [a-z0-9-], and not this mesh's own")
        known = account in authority.account_names()
        if known and not replace:
            raise ConflictError(f"{site} was invited already: --replace invites it anew, 'revoke' ends it")
        if until == dt.date.max:
            raise InvalidInputError(f"--until: {until} has no day behind it; name an earlier one")
        ends_s = int(dt.datetime.combine(until + dt.timedelta(days=1), dt.time(), dt.UTC).timestamp())
        if ends_s <= time.time():
            raise InvalidInputError(f"--until: {until} is over")
        present = leaf_nodes.listening(authority)
        where = where or present
        if where is None:
            raise InvalidInputError(
                "--address: give the name or the address, and the port, by which owners reach this hub"
            )
        if present is None or present.port != where.port:
            leaf_nodes.require_free(where)
        async with self._as("admin") as bus:
            await rpc.call(
                bus,
                self._registry("sites-add"),
                SiteInput(site=site, until_us=ends_s * 1_000_000),
                JoinedSite,
                actor=SYSTEM_ACTOR,
            )
        claims = AccountClaims(
            AccountLimits(connections=0, leafs=LEAFS, subscriptions=SUBSCRIPTIONS),
            exports=shared_by(site),
            expires_s=ends_s,
            revoked_before_s=int(time.time()) - 1 if known else 0,
        )
        async with self._as(SYS_USER) as system:
            authority.save_account(account, claims, {"until": until.isoformat()})
            await authority.push(system, account)
            await self._take_from_sites(system)
        leaf_nodes.listen(authority, where)
        creds = authority.user_creds(account, site, EVERYTHING, expires_s=ends_s)
        ca = leaf_nodes.ca_path(authority).read_text()
        return Invitation(site, authority.home, str(where), ca, creds.text(), until.isoformat())

    async def revoke(self, site: str) -> None:
        """Ends an owner's connection at once; the mesh forgets its cameras.

        Raises `NotFoundError`, `UnavailableError`.
        """
        account = PREFIX + site
        known = account in self._authority.account_names()
        if known:
            async with self._as(SYS_USER) as system:
                await self._authority.revoke(system, account)
                await self._take_from_sites(system)
        async with self._as("admin") as bus:  # also after a call that came only so far
            try:
                await rpc.call(bus, self._registry("sites-remove"), SiteKey(site=site), rpc.Nothing, actor=SYSTEM_ACTOR)
            except NotFoundError as error:
                if not known:
                    raise NotFoundError(
                        f"{site!r} was not invited; 'pantau site list' names those that were"
                    ) from error

    async def _take_from_sites(self, system: Bus) -> None:
        """The city's account takes what each site's gives."""
        authority = self._authority
        imports: list[Import] = []
        for name in authority.account_names():
            if name.startswith(PREFIX):
                key = authority.account_key(name).public
                exports = shared_by(name.removeprefix(PREFIX))
                imports += [Import(each.subject, key, each.kind) for each in exports]
        authority.save_account(CITY, authority.claims(CITY)._replace(imports=tuple(imports)))
        await authority.push(system, CITY)

    def _registry(self, endpoint: str) -> str:
        return subjects.rpc(self._authority.home, "registry", endpoint)

    @asynccontextmanager
    async def _as(self, user: str) -> AsyncIterator[Bus]:
        async with connected(self._authority, self._settings, user) as bus:
            yield bus


@asynccontextmanager
async def connected(authority: Authority, settings: MeshSettings, user: str) -> AsyncIterator[Bus]:
    """Signed in at the mesh's nats-server as one of the authority's users. Raises `UnavailableError`."""
    own = settings.model_copy(update={"nats_creds": authority.creds_path(user)})
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            bus = await Bus.connect(own, user)
    except TimeoutError as error:
        raise UnavailableError(
            f"nats-server does not let us in at {settings.nats_url}: is it running, is that its address, and did these "
            "keys make its configuration?"
        ) from error
    try:
        yield bus
    finally:
        await bus.close()


def shared_by(site: str) -> tuple[Export, ...]:
    """What an account with the cameras of ``site`` gives to the account that is joined to it."""
    return (
        Export(subjects.media(site, "*", "*")),
        Export(subjects.want(site, "*", "*"), "service", many_answers=True),
        Export(subjects.rpc(site, SERVICE, "*"), "service"),
        Export(subjects.footage_question(site, "*", "*", "*", "*"), "service"),
        Export(subjects.footage_credit(site, "*", "*", "*"), "service"),
        Export(subjects.footage_data(site, "*", "*", "*")),
    )
