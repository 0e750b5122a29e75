"""Keeps the secrets of second factors sealed to the registries' keys: fronts, and copies of NATS's files, have none.

A code is checked here. A registry whose data folder cannot be written keeps no key; it neither seals nor opens.
"""

import asyncio
import hmac
from contextlib import suppress
from pathlib import Path
from typing import Final

from services.contracts import subjects
from services.contracts.accounts import RegistryAccount, account_key
from services.contracts.errors import ConflictError, UnavailableError
from services.contracts.models import SealingKey
from services.contracts.totp import Totp, matching_step, recovery_digest
from services.mesh.buckets import Bucket
from services.mesh.bus import Bus
from services.mesh.clock import Clock
from services.mesh.log import get_logger
from services.mesh.machine_keys import MachineKeys, boxes
from services.mesh.sealing import SealingError
from services.registry.ledger import Ledger

log = get_logger()
KEY_FILE: Final = "registry-secrets.key"


class SecondFactors:
    """The second factors of all accounts. Follow the keys by `run`."""

    def __init__(self, accounts: Ledger[RegistryAccount], keys: MachineKeys | None, clock: Clock) -> None:
        self._accounts = accounts
        self._keys = keys
        self._clock = clock
        self._traces = False
        """Former values may stand on nats-server's disk."""

    @classmethod
    async def open(
        cls, bus: Bus, accounts: Ledger[RegistryAccount], data: Path, machine: str, clock: Clock
    ) -> "SecondFactors":
        """Waits while JetStream is not there. ``data`` has the machine's key file."""
        bucket = await Bucket.open(bus, subjects.REGISTRY_KEYS_BUCKET, SealingKey)
        keys = None
        try:
            keys = await asyncio.to_thread(MachineKeys, bucket, data / KEY_FILE, machine)
        except SealingError as error:
            log.error(  # noqa: TRY400 (no trace wanted)
                "second_factors.no_key", error=error, remedy="a data folder that the registry may write"
            )
        return cls(accounts, keys, clock)

    async def run(self) -> None:
        """Tells this machine's key, and seals anew, until it is cancelled."""
        if self._keys is not None:
            await self._accounts.ready.wait()
            await self._keys.run(self._seal_anew)

    def seal(self, account: str, totp: Totp) -> Totp:
        """``totp`` as it is kept. Raises `UnavailableError`."""
        if self._keys is None:
            raise UnavailableError("this registry has no key to keep a second factor with; give it a data folder")
        return _sealed(totp, self._keys.seal(self._secret(account, totp).encode(), _about(account)))

    def after_use(self, account: str, totp: Totp, code: str) -> Totp:
        """``totp`` after ``code`` was used.

        Raises `ConflictError` where it is no code of it or was used before, and `UnavailableError` where this registry
        cannot open the secret. A recovery code needs no secret.
        """
        digest = recovery_digest(code)
        for kept in totp.recovery:
            if hmac.compare_digest(kept, digest):
                return totp.model_copy(update={"recovery": totp.recovery - {kept}})
        step = matching_step(self._secret(account, totp), code, self._clock.now_us() / 1e6, after=totp.last_step)
        if step is None:
            raise ConflictError("the code is wrong, or was used before")
        return totp.model_copy(update={"last_step": step})

    def _secret(self, account: str, totp: Totp) -> str:
        if totp.secret is not None:
            return totp.secret
        content = self._keys.open(totp.boxes.items(), _about(account)) if self._keys is not None else None
        if content is None:
            raise UnavailableError(
                f"no key of this registry opens the second factor of {account!r}; try again in a few seconds, sign in "
                "with a recovery code, or let an administrator take it away"
            )
        return content.decode()

    async def _seal_anew(self, recipients: dict[str, bytes]) -> bool:
        """See `Reseal`. When nothing is left, former values are taken from the disk."""
        some = False
        for account, revision in list(self._accounts.entries.values()):
            totp = account.totp
            if totp is None or (totp.secret is None and totp.boxes.keys() == recipients.keys()):
                continue
            try:
                secret = self._secret(account.name, totp)
            except UnavailableError as error:
                log.debug("second_factors.not_opened", account=account.name, error=error)
                continue
            some = True
            sealed = _sealed(totp, boxes(recipients, secret.encode(), _about(account.name)))
            with suppress(ConflictError):  # another registry was faster, or the account has changed
                await self._accounts.update(
                    account_key(account.name), account.model_copy(update={"totp": sealed}), revision
                )
                self._traces = True
        if not some and self._traces:
            await self._accounts.scrub()
            self._traces = False
            log.info("second_factors.sealed", keys=sorted(recipients))
        return some


def _sealed(totp: Totp, sealed: dict[str, str]) -> Totp:
    return totp.model_copy(update={"secret": None, "boxes": sealed})


def _about(account: str) -> str:
    return f"second factor of {account}"
