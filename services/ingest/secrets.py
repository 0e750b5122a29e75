"""Cameras' credentials, which only ingest opens: each machine has a key, and what is kept is sealed to all of them.

A machine that is new makes its key and tells the public half of it in a bucket. What is not sealed to every key there
is, or stands in the clear, is sealed anew by the first ingest that can read it, and the former value is taken from the
disk. So a copy of JetStream's folder gives nothing, and a machine's key is changed without a password being typed again
(`pantau ingest-key rotate`).
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from services.contracts import subjects
from services.contracts.errors import ConflictError
from services.contracts.models import CameraSecret, Credentials, Id, SealingKey
from services.mesh.buckets import Bucket, Mirror
from services.mesh.bus import Bus
from services.mesh.log import get_logger
from services.mesh.machine_keys import MachineKeys, boxes
from services.mesh.tasks import together

log = get_logger()

Changed = Callable[[str, CameraSecret | None, int], None]
"""Called when a camera's credentials changed, as `Mirror` does."""


class OpenedSecrets:
    """The credentials of all cameras, opened. Follow it by `run`."""

    def __init__(self, secrets: Bucket[CameraSecret], keys: MachineKeys, changed: Changed) -> None:
        self.entries: dict[Id, tuple[Credentials, int]] = {}
        """As a mirror has them."""
        self._secrets = secrets
        self._keys = keys
        self._changed = changed
        self._traces = False
        """Former values may stand on nats-server's disk."""
        self._kept = Mirror(secrets, self._on_secret)

    @classmethod
    async def open(cls, bus: Bus, path: Path, machine: str, changed: Changed) -> "OpenedSecrets":
        """Waits while JetStream is not there. ``path`` is the machine's key file; raises `SealingError`."""
        return cls(
            await Bucket.open(bus, subjects.SECRETS_BUCKET, CameraSecret),
            MachineKeys(await Bucket.open(bus, subjects.SEALING_BUCKET, SealingKey), path, machine),
            changed,
        )

    @property
    def ready(self) -> asyncio.Event:
        """Set when all is read."""
        return self._kept.ready

    async def run(self) -> None:
        """Follows the buckets, tells this machine's key, and seals anew; until it is cancelled."""
        await together(self._kept.run(), self._keep_sealed())

    async def _keep_sealed(self) -> None:
        await self._kept.ready.wait()
        await self._keys.run(self._seal_anew)

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
        content = self._keys.open(secret.boxes.items(), camera)
        return Credentials.unpack(content) if content is not None else None

    async def _seal_anew(self, recipients: dict[str, bytes]) -> bool:
        """See `Reseal`. When nothing is left, former values are taken from the disk."""
        some = False
        for camera, (secret, revision) in list(self._kept.entries.items()):
            opened = self.entries.get(camera)
            if opened is None or (secret.username is None and secret.boxes.keys() == recipients.keys()):
                continue
            some = True
            sealed = secret.model_copy(
                update={"username": None, "password": None, "boxes": boxes(recipients, opened[0].pack(), camera)}
            )
            with suppress(ConflictError):  # another worker, or the registry, was faster
                await self._secrets.update(camera, sealed, revision)
                self._traces = True
        if not some and self._traces:
            await self._secrets.scrub()
            self._traces = False
            log.info("secrets.sealed", keys=sorted(recipients))
        return some
