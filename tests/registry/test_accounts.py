"""An administrator is always left, however many take each other's rights away at once."""

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from structlog.testing import capture_logs

from services.contracts.accounts import (
    AccountKey,
    AccountPatch,
    AccountUpdate,
    ProviderSignIn,
    RegistryAccount,
    account_key,
)
from services.contracts.errors import ConflictError, ForbiddenError
from services.contracts.permissions import Actor, Role
from services.mesh.clock import ManualClock
from services.registry.accounts import Accounts
from services.registry.second_factors import SecondFactors

if TYPE_CHECKING:
    from services.registry.ledger import Ledger, Ledgers

OF_THE_FILE = Actor("root", Role.ADMIN)
"""No account of the registry's."""


class Kept:
    """A ledger whose bucket takes its time, so that two changes are under way at once."""

    def __init__(self, **roles: Role) -> None:
        made = {name: RegistryAccount(name=name, role=role, stamp="s", changed_us=0) for name, role in roles.items()}
        self.entries = {account_key(name): (account, 1) for name, account in made.items()}

    async def fetch(self, key: str) -> tuple[RegistryAccount, int] | None:
        await asyncio.sleep(0)
        return self.entries.get(key)

    async def update(self, key: str, value: RegistryAccount, revision: int) -> int:
        await asyncio.sleep(0)
        self._require_last(key, revision)
        self.entries[key] = (value, revision + 1)
        return revision + 1

    async def delete(self, key: str, revision: int) -> None:
        await asyncio.sleep(0)
        self._require_last(key, revision)
        del self.entries[key]

    def _require_last(self, key: str, revision: int) -> None:
        if key not in self.entries or self.entries[key][1] != revision:
            raise ConflictError(key)

    def admins(self) -> set[str]:
        return {each.name for each, _ in self.entries.values() if each.role is Role.ADMIN and not each.disabled}


def accounts(kept: Kept) -> Accounts:
    clock = ManualClock(0)
    ledger = cast("Ledger[RegistryAccount]", kept)
    return Accounts(cast("Ledgers", SimpleNamespace(accounts=kept)), SecondFactors(ledger, None, clock), clock)


async def take_away(made: Accounts, how: str, name: str, actor: Actor) -> None:
    if how == "remove":
        await made.remove(AccountKey(name=name), actor)
        return
    patch = AccountPatch(role=Role.VIEWER) if how == "demote" else AccountPatch(disabled=True)
    await made.update(AccountUpdate(name=name, patch=patch), actor)


@pytest.mark.parametrize("first", ["demote", "disable", "remove"])
@pytest.mark.parametrize("second", ["demote", "disable", "remove"])
async def test_of_two_administrators_who_take_each_others_rights_at_once_one_is_left(first: str, second: str) -> None:
    kept = Kept(ani=Role.ADMIN, budi=Role.ADMIN, citra=Role.VIEWER)
    made = accounts(kept)
    ani, budi = Actor("ani", Role.ADMIN), Actor("budi", Role.ADMIN)
    done = await asyncio.gather(
        take_away(made, first, "budi", ani), take_away(made, second, "ani", budi), return_exceptions=True
    )
    assert len(kept.admins()) == 1
    assert [type(each) for each in done] == [type(None), ForbiddenError]


@pytest.mark.parametrize("first", ["demote", "disable", "remove"])
@pytest.mark.parametrize("second", ["demote", "disable", "remove"])
@pytest.mark.parametrize("turns", [0, 1, 2, 3])
async def test_also_where_two_registries_are_asked_at_once_one_is_left(first: str, second: str, turns: int) -> None:
    kept = Kept(ani=Role.ADMIN, budi=Role.ADMIN)
    here, there = accounts(kept), accounts(kept)  # each with a lock of its own

    async def later() -> None:
        for _ in range(turns):
            await asyncio.sleep(0)
        await take_away(there, second, "ani", Actor("budi", Role.ADMIN))

    done = await asyncio.gather(
        take_away(here, first, "budi", Actor("ani", Role.ADMIN)), later(), return_exceptions=True
    )
    assert kept.admins()
    assert {type(each) for each in done} <= {type(None), ConflictError, ForbiddenError}


async def test_others_are_demoted_and_the_last_one_by_nobody_until_there_is_another() -> None:
    kept = Kept(ani=Role.ADMIN, budi=Role.ADMIN, citra=Role.VIEWER)
    made = accounts(kept)
    ani = Actor("ani", Role.ADMIN)
    await take_away(made, "disable", "citra", ani)
    await take_away(made, "remove", "citra", ani)
    await take_away(made, "demote", "budi", ani)
    assert kept.admins() == {"ani"}
    with pytest.raises(ForbiddenError, match="last administrator"):
        await take_away(made, "demote", "ani", OF_THE_FILE)
    await made.update(AccountUpdate(name="budi", patch=AccountPatch(role=Role.ADMIN)), ani)
    await take_away(made, "demote", "ani", OF_THE_FILE)
    assert kept.admins() == {"budi"}


async def test_groups_at_the_provider_take_no_last_administrators_rights() -> None:
    kept = Kept(ani=Role.ADMIN, budi=Role.ADMIN)
    made, system = accounts(kept), Actor("front", Role.ADMIN)
    signed_in = [ProviderSignIn(name=name, subject=f"idp {name}", role=Role.VIEWER) for name in ("ani", "budi")]
    with capture_logs() as logs:
        entries = await asyncio.gather(*(made.sign_in_by_provider(given, system) for given in signed_in))
    assert [entry.account.role for entry in entries] == [Role.VIEWER, Role.ADMIN]
    assert [entry.account.subject for entry in entries] == ["idp ani", "idp budi"]
    assert kept.admins() == {"budi"}
    assert [(entry["event"], entry["account"]) for entry in logs] == [("account.last_admin_stays", "budi")]
    again = await made.sign_in_by_provider(signed_in[1], system)
    assert (again.account.role, again.revision) == (Role.ADMIN, entries[1].revision)
