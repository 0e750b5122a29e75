"""Questions to recorders for evidence, and their answers.

The answer to `EvidenceQuestion` is a transfer (`services.mesh.transfer`) of messages that begin with a letter: ``S``
and a `PartBegins`, then ``D`` and bytes of that part (the segment's opening, then whole fragments), then ``F`` and a
`PartEnds`; and ``G`` with a `Gap`, footage whose file differs from what was recorded.

The answer to a hub's `BundleQuestion` is a transfer of `BundlePiece`: a whole bundle, as the owner makes it.
"""

import zlib
from base64 import b64decode, b64encode
from struct import Struct
from typing import Final, NamedTuple, Self

from pydantic import Field

from services.contracts.errors import InvalidInputError
from services.contracts.evidence.statement import Statement
from services.contracts.models import Id, Model

EVIDENCE: Final = "evidence"
EVIDENCE_SIGN: Final = "evidence-sign"
BUNDLE: Final = "bundle"
PART_BEGINS, DATA, PART_ENDS, GAP = b"S", b"D", b"F", b"G"
ALTERED: Final = "altered"
"""A gap's cause: the file differs from what was recorded."""
MAX_MANIFEST_BYTES: Final = 16 * 1024 * 1024
"""A day of footage has 6 MB of seals."""
MAX_CAMERA_US: Final = 24 * 3600 * 1_000_000
"""The lengths of all cameras in a bundle together: the manifest that a recorder signs grows with them."""
_PIECE: Final = Struct(">HB")
_WHOLE: Final = 1000


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


class BundleQuestion(Model):
    """A hub's: make a bundle of a camera of yours, and send it to ``deliver_to``. An owner's wall answers."""

    camera: Id
    from_us: int = Field(ge=0)
    to_us: int
    reason: str = Field(min_length=1, max_length=2000)
    incident: str = Field(default="", max_length=63)
    """Of the hub's."""
    hub: Id
    deliver_to: str


class BundleOpened(Model):
    """The transfer waits for credit on ``control``."""

    control: str
    bundle: Id


class BundlePiece(NamedTuple):
    """Some bytes of a bundle, and how far it is."""

    progress: float
    """0 to 1."""
    made_up: bool
    """Some of the footage so far is a demo's."""
    data: bytes

    def pack(self) -> bytes:
        """A message."""
        return _PIECE.pack(round(self.progress * _WHOLE), self.made_up) + self.data

    @classmethod
    def unpack(cls, message: bytes) -> Self:
        """Raises ``struct.error`` where it is none."""
        thousandths, made_up = _PIECE.unpack_from(message)
        return cls(min(thousandths / _WHOLE, 1.0), bool(made_up), message[_PIECE.size :])
