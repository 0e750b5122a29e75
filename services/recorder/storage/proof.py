"""A segment's proof: the recorder's signature over its statement, as the last box of its file (docs/recording.md).

The statement itself is not stored. It follows from the file, so a rebuilt index loses nothing.
"""

import hashlib
from collections.abc import Sequence
from typing import Final, NamedTuple
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.contracts.evidence import statement
from services.contracts.evidence.statement import Statement
from services.media.mp4.boxes import box
from services.media.mp4.reader import ReadAt
from services.recorder.storage.rows import Segment

PROOF_UUID: Final = UUID("b3a1c0de-51f9-5e7b-9d60-70616e746175").bytes
_KEY_BYTES: Final = 32
_SIGNATURE_BYTES: Final = 64
PROOF_BYTES: Final = 8 + len(PROOF_UUID) + _KEY_BYTES + _SIGNATURE_BYTES


class Proof(NamedTuple):
    """Who signed, and the signature; both hexadecimal."""

    public: str
    signature: str

    @property
    def key_id(self) -> str:
        """The key's short name."""
        return statement.key_id(self.public)

    def to_box(self) -> bytes:
        """The box that ends a segment's file; players skip it."""
        return box(b"uuid", PROOF_UUID, bytes.fromhex(self.public), bytes.fromhex(self.signature))


class Signer:
    """A recorder's key at work."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public: Final = statement.public_hex(key)

    def sign(self, data: bytes) -> Proof:
        """Signs what `Statement.to_bytes` gave, or a manifest."""
        return Proof(self.public, statement.sign(self._key, data))


def add_seal(total: bytes, seal: bytes) -> bytes:
    """Sums up seals: of a file's opening and each fragment so far, in order; ``total`` is that before, empty at first.

    A seal alone says nothing of those before it to who does not read the fragments. The total does.
    """
    return hashlib.sha256(total + seal).digest()


def read_proof(read: ReadAt, at: int) -> Proof | None:
    """The proof that begins at ``at``; None where there is none, or only a part of one."""
    data = read(at, PROOF_BYTES)
    head = PROOF_BYTES.to_bytes(4, "big") + b"uuid" + PROOF_UUID
    if len(data) < PROOF_BYTES or not data.startswith(head):
        return None
    key = data[len(head) : len(head) + _KEY_BYTES]
    return Proof(key.hex(), data[len(head) + _KEY_BYTES :].hex())


def state(
    segment: Segment,
    *,
    recorder: str,
    opening: bytes,
    links: Sequence[bytes],
    previous: str,
    thinned_from: str = "",
    growing: bool = False,
    made: str = "",
) -> Statement:
    """A segment's statement. ``opening`` and ``links`` are the seals of its file, ``previous`` the last one before.

    ``made`` is what its description says of pictures that no camera took.
    """
    stream = segment.stream
    return Statement(
        site=stream.site,
        camera=stream.camera,
        profile=stream.profile,
        recorder=recorder or "unknown",
        path=str(segment.path),
        tier=segment.tier.name.lower(),
        start_us=segment.start_us,
        end_us=segment.end_us,
        uncertainty_us=segment.uncertainty_us,
        clock=segment.clock,
        opening=opening.hex(),
        links=tuple(link.hex() for link in links),
        previous=previous,
        thinned_from=thinned_from,
        growing=growing,
        made=made,
    )
