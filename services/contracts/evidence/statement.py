"""A recorder's signed statement about one segment: its fragments in their order, and the last seal before them.

Each fragment's seal is SHA-256 over the seal before it and the fragment's bytes (`services.media.mp4.fragment.link`).
The statement lists all of them, so that any run of fragments can be proved to be unaltered, complete and in its place.
"""

import hashlib
import json
import operator
import re
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import Field

from services.contracts.models import Id, Model

FORMAT: Final = "pantau-segment-1"
_DOMAIN: Final = b"pantau evidence 1\0"
"""Prefix of each signed text, so that a signature cannot be used for another purpose."""

_KEY: Final = re.compile(r"[0-9a-f]{64}")
_SIGNATURE: Final = re.compile(r"[0-9a-f]{128}")

Hash = str
"""SHA-256 in lower-case hexadecimal."""


class Statement(Model):
    """A recorder's statement about a segment that it has closed or thinned."""

    format: str = FORMAT
    site: Id
    camera: Id
    profile: str
    recorder: Id
    path: str
    """Below the recorder's recordings folder."""
    tier: str
    """``full``, or ``keyframes`` when only some frames were kept."""
    start_us: int
    end_us: int
    uncertainty_us: int
    """Half-width of the interval around the times."""
    clock: str
    """Where the times come from: ``rtcp`` is the camera's own clock, ``arrival`` the recorder's."""
    opening: Hash = Field(pattern=r"^[0-9a-f]{64}$")
    """The hash of the bytes before the first fragment."""
    links: tuple[Hash, ...]
    """The seal of every fragment, in order."""
    previous: str
    """The last seal of this stream's previous segment; empty where there is none."""
    thinned_from: str = ""
    """Of a thinned segment: the last seal of the segment that it was made from."""
    growing: bool = Field(default=False, exclude_if=operator.not_)
    """The segment was still being written: the statement is about what there was of it. Left out where it is false."""
    made: str = Field(default="", exclude_if=operator.not_)
    """``demo``: made up, no camera took these pictures at that time. Left out where it is empty."""

    def to_bytes(self) -> bytes:
        """The canonical form that is signed: JSON with sorted keys and no spaces (RFC 8785 for the types in use)."""
        return canonical(self.model_dump(mode="json"))

    @property
    def last_link(self) -> Hash:
        """The seal that the stream's next segment names as ``previous``."""
        return self.links[-1] if self.links else self.opening


def canonical(value: object) -> bytes:
    """JSON with sorted keys, no spaces, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def public_hex(key: Ed25519PrivateKey | Ed25519PublicKey) -> str:
    """A public key as 64 hexadecimal digits."""
    public = key.public_key() if isinstance(key, Ed25519PrivateKey) else key
    return public.public_bytes_raw().hex()


def key_id(public: str) -> str:
    """A key's short name: the first 16 digits of the SHA-256 of the raw public key."""
    return hashlib.sha256(bytes.fromhex(public)).hexdigest()[:16]


def sign(key: Ed25519PrivateKey, data: bytes) -> str:
    """Ed25519 (RFC 8032) over ``data``, hexadecimal."""
    return key.sign(_DOMAIN + data).hex()


def is_signed(public: str, signature: str, data: bytes) -> bool:
    """Whether ``signature`` was made over ``data`` with the key of ``public``; False for anything malformed.

    Both are in lower-case hexadecimal, so that no two texts say the same.
    """
    if not _KEY.fullmatch(public) or not _SIGNATURE.fullmatch(signature):
        return False
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)).verify(bytes.fromhex(signature), _DOMAIN + data)
    except (InvalidSignature, ValueError):
        return False
    return True
