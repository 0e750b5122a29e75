"""Answers the ``accounts-*`` questions: who may sign in. Passwords arrive as hashes."""

import asyncio
import secrets
from typing import Any, Final

from services.contracts.accounts import (
    AccountDone,
    AccountEntry,
    AccountInput,
    AccountKey,
    AccountUpdate,
    PasswordChange,
    ProviderSignIn,
    RegistryAccount,
    TotpChange,
    TotpUse,
    account_key,
)
from services.contracts.errors import ConflictError, ForbiddenError, InvalidInputError, NotFoundError
from services.contracts.permissions import Actor, Role
from services.mesh.clock import Clock
from services.mesh.log import get_logger
from services.registry.ledger import Ledgers
from services.registry.second_factors import SecondFactors

log = get_logger()

ATTEMPTS: Final = 5
_ENDS_SIGN_INS: Final = frozenset({"role", "disabled", "password"})


class Accounts:
    """The registry's accounts. Nobody demotes themselves, and nobody the last administrator: one is always left."""

    def __init__(self, ledgers: Ledgers, second_factors: SecondFactors, clock: Clock) -> None:
        self._ledger = ledgers.accounts
        self._second_factors = second_factors
        self._clock = clock
        self._taking_away = asyncio.Lock()
        """Of two administrators who demote each other at once, here the second one is refused. Another registry meets
        a `ConflictError` (`_keep_admin_besides`)."""

    async def add(self, given: AccountInput, actor: Actor) -> AccountEntry:
        """Makes an account. The first one of a mesh without accounts is an administrator's, or nobody could go on."""
        if not self._ledger.entries and not actor.session and given.role is not Role.ADMIN:
            raise InvalidInputError("role: the first account must be an admin's: from then on everybody has to sign in")
        account = RegistryAccount(**given.model_dump(), stamp=_new_stamp(), changed_us=self._clock.now_us())
        try:
            revision = await self._ledger.create(account_key(account.name), account)
        except ConflictError as error:
            raise ConflictError(f"there is an account {account.name!r} already") from error
        return AccountEntry(account=account, revision=revision)

    async def update(self, update: AccountUpdate, actor: Actor) -> AccountEntry:
        """Changes an account; another role or password ends its sign-ins."""
        given = update.patch.given()
        if update.name == actor.name and (given.get("disabled") or given.get("role", actor.role) is not actor.role):
            raise ForbiddenError("nobody takes their own rights away; let another administrator do it")
        async with self._taking_away:
            takes = bool(given.get("disabled")) or given.get("role", Role.ADMIN) is not Role.ADMIN
            return await self._change(update.name, given, takes_rights=takes)

    async def remove(self, key: AccountKey, actor: Actor) -> AccountDone:
        """Removes an account, which ends its sign-ins."""
        if key.name == actor.name:
            raise ForbiddenError("nobody removes their own account; let another administrator do it")
        async with self._taking_away:
            account, revision = await self._get(key.name)
            await self._keep_admin_besides(account)
            await self._ledger.delete(account_key(key.name), revision)
        return AccountDone()

    async def _keep_admin_besides(self, account: RegistryAccount) -> None:
        """Raises `ForbiddenError` where nobody else is administrator. An administrator of an accounts file is refused
        as well.

        Writes another administrator's account again as it is. So a registry that is taking that one's rights, because
        ``account`` is left, meets a newer revision, or this one does (`ConflictError`).
        """
        if not _is_admin(account):
            return
        others = [each.name for each, _ in self._ledger.entries.values() if _is_admin(each)]
        for name in others:
            entry = await self._ledger.fetch(account_key(name)) if name != account.name else None
            if entry is not None and _is_admin(entry[0]):
                await self._ledger.update(account_key(name), *entry)
                return
        raise ForbiddenError(f"{account.name} is the last administrator; make somebody else one first")

    async def change_password(self, change: PasswordChange, actor: Actor) -> AccountEntry:
        """Gives the asker's own account a password."""
        return await self._change(actor.name, {"password": change.password, "stamp": change.stamp})

    async def change_totp(self, change: TotpChange, actor: Actor) -> AccountEntry:
        """Gives the asker's own account a second factor, or takes it away."""
        totp = self._second_factors.seal(actor.name, change.totp) if change.totp is not None else None
        return await self._change(actor.name, {"totp": totp})

    async def sign_in_by_provider(self, given: ProviderSignIn, _actor: Actor) -> AccountEntry:
        """The account of somebody whom the identity provider has signed in: made, or brought up to date.

        An account stays with its subject, also where the provider changes the name. One that an administrator made
        without a password is taken by the first subject of its name. The last administrator stays one, also where their
        groups say otherwise. Raises `ConflictError` where the account of that name is another's.
        """
        known = next((each for each, _ in self._ledger.entries.values() if each.subject == given.subject), None)
        name = known.name if known is not None else given.name
        for _attempt in range(ATTEMPTS):
            entry = await self._ledger.fetch(account_key(name))
            if entry is None:
                made = RegistryAccount(
                    **(given.model_dump() | {"name": name}), stamp=_new_stamp(), changed_us=self._clock.now_us()
                )
                try:
                    return AccountEntry(account=made, revision=await self._ledger.create(account_key(name), made))
                except ConflictError:
                    continue
            before, revision = entry
            if before.subject != given.subject and (before.subject or before.password is not None):
                raise ConflictError(f"the account {name!r} is not the identity provider's")
            changes = {"subject": given.subject, "role": given.role}
            if before.disabled or all(getattr(before, field) == value for field, value in changes.items()):
                return AccountEntry(account=before, revision=revision)
            try:
                async with self._taking_away:
                    return await self._change(name, changes, takes_rights=given.role is not Role.ADMIN)
            except ForbiddenError:
                log.warning("account.last_admin_stays", account=name, role_by_provider=given.role)
            if before.subject == given.subject:
                return AccountEntry(account=before, revision=revision)
            return await self._change(name, {"subject": given.subject})
        raise ConflictError(f"the account {name!r} keeps changing; try again")

    async def use_totp(self, use: TotpUse, _actor: Actor) -> AccountEntry:
        """Checks a code and marks it as used; raises as `SecondFactors.after_use` does."""
        for _attempt in range(ATTEMPTS):
            before, revision = await self._get(use.name)
            if before.totp is None:
                raise ConflictError("this account takes no code any more")
            totp = self._second_factors.after_use(use.name, before.totp, use.code)
            after = before.model_copy(update={"totp": totp})
            try:
                return AccountEntry(
                    account=after, revision=await self._ledger.update(account_key(use.name), after, revision)
                )
            except ConflictError:
                continue
        raise ConflictError(f"the account {use.name!r} keeps changing; try again")

    async def _get(self, name: str) -> tuple[RegistryAccount, int]:
        entry = await self._ledger.fetch(account_key(name))
        if entry is None:
            raise NotFoundError(f"there is no account {name!r} in the registry")
        return entry

    async def _change(self, name: str, given: dict[str, Any], *, takes_rights: bool = False) -> AccountEntry:
        """``takes_rights``: of an administrator, where another one has to be left."""
        for _attempt in range(ATTEMPTS):
            before, revision = await self._get(name)
            changes = given | {"changed_us": self._clock.now_us()}
            if any(field in given and given[field] != getattr(before, field) for field in _ENDS_SIGN_INS):
                changes = {"stamp": _new_stamp()} | changes
            after = RegistryAccount.model_validate(before.model_dump() | changes)
            try:
                if takes_rights:
                    await self._keep_admin_besides(before)
                return AccountEntry(
                    account=after, revision=await self._ledger.update(account_key(name), after, revision)
                )
            except ConflictError:
                continue
        raise ConflictError(f"the account {name!r} keeps changing; try again")


def _is_admin(account: RegistryAccount) -> bool:
    return account.role is Role.ADMIN and not account.disabled


def _new_stamp() -> str:
    return secrets.token_hex(8)
