"""Cameras' credentials, which only ingest opens: each machine has a key, and what is kept is sealed to all of them.

A machine that is new makes its key and tells the public half of it in a bucket. What is not sealed to every key there
is, or stands in the clear, is sealed anew by the first ingest that can read it, and the former value is taken from the
disk. So a copy of JetStream's folder gives nothing, and a machine's key is changed without a password being typed again
(`pantau ingest-key rotate`).
"""

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from services.contracts import subjects
from services.contracts.errors import ConflictError, UnavailableError
from services.contracts.models import CameraSecret, Credentials, Id, SealingKey
from services.mesh.buckets import Bucket, Mirror
from services.mesh.bus import Bus
from services.mesh.log import get_logger
from services.mesh.sealing import OpeningKeys, SealingError, drop_former_keys, key_id, load_keys, seal
from services.mesh.tasks import together

log = get_logger()

Changed = Callable[[str, CameraSecret | None, int], None]
"""Called when a camera's credentials changed, as `Mirror` does."""
LOOK_SECONDS: Final = 1.0
"""Between two looks for what is to be sealed anew; workers of one machine look at different times."""


class OpenedSecrets:
    """The credentials of all cameras, opened. Follow it by `run`."""

    def __init__(
        self, secrets: Bucket[CameraSecret], keys: Bucket[SealingKey], path: Path, machine: str, changed: Changed
    ) -> None:
        self.entries: dict[Id, tuple[Credentials, int]] = {}
        """As a mirror has them."""
        self._secrets = secrets
        self._keys = keys
        self._path = path
        self._machine = machine
        self._changed = changed
        self._opening: OpeningKeys = load_keys(path)
        self._traces = False
        """Former values may stand on nats-server's disk."""
        self._kept = Mirror(secrets, self._on_secret)
        self._known = Mirror(keys)

    @classmethod
    async def open(cls, bus: Bus, path: Path, machine: str, changed: Changed) -> "OpenedSecrets":
        """Waits while JetStream is not there. ``path`` is the machine's key file; raises `SealingError`."""
        return cls(
            await Bucket.open(bus, subjects.SECRETS_BUCKET, CameraSecret),
            await Bucket.open(bus, subjects.SEALING_BUCKET, SealingKey),
            path,
            machine,
            changed,
        )

    @property
    def ready(self) -> asyncio.Event:
        """Set when all is read."""
        return self._kept.ready

    async def run(self) -> None:
        """Follows the buckets, tells this machine's key, and seals anew; until it is cancelled."""
        await together(self._kept.run(), self._known.run(), self._keep_sealed())

    async def _keep_sealed(self) -> None:
        await self._known.ready.wait()
        await self._kept.ready.wait()
        while True:
            try:
                await self._look()
            except UnavailableError as error:
                log.debug("secrets.later", error=error)
            await asyncio.sleep(LOOK_SECONDS * random.uniform(0.5, 1.5))

    def _on_secret(self, camera: str, secret: CameraSecret | None, revision: int) -> None:
        opened = self._open(camera, secret) if secret is not None else None
        if opened is None:
            self.entries.pop(camera, None)
            if secret is not None:
                log.error(
                    "secrets.not_opened",
                    camera=camera,
                    remedy="start an ingest machine that has a key of before, or give the credentials again",
                )
        else:
            self.entries[camera] = (opened, revision)
        self._changed(camera, secret, revision)

    def _open(self, camera: str, secret: CameraSecret) -> Credentials | None:
        if (clear := secret.in_the_clear) is not None:
            return clear
        content = self._opening.open(secret.boxes.items(), camera)
        if content is None:
            with suppress(SealingError):  # another worker of this machine may have sealed to its new key already
                self._opening = load_keys(self._path)
                content = self._opening.open(secret.boxes.items(), camera)
        return Credentials.unpack(content) if content is not None else None

    async def _look(self) -> None:
        opening = await asyncio.to_thread(load_keys, self._path)
        if opening.current.id != self._opening.current.id:
            log.info("secrets.key_changed", key=opening.current.id)
        self._opening = opening
        if opening.current.id not in self._known.entries:
            mine = SealingKey(public=opening.current.public.hex(), machine=self._machine)
            await self._keys.put(opening.current.id, mine)
            return
        former = {key.id for key in opening.keys[1:]} & set(self._known.entries)
        recipients = {name: bytes.fromhex(key.public) for name, key in self._known_keys().items() if name not in former}
        if await self._seal_anew(recipients):
            return
        for name in former:
            await self._keys.delete(name)
        if len(opening.keys) > 1 and not former:
            await asyncio.to_thread(drop_former_keys, self._path)

    def _known_keys(self) -> dict[str, SealingKey]:
        return {name: key for name, (key, _) in self._known.entries.items() if _is_key(name, key)}

    async def _seal_anew(self, recipients: dict[str, bytes]) -> bool:
        """Whether something was to be sealed. When nothing is left, former values are taken from the disk."""
        some = False
        for camera, (secret, revision) in list(self._kept.entries.items()):
            opened = self.entries.get(camera)
            if opened is None or (secret.username is None and secret.boxes.keys() == recipients.keys()):
                continue
            some = True
            content = opened[0].pack()
            boxes = {name: seal(public, content, camera) for name, public in recipients.items()}
            sealed = secret.model_copy(update={"username": None, "password": None, "boxes": boxes})
            with suppress(ConflictError):  # another worker, or the registry, was faster
                await self._secrets.update(camera, sealed, revision)
                self._traces = True
        if not some and self._traces:
            await self._secrets.scrub()
            self._traces = False
            log.info("secrets.sealed", keys=sorted(recipients))
        return some


def _is_key(name: str, key: SealingKey) -> bool:
    try:
        public = bytes.fromhex(key.public)
    except ValueError:
        return False
    return len(public) == 32 and key_id(public) == name
