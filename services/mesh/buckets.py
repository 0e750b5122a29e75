"""JetStream KV buckets, typed, and mirrors that follow them over every reconnect."""

import asyncio
from collections.abc import Callable
from typing import Final, Generic, TypeVar

import nats.errors
import nats.js.errors
from nats.js.api import ConsumerConfig, DeliverPolicy, KeyValueConfig
from nats.js.kv import KeyValue
from pydantic import ValidationError

from services.contracts import subjects
from services.contracts.errors import ConflictError, UnavailableError
from services.contracts.imports import KEPT_SECONDS
from services.contracts.models import Model
from services.mesh.backoff import Backoff
from services.mesh.bus import Bus, BusMessage
from services.mesh.clock import SystemClock
from services.mesh.following import following
from services.mesh.log import get_logger
from services.mesh.replicas import keep_copies

log = get_logger()
M = TypeVar("M", bound=Model)

OPEN_AGAIN_SECONDS: Final = 0.5
TRIES_A_WARNING: Final = 10
"""A service that starts beside the registry waits for some tries, and nobody has to know."""
FOLLOW_AGAIN_SECONDS: Final = 0.25
SCRUB_KEY: Final = "-scrub"
"""No id: cameras' begin with a letter or a digit."""
SCRUB_BYTES: Final = 24 * 1024 * 1024
"""Three files of nats-server's (defaultLargeBlockSize)."""
_FILLER: Final = bytes(1024 * 1024)

# All on file: a nats-server that is killed forgets streams in memory together with their definition.
_CONFIGS: Final = {
    subjects.CAMERAS_BUCKET: KeyValueConfig(bucket=subjects.CAMERAS_BUCKET, history=5),
    subjects.SECRETS_BUCKET: KeyValueConfig(bucket=subjects.SECRETS_BUCKET),
    subjects.SEALING_BUCKET: KeyValueConfig(bucket=subjects.SEALING_BUCKET),
    subjects.REGISTRY_KEYS_BUCKET: KeyValueConfig(bucket=subjects.REGISTRY_KEYS_BUCKET),
    subjects.STATE_BUCKET: KeyValueConfig(bucket=subjects.STATE_BUCKET),
    subjects.ASSIGNMENTS_BUCKET: KeyValueConfig(bucket=subjects.ASSIGNMENTS_BUCKET),
    subjects.INCIDENTS_BUCKET: KeyValueConfig(bucket=subjects.INCIDENTS_BUCKET, history=20),
    # As long as the events themselves.
    subjects.ACKNOWLEDGED_BUCKET: KeyValueConfig(bucket=subjects.ACKNOWLEDGED_BUCKET, ttl=30 * 86400),
    subjects.READERS_BUCKET: KeyValueConfig(bucket=subjects.READERS_BUCKET),
    subjects.LAYOUTS_BUCKET: KeyValueConfig(bucket=subjects.LAYOUTS_BUCKET, history=5),
    subjects.PERSONS_BUCKET: KeyValueConfig(bucket=subjects.PERSONS_BUCKET),
    subjects.SCREENS_BUCKET: KeyValueConfig(bucket=subjects.SCREENS_BUCKET),
    subjects.TOURS_BUCKET: KeyValueConfig(bucket=subjects.TOURS_BUCKET, history=5),
    subjects.EXPORTS_BUCKET: KeyValueConfig(bucket=subjects.EXPORTS_BUCKET),
    subjects.ACCOUNTS_BUCKET: KeyValueConfig(bucket=subjects.ACCOUNTS_BUCKET),
    subjects.SIGN_INS_BUCKET: KeyValueConfig(bucket=subjects.SIGN_INS_BUCKET),
    subjects.ORDERS_BUCKET: KeyValueConfig(bucket=subjects.ORDERS_BUCKET),
    subjects.GRANTS_BUCKET: KeyValueConfig(bucket=subjects.GRANTS_BUCKET, history=5),
    subjects.SITES_BUCKET: KeyValueConfig(bucket=subjects.SITES_BUCKET),
    subjects.IMPORTS_BUCKET: KeyValueConfig(bucket=subjects.IMPORTS_BUCKET, ttl=KEPT_SECONDS),
    subjects.IMPORT_FILES_BUCKET: KeyValueConfig(bucket=subjects.IMPORT_FILES_BUCKET, ttl=KEPT_SECONDS),
}

_WRONG_LAST_SEQUENCE: Final = (10071, 10164)
"""JetStream's error codes (JSStreamWrongLastSequenceErrF, …ConstantErr); nats-py maps them for updates alone."""


class Bucket(Generic[M]):
    """One bucket whose values are all of one model."""

    def __init__(self, bus: Bus, kv: KeyValue, model: type[M], name: str) -> None:
        self.bus = bus
        self.name = name
        self.kv = kv
        self._model = model

    @classmethod
    async def open(cls, bus: Bus, name: str, model: type[M]) -> "Bucket[M]":
        """Opens the bucket, making it where it is missing; waits while JetStream is not there.

        A user that may make none (`Bus.makes_streams`) waits for the registry's. Raises
        `services.mesh.replicas.ClusterTooSmallError`.
        """
        backoff = Backoff(OPEN_AGAIN_SECONDS)
        tries = 0
        while True:
            tries += 1
            try:
                try:
                    kv = await bus.js.key_value(name)
                except nats.js.errors.NotFoundError:
                    if not bus.makes_streams:
                        raise
                    kv = await bus.js.create_key_value(_CONFIGS[name])
                if bus.makes_streams:
                    await keep_copies(bus, f"KV_{name}")
                return cls(bus, kv, model, name)
            except (nats.errors.Error, TimeoutError) as error:
                tell = log.debug if tries % TRIES_A_WARNING else log.warning
                tell("bucket.waiting", bucket=name, error=error)
                await asyncio.sleep(backoff.next_seconds())

    def decode(self, key: str, value: bytes) -> M | None:
        """The model in ``value``; None, and a log line, where it is not one (a newer or a broken writer)."""
        try:
            return self._model.unpack(value)
        except (ValidationError, ValueError) as error:
            log.warning("bucket.bad_value", bucket=self.name, key=key, error=error)
            return None

    async def get(self, key: str) -> tuple[M, int] | None:
        """The value and its revision; None where there is none."""
        try:
            entry = await self.kv.get(key)
        except nats.js.errors.KeyNotFoundError:
            return None
        except (nats.errors.Error, TimeoutError) as error:
            raise self._unavailable(error) from error
        value = self.decode(key, entry.value or b"")
        return (value, entry.revision or 0) if value is not None else None

    async def put(self, key: str, value: M) -> int:
        """Writes over any revision; returns the new one."""
        self._refuse_while_away()
        try:
            return await self.kv.put(key, value.pack())
        except (nats.errors.Error, TimeoutError) as error:
            raise self._unavailable(error) from error

    async def create(self, key: str, value: M) -> int:
        """Writes where there is nothing yet; raises `ConflictError` where there is."""
        self._refuse_while_away()
        try:
            return await self.kv.create(key, value.pack())
        except nats.js.errors.KeyWrongLastSequenceError as error:
            raise ConflictError(f"{key} exists already") from error
        except (nats.errors.Error, TimeoutError) as error:
            raise self._unavailable(error) from error

    async def update(self, key: str, value: M, revision: int) -> int:
        """Writes where ``revision`` is still the last; raises `ConflictError` where it is not."""
        self._refuse_while_away()
        try:
            return await self.kv.update(key, value.pack(), last=revision)
        except nats.js.errors.KeyWrongLastSequenceError as error:
            raise ConflictError(f"{key} changed in the meantime; read it again") from error
        except (nats.errors.Error, TimeoutError) as error:
            raise self._unavailable(error) from error

    async def delete(self, key: str, revision: int | None = None) -> None:
        """Removes the key; nothing happens where there is none.

        With ``revision`` only while that is still the last; raises `ConflictError` where somebody was faster.
        """
        self._refuse_while_away()
        try:
            await self.kv.delete(key, last=revision)
        except nats.js.errors.APIError as error:
            if error.err_code in _WRONG_LAST_SEQUENCE:
                raise ConflictError(f"{key} changed in the meantime; read it again") from error
            raise self._unavailable(error) from error
        except (nats.errors.Error, TimeoutError) as error:
            raise self._unavailable(error) from error

    async def scrub(self) -> None:
        """Takes former values from the disk. Raises `UnavailableError`.

        nats-server marks them as removed and leaves their bytes in its files until those are mostly unused, and a
        bucket does not let single messages be overwritten. So files are filled up with an entry that is then removed.
        """
        self._refuse_while_away()
        try:
            for _ in range(SCRUB_BYTES // len(_FILLER)):
                await self.kv.put(SCRUB_KEY, _FILLER)
            await self.kv.delete(SCRUB_KEY)
        except (nats.errors.Error, TimeoutError) as error:
            raise self._unavailable(error) from error

    async def keys(self) -> list[str]:
        """All keys. Raises `UnavailableError`."""
        try:
            return [key for key in await self.kv.keys() if key != SCRUB_KEY]
        except nats.js.errors.NoKeysError:
            return []
        except (nats.errors.Error, TimeoutError) as error:
            raise self._unavailable(error) from error

    async def has_values(self) -> bool:
        """Whether anything is in it, by the node that leads its stream. Raises nats-py's errors."""
        return (await self.bus.js.stream_info(self.stream)).state.messages > 0

    @property
    def stream(self) -> str:
        """The stream that keeps it."""
        return f"KV_{self.name}"

    def subject(self, key: str) -> str:
        """Where the entry of a key is published."""
        return f"$KV.{self.name}.{key}"

    def _refuse_while_away(self) -> None:
        """nats-py would keep the write and make it at the reconnect, long after the caller was told that it failed."""
        if not self.bus.connected:
            raise UnavailableError(f"the bucket {self.name} is away with the bus; try again")

    def _unavailable(self, error: BaseException) -> UnavailableError:
        return UnavailableError(f"the bucket {self.name} does not answer ({error or type(error).__name__}); try again")


async def make_buckets(bus: Bus) -> None:
    """Makes all buckets that are missing, for those who may not. Waits while JetStream is not there.

    Raises `services.mesh.replicas.ClusterTooSmallError`.
    """
    for name in _CONFIGS:
        await Bucket.open(bus, name, Model)


class _EmptyListingError(Exception):
    """A node that was cut off has told that a bucket is empty which is not."""


class Mirror(Generic[M]):
    """A local copy of a bucket that follows it.

    ``on_change(key, value or None, revision)`` is called in the order of revisions, for every key at the beginning
    (or after a reconnect, where it differs) and then for every change. A key that expires by TTL is not announced.
    """

    def __init__(self, bucket: Bucket[M], on_change: Callable[[str, M | None, int], None] | None = None) -> None:
        self.entries: dict[str, tuple[M, int]] = {}
        self.ready = asyncio.Event()
        self._bucket = bucket
        self._on_change = on_change
        self._told: dict[str, int] = {}
        """Key → revision of what was told before the bucket said so."""
        self._brought = 0
        """The bucket has brought all up to this revision: revisions grow over all keys."""

    @property
    def newest(self) -> int:
        """The highest revision that the bucket has brought, of any key."""
        return self._brought

    def tell(self, key: str, value: M, revision: int) -> None:
        """Takes an entry that another way than the bucket has brought; not one that the bucket has overtaken."""
        known = self.entries.get(key)
        if revision > self._brought and (known is None or known[1] < revision):
            self._told[key] = revision
            self._apply(key, value, revision)

    def get(self, key: str) -> M | None:
        """The value as last seen."""
        entry = self.entries.get(key)
        return entry[0] if entry else None

    def values(self) -> list[M]:
        """All values as last seen."""
        return [value for value, _ in self.entries.values()]

    async def run(self) -> None:
        """Follows the bucket until it is cancelled; lists it again after each reconnect."""
        backoff = Backoff(FOLLOW_AGAIN_SECONDS)
        while True:
            try:
                await self._follow()
            except (nats.errors.Error, TimeoutError, _EmptyListingError) as error:
                log.debug("bucket.follow_again", bucket=self._bucket.name, error=error)
                await asyncio.sleep(backoff.next_seconds())

    async def _follow(self) -> None:
        self._told.clear()
        self._brought = 0
        bucket = self._bucket
        config = ConsumerConfig(deliver_policy=DeliverPolicy.LAST_PER_SUBJECT, filter_subject=bucket.subject(">"))
        async with following(bucket.bus, SystemClock(), bucket.stream, config) as follower:
            listed: set[str] = set()
            listing = follower.waiting > 0
            if not listing:
                if await bucket.has_values():
                    raise _EmptyListingError
                self._end_listing(listed)
            while (message := await follower.next()) is not None:
                key, metadata = message.subject.removeprefix(bucket.subject("")), message.metadata
                self._take(key, message, metadata.sequence.stream)
                if listing:
                    listed.add(key)
                    if not metadata.num_pending:
                        listing = False
                        self._end_listing(listed)

    def _end_listing(self, listed: set[str]) -> None:
        """What was there already has come."""
        for key in [key for key in self.entries if key not in listed]:
            self._apply(key, None, 0)
        self.ready.set()

    def _take(self, key: str, message: BusMessage, revision: int) -> None:
        self._brought = revision
        if key == SCRUB_KEY or revision < self._told.get(key, 0):
            return
        value = None if _is_removal(message) else self._bucket.decode(key, message.data)
        self._apply(key, value, revision)

    def _apply(self, key: str, value: M | None, revision: int) -> None:
        if value is None:
            if self.entries.pop(key, None) is None:
                return
        elif (known := self.entries.get(key)) and known[1] == revision and known[0] == value:
            return  # what was told ahead may be another value than what got the revision
        else:
            self.entries[key] = (value, revision)
        if self._on_change:
            self._on_change(key, value, revision)


def _is_removal(message: BusMessage) -> bool:
    """Whether an entry says that its key is gone: somebody removed it, or it expired (NATS ADR-8 and ADR-43)."""
    headers = message.headers or {}
    return headers.get("KV-Operation") in ("DEL", "PURGE") or "Nats-Marker-Reason" in headers
