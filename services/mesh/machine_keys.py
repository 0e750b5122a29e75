"""The keys of a role's machines, to which its secrets are sealed: public halves in a bucket, private ones in files.

A machine that is new makes its key and tells the public half. The role's owner of the secrets seals what is not sealed
to every key there is anew (`Reseal`), as soon as a machine runs that can open it. So a machine joins, or changes its
key, without a secret being typed again.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from services.contracts.errors import UnavailableError
from services.contracts.models import SealingKey
from services.mesh.buckets import Bucket, Mirror
from services.mesh.log import get_logger
from services.mesh.sealing import (
    PUBLIC_BYTES,
    OpeningKeys,
    SealingError,
    drop_former_keys,
    key_id,
    load_keys,
    seal,
)
from services.mesh.tasks import together

log = get_logger()

Reseal = Callable[[dict[str, bytes]], Awaitable[bool]]
"""Seals to these public keys, by their ids, what is not sealed to exactly them; returns whether there was some. Raises
`UnavailableError`."""
LOOK_SECONDS: Final = 1.0
"""Between two looks for what is to be sealed anew; workers of one machine look at different times."""


class MachineKeys:
    """This machine's keys, and those of the others. Follow them by `run`."""

    def __init__(self, keys: Bucket[SealingKey], path: Path, machine: str) -> None:
        """``path`` is the machine's key file, made where there is none; raises `SealingError`."""
        self._bucket = keys
        self._path = path
        self._machine = machine
        self._opening: OpeningKeys = load_keys(path)
        self._known = Mirror(keys)

    @property
    def ready(self) -> asyncio.Event:
        """Set when the others' keys are read."""
        return self._known.ready

    def seal(self, content: bytes, about: str) -> dict[str, str]:
        """Key id → box, for this machine and all others that are known."""
        public = self._opening.current.public
        return boxes({key_id(public): public} | self._valid(), content, about)

    def open(self, sealed: Iterable[tuple[str, str]], about: str) -> bytes | None:
        """The contents of the first box, of (key id, box), that this machine opens; None where it opens none."""
        given = list(sealed)
        content = self._opening.open(given, about)
        if content is None:
            with suppress(SealingError):  # another worker of this machine may have sealed to its new key already
                self._opening = load_keys(self._path)
                content = self._opening.open(given, about)
        return content

    async def run(self, reseal: Reseal) -> None:
        """Tells this machine's key and has secrets sealed anew, until it is cancelled."""
        await together(self._known.run(), self._keep_sealed(reseal))

    async def _keep_sealed(self, reseal: Reseal) -> None:
        await self._known.ready.wait()
        while True:
            try:
                await self._look(reseal)
            except UnavailableError as error:
                log.debug("secrets.later", error=error)
            await asyncio.sleep(LOOK_SECONDS * random.uniform(0.5, 1.5))

    async def _look(self, reseal: Reseal) -> None:
        opening = await asyncio.to_thread(load_keys, self._path)
        if opening.current.id != self._opening.current.id:
            log.info("secrets.key_changed", key=opening.current.id)
        self._opening = opening
        if opening.current.id not in self._known.entries:
            mine = SealingKey(public=opening.current.public.hex(), machine=self._machine)
            await self._bucket.put(opening.current.id, mine)
            return
        former = {key.id for key in opening.keys[1:]} & set(self._known.entries)
        if await reseal({name: public for name, public in self._valid().items() if name not in former}):
            return
        for name in former:
            await self._bucket.delete(name)
        if len(opening.keys) > 1 and not former:
            await asyncio.to_thread(drop_former_keys, self._path)

    def _valid(self) -> dict[str, bytes]:
        return valid_keys(self._known)


def valid_keys(known: Mirror[SealingKey]) -> dict[str, bytes]:
    """Key id → public key, of those that are what their id says."""
    found = {}
    for name, key in known.entries.items():
        with suppress(ValueError):
            public = bytes.fromhex(key[0].public)
            if len(public) == PUBLIC_BYTES and key_id(public) == name:
                found[name] = public
    return found


def boxes(recipients: dict[str, bytes], content: bytes, about: str) -> dict[str, str]:
    """Key id → box, for each of ``recipients``."""
    return {name: seal(public, content, about) for name, public in recipients.items()}
