"""The manifest of an evidence bundle: who asked for it and why, its footage, and each gap."""

from typing import Final

from pydantic import Field

from services.contracts.evidence.statement import Hash, Statement
from services.contracts.models import Id, Model
from services.contracts.recordings import FootageGap

FORMAT: Final = "pantau-bundle-1"
MANIFEST: Final = "manifest.json"
SIGNATURE: Final = "manifest.sig"
REPORT: Final = "report.html"
README: Final = "README.txt"


class ManifestPart(Model):
    """One run of fragments of one segment, as a playable file: the segment's opening, then the fragments."""

    file: str
    """Its name in the bundle."""
    sha256: Hash
    size_bytes: int
    statement: Statement
    signature: str
    """Over the statement, by the recorder's key."""
    key_id: str
    first: int = Field(ge=0)
    """Index of the first fragment among the statement's links."""
    fragments: int = Field(ge=1)
    from_us: int
    """Capture time of the first picture in this part."""
    to_us: int


class CameraEvidence(Model):
    """One camera's footage in the range, in order of time."""

    camera: Id
    site: Id
    name: str
    parts: tuple[ManifestPart, ...]
    gaps: tuple[FootageGap, ...]
    """The times without footage, each with its cause."""


class Manifest(Model):
    """The description of a bundle. A recorder signs it, so it cannot be rewritten afterwards."""

    format: str = FORMAT
    bundle: Id
    created_us: int
    software: str
    asked_by: str
    role: str
    reason: str
    incident: str = ""
    from_us: int
    to_us: int
    cameras: tuple[CameraEvidence, ...]
    keys: dict[str, str]
    """Key id → public key of every recorder whose signature is in the bundle."""
    files: dict[str, Hash]
    """SHA-256 of each other file in the bundle, without the manifest and its signature."""

    @property
    def thinned(self) -> bool:
        """Whether retention has removed frames of any footage in it."""
        return any(part.statement.tier != "full" for camera in self.cameras for part in camera.parts)

    @property
    def made_up(self) -> bool:
        """Whether any footage in it is a demo's: no camera took these pictures at that time."""
        return any(part.statement.made for camera in self.cameras for part in camera.parts)


class ManifestSignature(Model):
    """``manifest.sig``."""

    key_id: str
    signature: str
