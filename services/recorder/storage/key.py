"""The recorder's Ed25519 key: made at the first start, kept beside the recordings with mode 0600.

Its public half and those of all keys before stand in `KEYS_FILE` of every data directory, so that what an older key
signed is known as ours after a rotation or a loss.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from services.mesh.log import get_logger
from services.recorder.storage.proof import Signer

log = get_logger()
KEY_FILE: Final = "recorder-key.pem"
KEYS_FILE: Final = "recorder-keys"
"""The public keys that the recorder ever had, one a line."""
PUBLIC_FILE: Final = "recorder-key.pub"
"""The public key in hexadecimal, for those who verify evidence (``pantau verify --key``)."""


def read_key(directory: Path) -> Signer | None:
    """The key that is there; None where there is none. Raises ``OSError``, ``ValueError`` where it cannot be used."""
    try:
        data = (directory / KEY_FILE).read_bytes()
    except FileNotFoundError:
        return None
    return Signer(_load(data))


def _load(data: bytes) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(data, None)
    except (TypeError, UnsupportedAlgorithm) as error:
        raise ValueError(str(error)) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("not an Ed25519 key")  # noqa: TRY004 (the file's content is wrong, not a type of ours)
    return key


def read_keys(directory: Path) -> frozenset[str]:
    """The public keys that the recorder of this directory ever had; empty where nothing is known."""
    try:
        return frozenset((directory / KEYS_FILE).read_text().split())
    except (OSError, UnicodeDecodeError):
        return frozenset()


def remember_keys(directory: Path, *signers: Signer | str | None, strict: bool = False) -> frozenset[str]:
    """Adds public keys to those that the recorder ever had, and returns all of them.

    Where they cannot be written the log says so; with ``strict`` it raises ``OSError``.
    """
    known = read_keys(directory)
    new = {one if isinstance(one, str) else one.public for one in signers if one is not None} - known
    if new:
        try:
            _write(directory / KEYS_FILE, "".join(f"{key}\n" for key in sorted(known | new)).encode(), 0o644)
        except OSError as error:
            if strict:
                raise
            log.warning("key.not_remembered", path=str(directory / KEYS_FILE), error=error)
    return known | new


def load_key(directory: Path) -> Signer | None:
    """The recorder's key, made where there is none.

    None where it cannot be read or written: recording goes on unsigned, and the log says so. A key that cannot be read
    is never replaced.
    """
    try:
        found = read_key(directory)
        return found if found is not None else _make(directory)
    except (OSError, ValueError) as error:
        log.error("key.unusable", path=str(directory / KEY_FILE), error=error)  # noqa: TRY400 (no trace wanted)
        return None


def back_up(directory: Path, target: Path) -> Signer:
    """Copies the key to a new file, mode 0600; raises ``OSError``, ``ValueError`` where there is no usable key."""
    signer = _usable(directory)
    fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, (directory / KEY_FILE).read_bytes())
        os.fsync(fd)
    finally:
        os.close(fd)
    return signer


def restore(directories: Sequence[Path], source: Path) -> Signer:
    """Takes the key that `back_up` wrote into use again. Raises ``OSError``, ``ValueError`` where it is none."""
    return _replace(directories, _load(source.read_bytes()))


def rotate(directories: Sequence[Path]) -> Signer:
    """A new key; what the old one signed stays ours. Raises ``OSError``, ``ValueError`` where no key can be used."""
    _usable(directories[0])
    return _replace(directories, Ed25519PrivateKey.generate())


def replace_lost(directories: Sequence[Path]) -> Signer:
    """A new key for one that is gone or cannot be read. Raises ``ValueError`` where it can, ``OSError``."""
    first = directories[0]
    try:
        found = read_key(first)
    except (OSError, ValueError):
        (first / KEY_FILE).replace(first / f"{KEY_FILE}.unusable")
        found = None
    if found is not None:
        raise ValueError("the key is not lost; 'rotate' gives the recorder another")
    return _replace(directories, Ed25519PrivateKey.generate())


def _usable(directory: Path) -> Signer:
    found = read_key(directory)
    if found is None:
        raise ValueError(f"there is no key in {directory}")
    return found


def _replace(directories: Sequence[Path], key: Ed25519PrivateKey) -> Signer:
    """Writes the key into the first directory; all directories remember it, and the one that was there."""
    signer = Signer(key)
    for directory in directories:
        remember_keys(directory, _public(directories[0]), signer, strict=True)
    _store(directories[0], key)
    return signer


def _public(directory: Path) -> str | None:
    """The public key that stands there, also where the private one is gone."""
    try:
        text = (directory / PUBLIC_FILE).read_text().strip()
    except (OSError, UnicodeDecodeError):
        return None
    return text if re.fullmatch("[0-9a-f]{64}", text) else None


def _make(directory: Path) -> Signer:
    key = Ed25519PrivateKey.generate()
    signer = Signer(key)
    directory.mkdir(parents=True, exist_ok=True)
    remember_keys(directory, _public(directory), signer)
    _store(directory, key)
    log.info("key.made", public=signer.public)
    return signer


def _store(directory: Path, key: Ed25519PrivateKey) -> None:
    signer = Signer(key)
    _write(directory / PUBLIC_FILE, signer.public.encode() + b"\n", 0o644)
    _write(directory / KEY_FILE, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), 0o600)
    folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _write(path: Path, data: bytes, mode: int) -> None:
    """Writes a file atomically and durably."""
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        os.write(fd, data)
        os.fsync(fd)
    finally:
        os.close(fd)
    temporary.replace(path)
