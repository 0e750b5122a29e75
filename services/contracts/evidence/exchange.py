"""Questions to recorders for evidence, and their answers.

The answer to `EvidenceQuestion` is a transfer (`services.mesh.transfer`) of messages that begin with a letter: ``S``
and a `PartBegins`, then ``D`` and bytes of that part (the segment's opening, then whole fragments), then ``F`` and a
`PartEnds`; and ``G`` with a `Gap`, footage whose file differs from what was recorded.
"""

import zlib
from base64 import b64decode, b64encode
from typing import Final, Self

from services.contracts.errors import InvalidInputError
from services.contracts.evidence.statement import Statement
from services.contracts.models import Id, Model

EVIDENCE: Final = "evidence"
EVIDENCE_SIGN: Final = "evidence-sign"
PART_BEGINS, DATA, PART_ENDS, GAP = b"S", b"D", b"F", b"G"
ALTERED: Final = "altered"
"""A gap's cause: the file differs from what was recorded."""
MAX_MANIFEST_BYTES: Final = 16 * 1024 * 1024
"""A day of footage has 6 MB of seals."""


class EvidenceQuestion(Model):
    """Send the whole fragments that cover a range to ``deliver_to``."""

    camera: Id
    site: Id | None = None
    """As in `services.contracts.recordings.TimelineQuestion`."""
    profile: str = "main"
    from_us: int
    to_us: int
    deliver_to: str


class EvidenceOpened(Model):
    """The transfer waits for credit on ``control``."""

    control: str
    public: str
    """The recorder's public key, hexadecimal, which verifies a manifest that it signs. Empty where it has none."""


class PartBegins(Model):
    """A run of fragments of one segment."""

    statement: Statement
    signature: str
    public: str
    """The key that it was signed with, hexadecimal."""
    first: int
    from_us: int


class PartEnds(Model):
    """The end of a part."""

    fragments: int
    to_us: int


class ManifestToSign(Model):
    """A bundle's manifest, to be signed. A recorder signs manifests that were made now, and nothing else."""

    packed: str

    @classmethod
    def of(cls, raw: bytes) -> Self:
        """``raw`` is the manifest's canonical form; hashes in hexadecimal shrink to half."""
        return cls(packed=b64encode(zlib.compress(raw, 1)).decode())

    def unpacked(self) -> bytes:
        """The manifest; raises `InvalidInputError`."""
        try:
            inflate = zlib.decompressobj()
            raw = inflate.decompress(b64decode(self.packed, validate=True), MAX_MANIFEST_BYTES)
        except (ValueError, zlib.error) as error:
            raise InvalidInputError(f"the manifest cannot be unpacked: {error}") from error
        if not inflate.eof:
            raise InvalidInputError("the manifest is cut short, or too large")
        return raw


class ManifestSigned(Model):
    """The signature over the manifest."""

    public: str
    signature: str
