"""Writes an evidence bundle as a stream: a ZIP whose entries are stored as they are and whose last bytes seal it.

The archive's comment is ``pantau-bundle-1 sha256:<hex>`` over every byte before it. So a change of any byte is
noticed, also of one that belongs to no entry; the entries then show where it is.
"""

import hashlib
import io
import zipfile
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from typing import Final

from services.contracts.evidence.manifest import FORMAT

COMMENT_PREFIX: Final = f"{FORMAT} sha256:".encode()
COMMENT_BYTES: Final = len(COMMENT_PREFIX) + 64
_DATE: Final = (1980, 1, 1, 0, 0, 0)
"""ZIP's own times have no zone and two seconds' grain; the manifest says when."""


class _Sink(io.RawIOBase):
    """Collects the bytes that zipfile writes until they are taken. Not seekable, so zipfile appends the sizes."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        chunk = bytes(memoryview(data))  # type: ignore[arg-type]  # zipfile hands over any bytes-like object
        self._parts.append(chunk)
        return len(chunk)

    def take(self) -> bytes:
        taken = b"".join(self._parts)
        self._parts = []
        return taken


class BundleWriter:
    """A bundle in the making. Yields bytes as they become final; `close` yields the last of them."""

    def __init__(self) -> None:
        self._sink = _Sink()
        self._zip = zipfile.ZipFile(self._sink, "w", zipfile.ZIP_STORED, allowZip64=True)
        self._sha256 = hashlib.sha256()

    async def add(self, name: str, chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
        """Adds a file, piece by piece."""
        with self._zip.open(_entry(name), "w", force_zip64=True) as entry:
            async for chunk in chunks:
                entry.write(chunk)
                yield self._taken()
        yield self._taken()

    def add_bytes(self, name: str, data: bytes) -> bytes:
        """Adds a small file."""
        with self._zip.open(_entry(name), "w") as entry:
            entry.write(data)
        return self._taken()

    def close(self) -> bytes:
        """The directory and the seal."""
        self._zip.comment = b"0" * COMMENT_BYTES
        self._zip.close()
        directory = self._sink.take()[:-COMMENT_BYTES]
        self._sha256.update(directory)
        return directory + COMMENT_PREFIX + self._sha256.hexdigest().encode()

    def _taken(self) -> bytes:
        taken = self._sink.take()
        self._sha256.update(taken)
        return taken


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _DATE)
    entry.compress_type = zipfile.ZIP_STORED
    entry.external_attr = 0o644 << 16
    return entry


def sha256(chunks: Iterable[bytes]) -> str:
    """SHA-256 of a file's pieces, hexadecimal."""
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()
