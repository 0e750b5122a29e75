"""Keeps cameras' credentials sealed to ingest's keys, which the registry cannot open again.

It knows credentials again that it wrote (an import that changes nothing shall write nothing) by a digest whose key is
in its data folder. A registry on another machine does not, and writes them anew.
"""

import asyncio
import hmac
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from pydantic import PrivateAttr

from services.contracts import subjects
from services.contracts.models import CameraSecret, Credentials, Id, SealingKey
from services.mesh.buckets import Bucket, Mirror
from services.mesh.bus import Bus
from services.mesh.machine_keys import boxes, valid_keys

MATCH_KEY: Final = "registry-match.key"


class KeptCredentials(Credentials):
    """Credentials that are sealed: they can be compared with others, and not read."""

    _same: Callable[[Credentials], bool] = PrivateAttr()
    _user: Callable[[str], bool] = PrivateAttr()

    @classmethod
    def of(cls, same: Callable[[Credentials], bool], user: Callable[[str], bool]) -> "KeptCredentials":
        """``same`` compares all of them, ``user`` the user's name alone."""
        kept = cls(username="", password="")
        kept._same, kept._user = same, user
        return kept

    def is_user(self, username: str) -> bool:
        """Whether they are of this user."""
        return self._user(username)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, KeptCredentials):
            return self is other
        return isinstance(other, Credentials) and self._same(other)

    __hash__ = None  # type: ignore[assignment]  # what equals them is not known beforehand


class SecretStore:
    """The credentials of all cameras. Follow the keys by `run`."""

    def __init__(self, secrets: Bucket[CameraSecret], keys: Bucket[SealingKey], match_key: bytes) -> None:
        self._secrets = secrets
        self._keys = Mirror(keys)
        self._match_key = match_key

    @classmethod
    async def open(cls, bus: Bus, data: Path) -> "SecretStore":
        """Waits while JetStream is not there. ``data`` has the key of the digests; without one they know nothing."""
        return cls(
            await Bucket.open(bus, subjects.SECRETS_BUCKET, CameraSecret),
            await Bucket.open(bus, subjects.SEALING_BUCKET, SealingKey),
            _match_key(data / MATCH_KEY),
        )

    @property
    def ready(self) -> asyncio.Event:
        """Set when the keys are read: what is put before would stand in the clear."""
        return self._keys.ready

    async def run(self) -> None:
        """Follows ingest's keys until it is cancelled."""
        await self._keys.run()

    async def get(self, camera: Id) -> Credentials | None:
        """A camera's credentials, or what they can be compared with; None where there are none."""
        found = await self._secrets.get(camera)
        if found is None:
            return None
        secret = found[0]
        if (clear := secret.in_the_clear) is not None:
            return clear
        return KeptCredentials.of(
            lambda other: hmac.compare_digest(secret.match, self._digest(camera, other.username, other.password)),
            lambda username: hmac.compare_digest(secret.match_user, self._digest(camera, username)),
        )

    async def put(self, camera: Id, credentials: Credentials) -> None:
        """Seals and writes them. Without any ingest they wait in the clear for one."""
        content = credentials.pack()
        keys = valid_keys(self._keys)
        secret = CameraSecret(
            username=None if keys else credentials.username,
            password=None if keys else credentials.password,
            boxes=boxes(keys, content, camera),
            match=self._digest(camera, credentials.username, credentials.password),
            match_user=self._digest(camera, credentials.username),
        )
        await self._secrets.put(camera, secret)

    async def delete(self, camera: Id) -> None:
        """Removes them."""
        await self._secrets.delete(camera)

    def _digest(self, *parts: str) -> str:
        return hmac.digest(self._match_key, "\0".join(parts).encode(), "sha256").hex()


def _match_key(path: Path) -> bytes:
    """The key of the digests, made where there is none. Where it cannot be kept it is this process's alone."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(os.urandom(32))
    except OSError:
        pass  # it is there already, or the folder is read-only
    try:
        return path.read_bytes() or os.urandom(32)
    except OSError:
        return os.urandom(32)
