"""The registry's buckets in memory: each value with its revision, as mirrored from the bucket or written here."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, Generic, Self, TypeVar

from services.contracts import subjects
from services.contracts.accounts import RegistryAccount
from services.contracts.errors import UnavailableError
from services.contracts.imports import KeptImport
from services.contracts.layouts import Layout, PersonWalls
from services.contracts.models import Assignment, Camera, CameraState, Id, Incident, Model
from services.contracts.rights import Grant
from services.contracts.screens import Screen, Tour
from services.contracts.sites import JoinedSite
from services.contracts.workers import WorkerOrder
from services.mesh.buckets import Bucket, Mirror
from services.mesh.bus import Bus
from services.mesh.states import StateFeed

M = TypeVar("M", bound=Model)

WRITE_SECONDS: Final = 1.5
"""A request that has no answer, as while JetStream elects, or that is lost with its connection is given up after this
time. It may have been carried out: the mirror then shows it, and a repetition is refused by its revision."""


class Ledger(Generic[M]):
    """One bucket in memory. It reads its own writes, and writes by compare-and-set.

    So a registry that is no longer the leader overwrites nothing.
    """

    def __init__(self, bucket: Bucket[M], on_change: Callable[[str, M | None], None] | None = None) -> None:
        """``on_change(key, value or None)`` is called for changes by others and by this process alike."""
        self.entries: dict[str, tuple[M, int]] = {}
        """Key → value and revision."""
        self._bucket = bucket
        self._on_change = on_change
        self._mirror = Mirror(bucket, self._seen)
        self._written = 0

    @property
    def ready(self) -> asyncio.Event:
        """Set when the bucket's content at the start is known."""
        return self._mirror.ready

    @property
    def newest(self) -> int:
        """The highest revision that is known, of any key."""
        return max(self._written, self._mirror.newest)

    def get(self, key: str) -> M | None:
        """The value as known."""
        entry = self.entries.get(key)
        return entry[0] if entry else None

    async def run(self) -> None:
        """Follows the bucket until it is cancelled."""
        await self._mirror.run()

    async def fetch(self, key: str) -> tuple[M, int] | None:
        """The value and its revision, read from the bucket and not from the mirror, which may be behind."""
        async with _in_time(key):
            entry = await self._bucket.get(key)
        if entry is not None:
            self._keep(key, *entry)
        return entry

    async def create(self, key: str, value: M) -> int:
        """Writes a new key and returns its revision; raises `ConflictError` where the key exists."""
        async with _in_time(key):
            revision = await self._bucket.create(key, value)
        self._keep(key, value, revision)
        return revision

    async def update(self, key: str, value: M, revision: int) -> int:
        """Writes over ``revision`` and returns the new one; raises `ConflictError` where it is not the last."""
        async with _in_time(key):
            revision = await self._bucket.update(key, value, revision)
        self._keep(key, value, revision)
        return revision

    async def put(self, key: str, value: M) -> int:
        """Writes over any revision and returns the new one."""
        async with _in_time(key):
            revision = await self._bucket.put(key, value)
        self._keep(key, value, revision)
        return revision

    async def delete(self, key: str, revision: int) -> None:
        """Deletes the key at ``revision`` (0: at any); raises `ConflictError` where it is not the last."""
        async with _in_time(key):
            await self._bucket.delete(key, revision)
        self._drop(key, revision)

    async def scrub(self) -> None:
        """Takes former values from the disk. Raises `UnavailableError`."""
        await self._bucket.scrub()

    def _seen(self, key: str, value: M | None, revision: int) -> None:
        if value is None:
            self._drop(key, revision)
        else:
            self._keep(key, value, revision)

    def _keep(self, key: str, value: M, revision: int) -> None:
        known = self.entries.get(key)
        self._written = max(self._written, revision)
        if known is None or known[1] < revision:
            self.entries[key] = (value, revision)
            if self._on_change:
                self._on_change(key, value)

    def _drop(self, key: str, revision: int) -> None:
        known = self.entries.get(key)
        if known is not None and (revision == 0 or known[1] <= revision):
            del self.entries[key]
            if self._on_change:
                self._on_change(key, None)


@asynccontextmanager
async def _in_time(key: str) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(WRITE_SECONDS):
            yield
    except TimeoutError as error:
        raise UnavailableError(
            f"the bucket did not answer within {WRITE_SECONDS:g} s about {key}; look whether it has it, then try again"
        ) from error


@dataclass(frozen=True)
class Ledgers:
    """The buckets that the registry's parts share."""

    cameras: Ledger[Camera]
    assignments: Ledger[Assignment]
    states: Ledger[CameraState]
    incidents: Ledger[Incident]
    layouts: Ledger[Layout]
    persons: Ledger[PersonWalls]
    screens: Ledger[Screen]
    tours: Ledger[Tour]
    accounts: Ledger[RegistryAccount]
    orders: Ledger[WorkerOrder]
    grants: Ledger[Grant]
    imports: Ledger[KeptImport]
    sites: Ledger[JoinedSite]
    told: StateFeed
    """Of the states what the leader tells, with figures, which the bucket lacks."""
    plan_due: asyncio.Event
    """Set at each change of a camera, an assignment or an order; `Assigner` clears it."""
    changed_cameras: set[str]
    """Whose entry or ingest assignment has changed; `StateObserver` takes them."""

    @classmethod
    async def open(cls, bus: Bus, home: Id) -> Self:
        """Opens the buckets; waits while JetStream is away."""
        plan_due = asyncio.Event()
        changed_cameras: set[str] = set()

        def plan_again(_key: str, _value: object) -> None:
            plan_due.set()

        def note_camera(key: str, _value: object) -> None:
            changed_cameras.add(key)
            plan_due.set()

        def note_assignment(key: str, _value: object) -> None:
            changed_cameras.add(key.partition(".")[2])
            plan_due.set()

        return cls(
            cameras=Ledger(await Bucket.open(bus, subjects.CAMERAS_BUCKET, Camera), note_camera),
            assignments=Ledger(await Bucket.open(bus, subjects.ASSIGNMENTS_BUCKET, Assignment), note_assignment),
            states=Ledger(await Bucket.open(bus, subjects.STATE_BUCKET, CameraState)),
            incidents=Ledger(await Bucket.open(bus, subjects.INCIDENTS_BUCKET, Incident)),
            layouts=Ledger(await Bucket.open(bus, subjects.LAYOUTS_BUCKET, Layout)),
            persons=Ledger(await Bucket.open(bus, subjects.PERSONS_BUCKET, PersonWalls)),
            screens=Ledger(await Bucket.open(bus, subjects.SCREENS_BUCKET, Screen)),
            tours=Ledger(await Bucket.open(bus, subjects.TOURS_BUCKET, Tour)),
            accounts=Ledger(await Bucket.open(bus, subjects.ACCOUNTS_BUCKET, RegistryAccount)),
            orders=Ledger(await Bucket.open(bus, subjects.ORDERS_BUCKET, WorkerOrder), plan_again),
            grants=Ledger(await Bucket.open(bus, subjects.GRANTS_BUCKET, Grant)),
            imports=Ledger(await Bucket.open(bus, subjects.IMPORTS_BUCKET, KeptImport)),
            sites=Ledger(await Bucket.open(bus, subjects.SITES_BUCKET, JoinedSite)),
            told=StateFeed(bus, home, figures=True),
            plan_due=plan_due,
            changed_cameras=changed_cameras,
        )
