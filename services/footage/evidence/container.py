"""The one form of ZIP that a bundle has (PKWARE's APPNOTE 6.3): written here, and read back by writing it again.

Entries are stored as they are, one after the other from the first byte on, each with its sizes behind its data. There
is one date, one mode, no comment of an entry, and no extra field but the sizes of 64 bits. The archive's comment is
``pantau-bundle-1 sha256:<hex>`` over every byte before it. So names and contents give every byte of the file.
"""

import hashlib
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO, Final, NamedTuple

from services.contracts.evidence.manifest import FORMAT

COMMENT_PREFIX: Final = f"{FORMAT} sha256:".encode()
COMMENT_BYTES: Final = len(COMMENT_PREFIX) + 64
MAX_DIRECTORY_BYTES: Final = 32 * 1024 * 1024
CHUNK_BYTES: Final = 1024 * 1024

_LIMIT: Final = (1 << 31) - 1
"""A larger size or offset is written with 64 bits."""
_U32: Final = 0xFFFFFFFF
_VERSION, _VERSION_64 = 20, 45
_FLAGS: Final = 0x08
"""The sizes stand behind the data."""
_UTF8: Final = 0x800
_DATE: Final = 0x21
"""1980-01-01: ZIP's own times have no zone and two seconds' grain; the manifest says when."""
_UNIX: Final = 3
_MODE: Final = 0o644 << 16
_LOCAL: Final = struct.Struct("<4s2B4HL2L2H")
_CENTRAL: Final = struct.Struct("<4s4B4HL2L5H2L")
_END: Final = struct.Struct("<4s4H2LH")
_END_64: Final = struct.Struct("<4sQ2H2L4Q")
_LOCATOR: Final = struct.Struct("<4sLQL")


class FormError(ValueError):
    """The file is not of the form."""


class BombError(ValueError):
    """The file says that it holds far more than it has bytes."""


class StoredEntry(NamedTuple):
    """A file in the container."""

    name: str
    size_bytes: int
    data_at: int
    """Where its content begins."""
    streamed: bool
    """Written while its size was not known: its sizes have 64 bits."""


class _Written(NamedTuple):
    name: bytes
    flags: int
    crc: int
    size_bytes: int
    at: int
    streamed: bool


class Container:
    """Gives the bytes of a container as they become final."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()
        self._at = 0
        self._entries: list[_Written] = []
        self._name = b""
        self._flags = self._crc = self._size_bytes = self._begin = 0
        self._streamed = False

    def begin(self, name: str, *, streamed: bool) -> bytes:
        """The bytes before an entry's content."""
        self._name, self._flags = _encoded(name)
        self._crc = self._size_bytes = 0
        self._begin, self._streamed = self._at, streamed
        extra = struct.pack("<2H2Q", 1, 16, 0, 0) if streamed else b""
        size = _U32 if streamed else 0
        head = _LOCAL.pack(
            b"PK\x03\x04", _VERSION_64 if streamed else _VERSION, 0, self._flags, 0, 0, _DATE, 0, size, size,
            len(self._name), len(extra),
        )  # fmt: skip
        return self._out(head + self._name + extra)

    def data(self, chunk: bytes) -> bytes:
        """A piece of the content."""
        self._crc = zlib.crc32(chunk, self._crc)
        self._size_bytes += len(chunk)
        return self._out(chunk)

    def end(self) -> bytes:
        """The bytes behind an entry's content."""
        size = self._size_bytes
        entry = _Written(self._name, self._flags, self._crc, size, self._begin, self._streamed)
        self._entries.append(entry)
        return self._out(struct.pack("<4sL2Q" if self._streamed else "<4s3L", b"PK\x07\x08", self._crc, size, size))

    def close(self) -> bytes:
        """The directory and the seal."""
        begin = self._at
        made = b"".join(map(_central, self._entries))
        count, size, end = len(self._entries), len(made), begin + len(made)
        if count > 0xFFFF or begin > _LIMIT or size > _LIMIT:
            made += _END_64.pack(b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, begin)
            made += _LOCATOR.pack(b"PK\x06\x07", 0, end, 1)
        count = min(count, 0xFFFF)
        made += _END.pack(b"PK\x05\x06", 0, 0, count, count, min(size, _U32), min(begin, _U32), COMMENT_BYTES)
        return self._out(made) + COMMENT_PREFIX + self._sha256.hexdigest().encode()

    def _out(self, data: bytes) -> bytes:
        self._sha256.update(data)
        self._at += len(data)
        return data


def _encoded(name: str) -> tuple[bytes, int]:
    try:
        return name.encode("ascii"), _FLAGS
    except UnicodeEncodeError:
        return name.encode(), _FLAGS | _UTF8


def _central(entry: _Written) -> bytes:
    wide: list[int] = []
    size, at = entry.size_bytes, entry.at
    if size > _LIMIT:
        wide += [size, size]
        size = _U32
    if at > _LIMIT:
        wide.append(at)
        at = _U32
    extra = struct.pack(f"<2H{len(wide)}Q", 1, 8 * len(wide), *wide) if wide else b""
    version = _VERSION_64 if wide or entry.streamed else _VERSION
    head = _CENTRAL.pack(
        b"PK\x01\x02", version, _UNIX, version, 0, entry.flags, 0, 0, _DATE, entry.crc, size, size, len(entry.name),
        len(extra), 0, 0, 0, _MODE, at,
    )  # fmt: skip
    return head + entry.name + extra


_MAX_TAIL_BYTES: Final = 66_000
"""A directory's end and the longest comment."""


class _Listed(NamedTuple):
    """A row of a directory, whether of our form or not."""

    name: str
    method: int
    packed_bytes: int
    size_bytes: int
    version: int


def read_entries(file: BinaryIO, size: int, *, sealed: bool) -> list[StoredEntry]:
    """The entries that the directory lists, laid out as the form demands. Nothing is ever unpacked.

    ``sealed`` tells whether the file's hash is right. Raises `FormError` where this cannot be, `BombError`.
    """
    listed = list(_directory(file, size - COMMENT_BYTES - _END.size))
    _defuse(listed, size, sealed=sealed)
    entries, at = list[StoredEntry](), 0
    for item in listed:
        streamed = item.version == _VERSION_64
        at += _LOCAL.size + len(_encoded(item.name)[0]) + (20 if streamed else 0)
        entries.append(StoredEntry(item.name, item.size_bytes, at, streamed))
        at += item.size_bytes + (24 if streamed else 16)
        if item.method or at > size:
            raise FormError(f"{item.name!r} is not stored as it is")
    return entries


def foreign_names(file: BinaryIO, size: int) -> set[str]:
    """The names in a ZIP of any form, as somebody makes who packs a bundle anew; none where it is no ZIP.

    Raises `BombError`.
    """
    tail_at = max(size - _MAX_TAIL_BYTES, 0)
    file.seek(tail_at)
    found = file.read(_MAX_TAIL_BYTES).rfind(b"PK\x05\x06")
    try:
        listed = list(_directory(file, tail_at + found)) if found >= 0 else []
    except FormError:
        return set()
    _defuse(listed, size, sealed=True)
    return {item.name for item in listed}


def _directory(file: BinaryIO, end_at: int) -> Iterator[_Listed]:
    """The rows of the directory whose end begins at ``end_at``."""
    if end_at < 0:
        raise FormError("it is too short")
    file.seek(end_at)
    end = file.read(_END.size)
    if len(end) < _END.size:
        raise FormError("it is too short")
    signature, *_, count, length, _, _ = _END.unpack(end)
    directory_end = end_at
    if signature != b"PK\x05\x06":
        raise FormError("the end of its directory is not where it belongs")
    if end_at >= _END_64.size + _LOCATOR.size:
        file.seek(end_at - _END_64.size - _LOCATOR.size)
        wide = file.read(_END_64.size)
        if wide.startswith(b"PK\x06\x06"):
            *_, count, length, _ = _END_64.unpack(wide)
            directory_end -= _END_64.size + _LOCATOR.size
    if not 0 <= directory_end - length <= directory_end:
        raise FormError("its directory is not where it belongs")
    if length > MAX_DIRECTORY_BYTES:
        raise BombError(f"a directory of {length} bytes")
    file.seek(directory_end - length)
    data = file.read(length)
    at = 0
    for _ in range(count):
        if at + _CENTRAL.size > len(data):
            raise FormError("its directory ends too early")
        fields = _CENTRAL.unpack_from(data, at)
        name, extra, comment = fields[12:15]
        at += _CENTRAL.size
        raw, wide = data[at : at + name], data[at + name : at + name + extra]
        at += name + extra + comment
        packed, plain = fields[10], fields[11]
        if plain == _U32 and len(wide) >= 20:
            plain, packed = struct.unpack_from("<2Q", wide, 4)
        try:
            yield _Listed(raw.decode(), fields[6], packed, plain, fields[3])
        except UnicodeDecodeError as error:
            raise FormError("a name in it is no text") from error
    if at != len(data):
        raise FormError("its directory has more than it says")


_MOST_TIMES: Final = 4
"""A container of ours holds less than its own size; a bundle that somebody packed anew little more."""


def _defuse(listed: list[_Listed], size: int, *, sealed: bool) -> None:
    """Tells a file that would grow from one that is damaged: a changed byte changes one size of one stored entry."""
    packed = [item for item in listed if item.method]
    stored = sorted(item.size_bytes for item in listed if not item.method)
    total = sum(item.size_bytes for item in packed) + sum(stored if sealed else stored[:-1])
    lies = any(item.size_bytes < item.packed_bytes for item in packed)
    if total > _MOST_TIMES * size or (lies and sealed):
        raise BombError(f"it says that it holds {total} bytes, in a file of {size}")


def differs_at(file: BinaryIO, size: int, entries: list[StoredEntry]) -> int | None:
    """Where the file first differs from the container that its entries make; None where it is that container."""
    made = Container()
    at = 0

    def differs(data: bytes, at: int) -> int | None:
        file.seek(at)
        found = file.read(len(data))
        if found == data:
            return None
        return at + next((i for i, (a, b) in enumerate(zip(found, data, strict=False)) if a != b), len(found))

    for entry in entries:
        head = made.begin(entry.name, streamed=entry.streamed)
        if (wrong := differs(head, at)) is not None:
            return wrong
        at += len(head)
        for chunk in read_content(file, entry):
            at += len(made.data(chunk))
        tail = made.end()
        if (wrong := differs(tail, at)) is not None:
            return wrong
        at += len(tail)
    rest = made.close()
    if (wrong := differs(rest, at)) is not None:
        return wrong
    return None if at + len(rest) == size else at + len(rest)


def read_content(file: BinaryIO, entry: StoredEntry) -> Iterator[bytes]:
    """An entry's content, in pieces."""
    at, end = entry.data_at, entry.data_at + entry.size_bytes
    while at < end:
        file.seek(at)
        chunk = file.read(min(CHUNK_BYTES, end - at))
        if not chunk:
            return
        yield chunk
        at += len(chunk)


class StoredFile:
    """An entry's content as a file of its own, to be read and sought in."""

    def __init__(self, file: BinaryIO, entry: StoredEntry) -> None:
        self._file = file
        self._begin = entry.data_at
        self._size = entry.size_bytes
        self._at = 0

    def seek(self, at: int) -> int:
        """From its beginning."""
        self._at = max(at, 0)
        return self._at

    def read(self, size: int) -> bytes:
        """At most to its end."""
        self._file.seek(self._begin + min(self._at, self._size))
        data = self._file.read(max(min(size, self._size - self._at), 0))
        self._at += len(data)
        return data
