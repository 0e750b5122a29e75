"""The daily digest of the audit: a hash over all entries since the digest before, signed with a recorder's key.

Digests are audit entries themselves, so each also covers the one before. They show that no entry was altered, left out
or put in later by who has the bus and not the recorder's key.
"""

import hashlib
from collections.abc import Mapping
from typing import Final, NamedTuple

from services.contracts.evidence import statement
from services.contracts.models import Id, Model

DIGEST_ACTION: Final = "audit-digest"
AUDIT_SIGN: Final = "audit-sign"
"""The recorder's endpoint."""


class AuditHash:
    """A hash over entries in the order of their stream."""

    def __init__(self) -> None:
        self.entries = 0
        self._hash = hashlib.sha256()

    def add(self, subject: str, data: bytes) -> None:
        """The next entry, as it stands in the stream."""
        for part in (subject.encode(), data):
            self._hash.update(len(part).to_bytes(8, "big"))
            self._hash.update(part)
        self.entries += 1

    def hexdigest(self) -> str:
        """Of all so far."""
        return self._hash.hexdigest()


class AuditDigest(NamedTuple):
    """What is signed."""

    site: Id
    day: str
    """The day that it ends, as in 2026-03-01 (UTC)."""
    after: int
    """The entries have numbers above it in their stream,"""
    last: int
    """and up to it."""
    entries: int
    sha256: str
    previous: str
    """The hash of the digest before; empty: this is the first."""

    def to_bytes(self) -> bytes:
        """For the signature: its fields, a line each."""
        return "\n".join(("pantau audit digest 1", *(str(value) for value in self))).encode()

    def to_detail(self) -> dict[str, str]:
        """As the detail of an audit event."""
        return {name: str(value) for name, value in self._asdict().items()}

    @classmethod
    def of_detail(cls, detail: Mapping[str, str]) -> "AuditDigest | None":
        """Back again; None where it is none."""
        try:
            numbers = {name: int(detail[name]) for name in ("after", "last", "entries")}
            return cls(**numbers, **{name: detail[name] for name in ("site", "day", "sha256", "previous")})  # type: ignore[arg-type]  # by name
        except (KeyError, ValueError):
            return None

    def is_signed(self, key: str, signature: str) -> bool:
        """Whether ``signature`` is that key's."""
        return statement.is_signed(key, signature, self.to_bytes())


class DigestToSign(Model):
    """Asks a recorder for its signature. It signs digests of the audit only, so the question has their parts."""

    site: Id
    day: str
    after: int
    last: int
    entries: int
    sha256: str
    previous: str


class DigestSigned(Model):
    """The signature, and whose it is."""

    key: str
    signature: str
