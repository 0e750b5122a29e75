"""Second factors in the registry: sealed, migrated, sealed anew, and nowhere on disk."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from services.contracts import subjects
from services.contracts.accounts import RegistryAccount, account_key
from services.contracts.errors import ConflictError, UnavailableError
from services.contracts.permissions import Role
from services.contracts.totp import STEP_SECONDS, Totp, code_at, new_secret, recovery_digest
from services.mesh.buckets import Bucket
from services.mesh.bus import Bus
from services.mesh.clock import SystemClock
from services.mesh.sealing import load_keys, rotate_keys
from services.mesh.tasks import end
from services.registry.ledger import Ledger
from services.registry.second_factors import KEY_FILE, SecondFactors
from tests.eventually import eventually

pytestmark = pytest.mark.integration

KEY = account_key("budi")


class Registry:
    """A machine's registry, as far as it has to do with second factors."""

    def __init__(self, ledger: Ledger[RegistryAccount], factors: SecondFactors) -> None:
        self.ledger = ledger
        self.factors = factors

    @property
    def totp(self) -> Totp:
        """Budi's, as it is kept."""
        account = self.ledger.get(KEY)
        assert account is not None
        assert account.totp is not None
        return account.totp


@asynccontextmanager
async def registry(bus: Bus, data: Path) -> AsyncIterator[Registry]:
    ledger = Ledger(await Bucket.open(bus, subjects.ACCOUNTS_BUCKET, RegistryAccount))
    factors = await SecondFactors.open(bus, ledger, data, data.name, SystemClock())
    running = [asyncio.create_task(ledger.run()), asyncio.create_task(factors.run())]
    try:
        await ledger.ready.wait()
        yield Registry(ledger, factors)
    finally:
        await end(running)


async def keep(bus: Bus, totp: Totp) -> None:
    account = RegistryAccount(name="budi", role=Role.OPERATOR, stamp="1", totp=totp)
    await (await Bucket.open(bus, subjects.ACCOUNTS_BUCKET, RegistryAccount)).put(KEY, account)


def code_now(secret: str) -> str:
    return code_at(secret, int(SystemClock().now_us() / 1e6) // STEP_SECONDS)


def on_disk(folder: Path, secret: str) -> bool:
    return any(path.is_file() and secret.encode() in path.read_bytes() for path in folder.rglob("*"))


async def test_what_an_earlier_version_kept_is_sealed_and_overwritten_on_disk(bus: Bus, tmp_path: Path) -> None:
    secret = new_secret()
    await keep(bus, Totp(secret=secret, recovery=frozenset({recovery_digest("abc")})))
    await eventually(lambda: on_disk(tmp_path / "nats", secret))
    async with registry(bus, tmp_path / "here") as here:
        await eventually(lambda: not on_disk(tmp_path / "nats", secret))
        await eventually(lambda: here.totp.secret is None)
        assert set(here.totp.boxes) == {load_keys(tmp_path / "here" / KEY_FILE).current.id}
        used = here.factors.after_use("budi", here.totp, code_now(secret))
        with pytest.raises(ConflictError):
            here.factors.after_use("budi", used, code_now(secret))
        moved = here.totp.model_copy(update={"recovery": frozenset()})
        with pytest.raises(UnavailableError):  # somebody who writes into the bucket gives their factor to another
            here.factors.after_use("citra", moved, code_now(secret))


async def test_a_second_machine_and_a_rotated_key_open_what_was_there_before(bus: Bus, tmp_path: Path) -> None:
    secret = new_secret()
    async with registry(bus, tmp_path / "one") as one:
        await keep(bus, one.factors.seal("budi", Totp(secret=secret)))
        await eventually(lambda: one.ledger.get(KEY) is not None)
        assert not on_disk(tmp_path / "nats", secret)
        async with registry(bus, tmp_path / "two") as two:
            keys = [tmp_path / name / KEY_FILE for name in ("one", "two")]
            await eventually(lambda: set(two.totp.boxes) == {load_keys(path).current.id for path in keys})
            two.factors.after_use("budi", two.totp, code_now(secret))
            new = rotate_keys(keys[0]).current.id
            await eventually(lambda: set(two.totp.boxes) == {new, load_keys(keys[1]).current.id})
            await eventually(lambda: len(load_keys(keys[0]).keys) == 1)


async def test_a_registry_without_a_key_says_so_and_takes_recovery_codes(bus: Bus, tmp_path: Path) -> None:
    secret = new_secret()
    async with registry(bus, tmp_path / "one") as one:
        sealed = one.factors.seal("budi", Totp(secret=secret, recovery=frozenset({recovery_digest("abc")})))
    folder = tmp_path / "no-folder"
    folder.write_text("")
    async with registry(bus, folder) as without:
        with pytest.raises(UnavailableError, match="data folder"):
            without.factors.seal("budi", Totp(secret=secret))
        with pytest.raises(UnavailableError, match="recovery code"):
            without.factors.after_use("budi", sealed, code_now(secret))
        assert without.factors.after_use("budi", sealed, "ABC").recovery == frozenset()
