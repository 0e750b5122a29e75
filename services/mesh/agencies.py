"""Partner agencies: each has an account of its own on nats-server, with limits, one user, and a stream.

The account takes the kinds of events that were granted from the city's, and nothing else is in it: no frames, no
questions, no catalogue, no audit. The stream ``EVENTS`` keeps them while the agency is away. Creds and account end by
themselves at their date; nats-server then closes the connections.
"""

import asyncio
import datetime as dt
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

import nats.errors
from nats.js.api import DiscardPolicy, RetentionPolicy, StreamConfig

from services.contracts import subjects
from services.contracts.bus_rights import Rights
from services.contracts.errors import ConflictError, InvalidInputError, NotFoundError, UnavailableError
from services.mesh.authority import CITY, EVERYTHING, SYS_USER, Authority, write_secret
from services.mesh.bus import Bus
from services.mesh.nats_claims import AccountClaims, AccountLimits, Import
from services.mesh.settings import MeshSettings

KINDS: Final = ("camera", "recording", "incident")
STREAM: Final = "EVENTS"
PREFIX: Final = "AGENCY_"
STREAM_DAYS: Final = 30
CONSUMERS: Final = 16
CONNECT_SECONDS: Final = 10.0
_DAY: Final = dt.timedelta(days=1)
_MAKING_SECONDS: Final = 120
"""The user that makes an agency's stream lives so long."""


class AgencyLimits(NamedTuple):
    """What an agency may use of nats-server."""

    connections: int = 8
    subscriptions: int = 100
    payload_bytes: int = 64 * 1024
    """Of a message that it sends; it sends only questions for its stream."""
    stream_bytes: int = 2 * 1000**3


DEFAULT_LIMITS: Final = AgencyLimits()


class Agency(NamedTuple):
    """One that was added."""

    name: str
    events: tuple[str, ...]
    until: dt.date
    """The last day."""

    @property
    def ends_s(self) -> int:
        """When it ends, Unix time: at the end of its last day, UTC."""
        midnight = dt.datetime.combine(self.until + _DAY, dt.time(), dt.UTC)
        return int(midnight.timestamp())

    def has_ended(self, now_s: float) -> bool:
        """Whether its date is over."""
        return now_s >= self.ends_s


class Agencies:
    """Adds, lists and revokes agencies with the keys of an `Authority`, on a running nats-server."""

    def __init__(self, authority: Authority, settings: MeshSettings) -> None:
        """``settings`` say where nats-server is, and its CA."""
        self._authority = authority
        self._settings = settings

    def all(self) -> list[Agency]:
        """Those that were added and not revoked."""
        names = [name for name in self._authority.account_names() if name.startswith(PREFIX)]
        return [self._agency(name) for name in names]

    async def add(self, agency: Agency, limits: AgencyLimits = DEFAULT_LIMITS, *, replace: bool = False) -> str:
        """Makes the account and its stream; returns the text of the agency's creds file.

        ``replace`` renews one that is there: its stream and its place in it stay, creds of before end. Raises
        `ConflictError`, `InvalidInputError`, `UnavailableError`.
        """
        _check(agency)
        account = PREFIX + agency.name
        known = account in self._authority.account_names()
        if known and not replace:
            raise ConflictError(f"there is an agency {agency.name} already: --replace renews it, 'revoke' ends it")
        city = self._authority.account_key(CITY).public
        claims = AccountClaims(
            AccountLimits(
                connections=limits.connections,
                subscriptions=limits.subscriptions,
                payload_bytes=limits.payload_bytes,
                leafs=0,
                disk_bytes=limits.stream_bytes,
                streams=1,
                consumers=CONSUMERS,
            ),
            imports=tuple(Import(subject, city) for subject in _subjects(agency.events)),
            expires_s=agency.ends_s,
            revoked_before_s=int(time.time()) - 1 if known else 0,
        )
        async with self._system() as system:
            self._authority.save_account(
                account, claims, {"events": list(agency.events), "until": agency.until.isoformat()}
            )
            try:
                await self._authority.push(system, account)
                await self._make_stream(account, agency.events, limits.stream_bytes)
            except BaseException:
                if not known:
                    with suppress(UnavailableError):
                        await self._authority.revoke(system, account)
                    self._authority.forget_account(account)
                raise
        rights = _rights(agency.events)
        return self._authority.user_creds(account, agency.name, rights, expires_s=agency.ends_s).text()

    async def revoke(self, name: str) -> None:
        """Ends an agency's connections at once, and forgets its stream and its account.

        Raises `NotFoundError`, `UnavailableError`.
        """
        account = PREFIX + name
        if account not in self._authority.account_names():
            raise NotFoundError(f"there is no agency {name!r}; 'pantau agency list' names them")
        async with self._system() as system:
            if not self._agency(account).has_ended(time.time()):
                with suppress(UnavailableError):  # its store may be in trouble, which is no reason to let it on
                    await self._remove_stream(account)
            await self._authority.revoke(system, account)

    def _agency(self, account: str) -> Agency:
        note = self._authority.note(account)
        return Agency(account.removeprefix(PREFIX), tuple(note["events"]), dt.date.fromisoformat(note["until"]))

    @asynccontextmanager
    async def _system(self) -> AsyncIterator[Bus]:
        bus = await _connect(self._settings, self._authority.creds_path(SYS_USER))
        try:
            yield bus
        finally:
            await bus.close()

    async def _make_stream(self, account: str, events: Sequence[str], limit_bytes: int) -> None:
        config = StreamConfig(
            name=STREAM,
            subjects=_subjects(events),
            retention=RetentionPolicy.LIMITS,
            discard=DiscardPolicy.OLD,
            max_age=STREAM_DAYS * 86400,
            max_bytes=limit_bytes,
            no_ack=True,  # the city's own streams acknowledge to those who publish
        )
        async with self._inside(account) as bus:
            try:
                try:
                    await bus.js.stream_info(STREAM)
                except nats.js.errors.NotFoundError:
                    await bus.js.add_stream(config)
                else:
                    await bus.js.update_stream(config)
            except (nats.errors.Error, TimeoutError) as error:
                raise UnavailableError(f"nats-server does not make the agency's stream: {error}") from error

    async def _remove_stream(self, account: str) -> None:
        async with self._inside(account) as bus:
            try:
                await bus.js.delete_stream(STREAM)
            except nats.js.errors.NotFoundError:
                pass
            except (nats.errors.Error, TimeoutError) as error:
                raise UnavailableError(f"nats-server does not remove the agency's stream: {error}") from error

    @asynccontextmanager
    async def _inside(self, account: str) -> AsyncIterator[Bus]:
        """Connected within the account, as a user that may do everything there for a moment."""
        creds = self._authority.user_creds(account, "maker", EVERYTHING, expires_s=int(time.time()) + _MAKING_SECONDS)
        path = self._authority.folder / "creds" / f".{account}.creds"
        try:
            write_secret(path, creds.text())
            bus = await _connect(self._settings, path)
        finally:
            path.unlink(missing_ok=True)
        try:
            yield bus
        finally:
            await bus.close()


async def _connect(settings: MeshSettings, creds: Path) -> Bus:
    own = settings.model_copy(update={"nats_creds": creds})
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            return await Bus.connect(own, "agency")
    except TimeoutError as error:
        raise UnavailableError(
            f"nats-server does not let us in at {settings.nats_url}: is it running, is that its address, and did these "
            "keys make its configuration?"
        ) from error


def _check(agency: Agency) -> None:
    if not subjects.is_id(agency.name):
        raise InvalidInputError(f"{agency.name!r} cannot be an agency's name: use [a-z0-9-], at most 63 characters")
    wrong = [kind for kind in agency.events if kind not in KINDS]
    if wrong or not agency.events:
        raise InvalidInputError(
            f"--events: {', '.join(wrong) or 'nothing'} cannot be given to an agency; there are {', '.join(KINDS)}"
        )
    if agency.has_ended(time.time()):
        raise InvalidInputError(f"--until: {agency.until} is over")


def _subjects(events: Sequence[str]) -> list[str]:
    return [f"{subjects.ROOT}.*.{kind}.>" for kind in events]


def _rights(events: Sequence[str]) -> Rights:
    """Reading its own stream, and listening to what it was granted."""
    api = "$JS.API"
    reading = (
        f"{api}.INFO",
        f"{api}.STREAM.NAMES",
        f"{api}.STREAM.INFO.{STREAM}",
        f"{api}.STREAM.MSG.GET.{STREAM}",
        f"{api}.CONSUMER.CREATE.{STREAM}",
        f"{api}.CONSUMER.CREATE.{STREAM}.>",
        f"{api}.CONSUMER.DURABLE.CREATE.{STREAM}.*",
        f"{api}.CONSUMER.INFO.{STREAM}.*",
        f"{api}.CONSUMER.NAMES.{STREAM}",
        f"{api}.CONSUMER.LIST.{STREAM}",
        f"{api}.CONSUMER.MSG.NEXT.{STREAM}.*",
        f"{api}.CONSUMER.DELETE.{STREAM}.*",
        f"$JS.ACK.{STREAM}.>",
        f"$JS.FC.{STREAM}.>",
    )
    return Rights(reading, (*_subjects(events), "_INBOX.>"))
