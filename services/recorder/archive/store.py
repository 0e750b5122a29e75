"""S3-compatible storage through obstore, which is used here alone.

obstore's errors name host, bucket and object, and with some servers echo the request's signature. Only S3's own error
code and message are passed on.
"""

import asyncio
import hashlib
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import S3Store

from services.recorder.archive.archive import ArchiveError, ArchiveTrouble
from services.recorder.archive.settings import ArchiveSettings

if TYPE_CHECKING:
    from obstore.store import ClientConfig, S3Config  # obstore has them for type checkers alone

PART_BYTES: Final = 5 * 1024 * 1024
"""The smallest part that S3 accepts in a multipart upload."""
READ_BACK_BYTES: Final = 4 * 1024 * 1024
_UPLOAD_SECONDS: Final = 60
"""For a part, at 0.7 Mbit/s."""
_READ_SECONDS: Final = 4
_S3_ERROR: Final = re.compile(r"<Code>(?P<code>\w{1,64})</Code>(?:\s*<Message>(?P<message>[^<]{0,300}))?")
_REFUSALS: Final = frozenset(
    {"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken"}
)


class StoredObject(NamedTuple):
    """An object as the store lists it."""

    key: str
    size_bytes: int


class RateLimit:
    """Spreads bytes over time: a chunk may go once the time of those before it has passed. Pure: the caller sleeps."""

    def __init__(self, bytes_per_second: float) -> None:
        """0: no limit."""
        self._rate = bytes_per_second
        self._free_at = float("-inf")

    def delay_seconds(self, size_bytes: int, now: float) -> float:
        """Seconds from ``now`` (monotonic) after which ``size_bytes`` may go."""
        if not self._rate:
            return 0.0
        begin = max(self._free_at, now)
        self._free_at = begin + size_bytes / self._rate
        return begin - now


class ObjectStore:
    """One recorder's folder of the bucket. Raises `ArchiveError`; ``FileNotFoundError`` where an object is missing.

    Uploads and audits are limited to the settings' rate in each direction; `fetch_range` is not.
    """

    def __init__(
        self, settings: ArchiveSettings, recorder: str, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._url = settings.url
        self._endpoint = settings.endpoint
        config: S3Config = {"bucket": settings.bucket, "region": settings.region}
        if settings.endpoint:
            config["endpoint"] = settings.endpoint
        if settings.access_key_id:
            config["access_key_id"] = settings.access_key_id
            config["secret_access_key"] = settings.secret_access_key.get_secret_value()
        prefix = "/".join(part for part in (settings.folder, recorder) if part)
        self._long = _open(config, prefix, _UPLOAD_SECONDS, tries=3)
        self._short = _open(config, prefix, _READ_SECONDS, tries=1)
        self._monotonic = monotonic
        self._up = RateLimit(settings.megabits_per_second * 125_000)
        self._down = RateLimit(settings.megabits_per_second * 125_000)

    async def put_object(self, key: str, chunks: AsyncIterator[bytes]) -> None:
        """Stores an object atomically: readers see all of it or nothing."""
        try:
            await obstore.put_async(self._long, key, self._limited(chunks), chunk_size=PART_BYTES, max_concurrency=1)
        except (BaseError, FileNotFoundError) as error:
            raise self._explain(error, writing=True) from None

    async def _limited(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for chunk in chunks:
            await asyncio.sleep(self._up.delay_seconds(len(chunk), self._monotonic()))
            yield chunk

    async def read_object(self, key: str, size_bytes: int) -> AsyncIterator[bytes]:
        """The content of an object that has so many bytes, in pieces of up to `READ_BACK_BYTES`."""
        for at in range(0, size_bytes, READ_BACK_BYTES):
            wanted = min(READ_BACK_BYTES, size_bytes - at)
            await asyncio.sleep(self._down.delay_seconds(wanted, self._monotonic()))
            yield await self._read_range(key, at, wanted)

    async def verify_object(self, key: str, size_bytes: int, sha256: bytes) -> None:
        """Reads an object; raises `ArchiveError` (``DIFFERS``) where it is not what was sent."""
        if (size := await self.object_size(key)) != size_bytes:
            raise ArchiveError(ArchiveTrouble.DIFFERS, f"{key} has {size} bytes in the archive instead of {size_bytes}")
        found = hashlib.sha256()
        async for data in self.read_object(key, size_bytes):
            found.update(data)
        if found.digest() != sha256:
            raise ArchiveError(ArchiveTrouble.DIFFERS, f"{key} has another content in the archive than was sent")

    async def _read_range(self, key: str, at: int, size: int) -> bytes:
        try:
            return bytes(await obstore.get_range_async(self._long, key, start=at, length=size))
        except (BaseError, FileNotFoundError) as error:
            raise self._explain(error) from None

    def fetch_range(self, key: str, at: int, size: int) -> bytes:
        """Bytes of an object that has them, for a viewer who waits: blocks, and gives up soon."""
        try:
            return bytes(obstore.get_range(self._short, key, start=at, length=size))
        except (BaseError, FileNotFoundError) as error:
            raise self._explain(error) from None

    async def object_size(self, key: str) -> int:
        """In bytes."""
        try:
            return (await obstore.head_async(self._long, key))["size"]
        except (BaseError, FileNotFoundError) as error:
            raise self._explain(error) from None

    async def probe(self) -> None:
        """Asks a small question to learn whether the archive accepts this key."""
        try:
            await anext(aiter(obstore.list(self._short, "is-anybody-there")), None)
        except (BaseError, FileNotFoundError) as error:
            raise self._explain(error, writing=True) from None

    def list_pages(self) -> Iterator[list[StoredObject]]:
        """All objects, a page at a time. Blocks."""
        try:
            for page in obstore.list(self._long):
                yield [StoredObject(item["path"], item["size"]) for item in page]
        except (BaseError, FileNotFoundError) as error:
            raise self._explain(error, writing=True) from None

    async def delete_objects(self, keys: list[str]) -> None:
        """Removes objects; nothing happens for one that is not there."""
        try:
            await obstore.delete_async(self._long, keys)
        except FileNotFoundError as error:
            if "NoSuchBucket" in str(error):
                raise self._explain(error) from None
        except BaseError as error:
            raise self._explain(error) from None

    def _explain(self, error: BaseException, *, writing: bool = False) -> ArchiveError | FileNotFoundError:
        text = str(error)
        found = _S3_ERROR.search(text)
        code = found["code"] if found else ""
        said = f"{code}: {found['message'].strip()}" if found and found["message"] else code
        if code == "NoSuchBucket":
            return ArchiveError(
                ArchiveTrouble.NO_BUCKET, f"{self._url}: there is no such bucket; make it, or set another one"
            )
        if code in _REFUSALS or isinstance(error, PermissionDeniedError | UnauthenticatedError):
            return ArchiveError(
                ArchiveTrouble.REFUSED,
                f"{self._url} refuses the access key ({said or 'no reason given'}); "
                "see PANTAU_ARCHIVE_ACCESS_KEY_ID and PANTAU_ARCHIVE_SECRET_ACCESS_KEY, and what the key may do",
            )
        if isinstance(error, FileNotFoundError) and not writing:
            return FileNotFoundError("the object is not there")
        if code:
            return ArchiveError(ArchiveTrouble.FAILED, f"{self._url}: {said}")
        where = self._endpoint or f"the S3 endpoint of {self._url}"
        return ArchiveError(ArchiveTrouble.UNREACHABLE, f"{where} does not answer: {_plain(text)}")


def _open(config: "S3Config", prefix: str, seconds: float, *, tries: int) -> S3Store:
    client: ClientConfig = {
        "allow_http": True,  # storage in the same rack; Amazon's own endpoint is https in any case
        "connect_timeout": timedelta(seconds=min(seconds, 3)),
        "timeout": timedelta(seconds=seconds),
    }
    return S3Store(
        prefix=prefix or None,
        client_options=client,
        retry_config={"max_retries": tries - 1, "retry_timeout": timedelta(seconds=seconds)},
        config=config,
    )


def _plain(text: str) -> str:
    """The last words of the first line: ``… in 221 µs - HTTP error: error sending request``."""
    return text.splitlines()[0].rpartition(" - ")[2][:200] if text else "no reason given"
