"""Boxes that only the owner of a key opens: X25519, HKDF-SHA256 and ChaCha20-Poly1305, as in RFC 9180's base mode.

Each box has an ephemeral key of its own, so the symmetric key is used once and the nonce is zero. What a box is about
(a camera's id) is authenticated with it: a box that is moved to another camera does not open.
"""

import base64
import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from services.contracts.errors import PantauError

PUBLIC_BYTES: Final = 32
_PAD_BYTES: Final = 64
"""Contents are filled up to a multiple of it: their length tells nothing of a password's."""
_NONCE: Final = bytes(12)


class SealingError(PantauError):
    """A key file that cannot be used."""

    code = "sealing-key"


def key_id(public: bytes) -> str:
    """A short name of a public key."""
    return hashlib.sha256(public).hexdigest()[:16]


def seal(public: bytes, content: bytes, about: str) -> str:
    """A box for the owner of ``public``, as text."""
    mine = X25519PrivateKey.generate()
    ephemeral = mine.public_key().public_bytes_raw()
    shared = mine.exchange(X25519PublicKey.from_public_bytes(public))
    padded = len(content).to_bytes(4, "big") + content
    padded += bytes(-len(padded) % _PAD_BYTES)
    box = ChaCha20Poly1305(_key(shared, ephemeral, public)).encrypt(_NONCE, padded, about.encode())
    return base64.b64encode(ephemeral + box).decode()


class OpeningKey:
    """A private key that opens boxes."""

    def __init__(self, private: bytes) -> None:
        """``private``: 32 random bytes."""
        self._private = X25519PrivateKey.from_private_bytes(private)
        self.private = private
        self.public = self._private.public_key().public_bytes_raw()
        self.id = key_id(self.public)

    def open(self, box: str, about: str) -> bytes | None:
        """The contents; None where the box is another's, about something else, or altered."""
        try:
            raw = base64.b64decode(box)
            ephemeral = raw[:PUBLIC_BYTES]
            shared = self._private.exchange(X25519PublicKey.from_public_bytes(ephemeral))
            cipher = ChaCha20Poly1305(_key(shared, ephemeral, self.public))
            padded = cipher.decrypt(_NONCE, raw[PUBLIC_BYTES:], about.encode())
        except (ValueError, InvalidTag):
            return None
        return padded[4 : 4 + int.from_bytes(padded[:4], "big")]


class OpeningKeys(NamedTuple):
    """The keys of one machine, the one in use first; those behind it open what was sealed before a change."""

    keys: tuple[OpeningKey, ...]

    @property
    def current(self) -> OpeningKey:
        """The one that is sealed to."""
        return self.keys[0]

    def open(self, boxes: Iterable[tuple[str, str]], about: str) -> bytes | None:
        """The contents of the first box, of (key id, box), that one of the keys opens."""
        mine = {key.id: key for key in self.keys}
        for name, box in boxes:
            if name in mine and (content := mine[name].open(box, about)) is not None:
                return content
        return None


def load_keys(path: Path) -> OpeningKeys:
    """Reads a key file, and makes it where there is none; processes that start together agree on one.

    Raises `SealingError`.
    """
    if not path.exists():
        _write(path, (os.urandom(32),), new=True)
    try:
        keys = [OpeningKey(base64.b64decode(text, validate=True)) for text in json.loads(path.read_text())["keys"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SealingError(f"{path} is not a key file; put its backup in its place") from error
    if not keys:
        raise SealingError(f"{path} has no key")
    return OpeningKeys(tuple(keys))


def rotate_keys(path: Path) -> OpeningKeys:
    """Puts a new key before the others, each of which may still have boxes. Raises `SealingError`."""
    before = load_keys(path)
    _write(path, (os.urandom(32), *(key.private for key in before.keys)))
    return load_keys(path)


def drop_former_keys(path: Path) -> None:
    """Forgets all keys but the one in use. Raises `SealingError`."""
    keys = load_keys(path)
    if len(keys.keys) > 1:
        _write(path, (keys.current.private,))


def _write(path: Path, keys: Iterable[bytes], *, new: bool = False) -> None:
    text = json.dumps({"keys": [base64.b64encode(key).decode() for key in keys]})
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if new:
            try:
                os.link(part, path)
            except FileExistsError:
                pass  # another process was faster
            finally:
                part.unlink()
        else:
            part.replace(path)
    except OSError as error:
        raise SealingError(f"cannot write the key file {path}: {error.strerror}") from error


def _key(shared: bytes, ephemeral: bytes, public: bytes) -> bytes:
    return HKDF(SHA256(), 32, salt=None, info=b"pantau sealed box 1" + ephemeral + public).derive(shared)
