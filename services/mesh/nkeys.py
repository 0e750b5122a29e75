"""NATS's keys (Ed25519, as text: nkeys) and ``.creds`` files, by `cryptography`: what signs a client in.

The formats are those of the Go packages ``nkeys`` and ``jwt`` of nats-io: base32 without padding of a prefix byte, the
key and a CRC-16; a seed has a second prefix, which says the kind of its key.
"""

import base64
import binascii
from pathlib import Path
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from services.contracts.errors import PantauError

_SEED: Final = 18 << 3
_KINDS: Final = {"operator": 14 << 3, "account": 0, "user": 20 << 3}
_JWT_HEAD: Final = "-----BEGIN NATS USER JWT-----"
_SEED_HEAD: Final = "-----BEGIN USER NKEY SEED-----"


class BadKeyError(PantauError):
    """A key or a creds file that cannot be read."""

    code = "bad-key"


class NKey:
    """A key pair of one kind: operator, account or user."""

    def __init__(self, kind: str, seed: bytes) -> None:
        """``seed``: 32 random bytes."""
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.kind = kind
        self.public = _encode(bytes([_KINDS[kind]]) + self._private.public_key().public_bytes_raw())
        """As text, for example ``UDX…``."""

    @classmethod
    def new(cls, kind: str) -> "NKey":
        """A new one."""
        return cls(kind, Ed25519PrivateKey.generate().private_bytes_raw())

    @classmethod
    def from_seed(cls, text: str) -> "NKey":
        """Reads a seed (``SU…``, ``SA…``, ``SO…``); raises `BadKeyError`, which does not quote it."""
        raw = _decode(text)
        kind = ((raw[0] & 7) << 5) | (raw[1] >> 3) if len(raw) == 34 else None
        for name, prefix in _KINDS.items():
            if prefix == kind and raw[0] & 0xF8 == _SEED:
                return cls(name, raw[2:])
        raise BadKeyError("this is not the seed of a NATS key (it begins with SO, SA or SU)")

    @property
    def seed(self) -> str:
        """The private key as text."""
        kind = _KINDS[self.kind]
        return _encode(bytes([_SEED | (kind >> 5), (kind & 31) << 3]) + self._private.private_bytes_raw())

    def sign(self, message: bytes) -> bytes:
        """64 bytes."""
        return self._private.sign(message)


def verifies(public: str, message: bytes, signature: bytes) -> bool:
    """Whether the key ``public`` (as text) signed ``message``."""
    try:
        Ed25519PublicKey.from_public_bytes(_decode(public)[1:]).verify(signature, message)
    except (InvalidSignature, ValueError, BadKeyError):
        return False
    return True


class Creds(NamedTuple):
    """What a ``.creds`` file holds."""

    jwt: str
    key: NKey

    @classmethod
    def parse(cls, text: str) -> "Creds":
        """Raises `BadKeyError`."""
        lines = [line.strip() for line in text.splitlines()]
        try:
            jwt, seed = lines[lines.index(_JWT_HEAD) + 1], lines[lines.index(_SEED_HEAD) + 1]
        except (ValueError, IndexError) as error:
            raise BadKeyError("this is not a NATS .creds file: it has no user JWT or no seed") from error
        return cls(jwt, NKey.from_seed(seed))

    @classmethod
    def read(cls, path: Path) -> "Creds":
        """Raises `BadKeyError` that names the file."""
        try:
            return cls.parse(path.read_text())
        except (OSError, UnicodeDecodeError) as error:
            raise BadKeyError(f"cannot read the NATS creds file {path}: {error}") from error
        except BadKeyError as error:
            raise BadKeyError(f"{path}: {error.message}") from error

    def text(self) -> str:
        """The file."""
        return (
            f"{_JWT_HEAD}\n{self.jwt}\n------END NATS USER JWT------\n\n"
            "************************* IMPORTANT *************************\n"
            "The seed below is a private key: who has it is this user.\n\n"
            f"{_SEED_HEAD}\n{self.key.seed}\n------END USER NKEY SEED------\n"
        )


def _encode(raw: bytes) -> str:
    return base64.b32encode(raw + binascii.crc_hqx(raw, 0).to_bytes(2, "little")).decode().rstrip("=")


def _decode(text: str) -> bytes:
    try:
        raw = base64.b32decode(text.strip() + "=" * (-len(text.strip()) % 8))
    except (binascii.Error, ValueError) as error:
        raise BadKeyError("this is not a NATS key") from error
    if len(raw) < 4 or binascii.crc_hqx(raw[:-2], 0).to_bytes(2, "little") != raw[-2:]:
        raise BadKeyError("this is not a NATS key, or it is mistyped")
    return raw[:-2]
