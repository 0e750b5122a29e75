"""The recorder's Ed25519 key: made at the first start, kept beside the recordings with mode 0600."""

import os
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
PUBLIC_FILE: Final = "recorder-key.pub"
"""The public key in hexadecimal, for those who verify evidence (``pantau verify --key``)."""


def read_key(directory: Path) -> Signer | None:
    """The key that is there; None where there is none. Raises ``OSError``, ``ValueError`` where it cannot be used."""
    try:
        data = (directory / KEY_FILE).read_bytes()
    except FileNotFoundError:
        return None
    try:
        key = load_pem_private_key(data, None)
    except (TypeError, UnsupportedAlgorithm) as error:
        raise ValueError(str(error)) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("not an Ed25519 key")  # noqa: TRY004 (the file's content is wrong, not a type of ours)
    return Signer(key)


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


def _make(directory: Path) -> Signer:
    key = Ed25519PrivateKey.generate()
    signer = Signer(key)
    directory.mkdir(parents=True, exist_ok=True)
    _write(directory / PUBLIC_FILE, signer.public.encode() + b"\n", 0o644)
    _write(directory / KEY_FILE, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), 0o600)
    folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    log.info("key.made", public=signer.public)
    return signer


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
