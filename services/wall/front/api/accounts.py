"""``/api/v1/accounts``: who may sign in. The registry keeps them; those of the accounts file are only shown."""

import asyncio
import secrets
from typing import Final, Literal, Self

from aiohttp import web
from pydantic import BaseModel, Field

from services.contracts import subjects
from services.contracts.accounts import (
    AccountDone,
    AccountEntry,
    AccountInput,
    AccountKey,
    AccountName,
    AccountPatch,
    AccountUpdate,
    Locale,
    RegistryAccount,
    account_key,
)
from services.contracts.errors import ConflictError, NotFoundError
from services.contracts.permissions import Role
from services.mesh.rpc import call as ask
from services.wall.front.auth.directory import KnownAccount
from services.wall.front.auth.passwords import MAX_PASSWORD_BYTES, MIN_PASSWORD_CHARACTERS
from services.wall.front.context import FrontRequest
from services.wall.front.http.route import json_response

SEEN_SECONDS: Final = 1.0


class NewAccount(BaseModel):
    """An account to be made."""

    name: AccountName
    role: Role
    locale: Locale | None = None
    password: str | None = Field(
        default=None, min_length=MIN_PASSWORD_CHARACTERS, max_length=MAX_PASSWORD_BYTES, repr=False
    )


class AccountChange(BaseModel):
    """The fields of an account that change."""

    role: Role | None = None
    locale: Locale | None = None
    disabled: bool | None = None
    totp: None = Field(default=None, description="null takes the second factor away, for who has lost it.")
    password: str | None = Field(
        default=None, min_length=MIN_PASSWORD_CHARACTERS, max_length=MAX_PASSWORD_BYTES, repr=False
    )


class AccountView(BaseModel):
    """An account."""

    name: AccountName
    role: Role
    locale: Locale | None
    disabled: bool = Field(description="It stays, and nobody can sign in to it.")
    has_password: bool
    totp: bool = Field(description="It has a second factor.")
    source: Literal["registry", "file"] = Field(description="file: the accounts file, which is changed on the machine.")
    signed_in: int = Field(description="How many browsers, programs and tokens are signed in.")

    @classmethod
    def of(cls, account: RegistryAccount | KnownAccount, signed_in: int) -> Self:
        """An account as an answer shows it."""
        from_file = isinstance(account, KnownAccount)
        return cls(
            name=account.name,
            role=account.role,
            locale=account.locale,
            disabled=False if isinstance(account, KnownAccount) else account.disabled,
            has_password=account.password is not None,
            totp=account.totp is not None,
            source="file" if from_file else "registry",
            signed_in=signed_in,
        )


class AccountsView(BaseModel):
    """All accounts, by name."""

    accounts: list[AccountView]


async def list_accounts(request: FrontRequest) -> web.Response:
    """All accounts."""
    accounts = request.front.identity.accounts
    of_file = accounts.of_file()
    names = {account.name for account in of_file}
    found: list[RegistryAccount | KnownAccount] = [
        *of_file,
        *(account for account in accounts.everybody() if account.name not in names),
    ]
    return json_response(AccountsView(accounts=[_view(request, account) for account in found]))


async def add_account(request: FrontRequest) -> web.Response:
    """Makes one. Without a password only the identity provider and API tokens sign in to it."""
    given = await request.json(NewAccount)
    identity = request.front.identity
    if any(account.name == given.name for account in identity.accounts.of_file()):
        raise ConflictError(f"there is an account {given.name!r} in the accounts file")
    password = await identity.hash_password(given.password) if given.password else None
    question = AccountInput(name=given.name, role=given.role, locale=given.locale, password=password)
    entry = await ask(request.front.bus, endpoint(request, "add"), question, AccountEntry, actor=request.actor)
    await account_seen(request, given.name, entry.revision)
    return json_response(_view(request, entry.account), status=201)


async def get_account(request: FrontRequest) -> web.Response:
    """One account."""
    return json_response(_view(request, _account(request)))


async def update_account(request: FrontRequest) -> web.Response:
    """Changes the given fields. Another role or password ends the account's sign-ins."""
    change = await request.json(AccountChange)
    account = _changeable(request)
    given = {name: getattr(change, name) for name in change.model_fields_set}
    if given.get("password"):
        given["password"] = await request.front.identity.hash_password(given["password"])
    question = AccountUpdate(name=account.name, patch=AccountPatch.model_validate(given))
    entry = await ask(request.front.bus, endpoint(request, "update"), question, AccountEntry, actor=request.actor)
    await account_seen(request, account.name, entry.revision)
    return json_response(_view(request, entry.account))


async def remove_account(request: FrontRequest) -> web.Response:
    """Removes one; what it is signed in to ends within seconds."""
    account = _changeable(request)
    where = endpoint(request, "remove")
    await ask(request.front.bus, where, AccountKey(name=account.name), AccountDone, actor=request.actor)
    await account_seen(request, account.name, None)
    return web.Response(status=204)


def endpoint(request: FrontRequest, verb: str) -> str:
    """The registry's endpoint for a question about accounts."""
    return subjects.rpc(request.front.home, "registry", f"accounts-{verb}")


def new_stamp() -> str:
    """A stamp for an account whose sign-ins are to end, but for the one that brings this about."""
    return secrets.token_hex(8)


def _account(request: FrontRequest) -> RegistryAccount | KnownAccount:
    name = request.raw.match_info["name"]
    accounts = request.front.identity.accounts
    found: list[RegistryAccount | KnownAccount] = [*accounts.of_file(), *accounts.everybody()]
    for account in found:
        if account.name == name:
            return account
    raise NotFoundError(f"there is no account {name!r}")


def _changeable(request: FrontRequest) -> RegistryAccount:
    account = _account(request)
    if isinstance(account, KnownAccount):
        raise ConflictError(f"{account.name} stands in the accounts file, where the page cannot change it")
    return account


def _view(request: FrontRequest, account: RegistryAccount | KnownAccount) -> AccountView:
    return AccountView.of(account, len(request.front.identity.sign_ins.of_account(account.name)))


async def account_seen(request: FrontRequest, name: str, revision: int | None) -> None:
    """Returns when this front has the account's ``revision`` (None: has it no more), or after a second."""
    entries, key = request.front.identity.accounts.mirror.entries, account_key(name)
    deadline = request.front.clock.monotonic() + SEEN_SECONDS
    while request.front.clock.monotonic() < deadline:
        entry = entries.get(key)
        if entry is None if revision is None else entry is not None and entry[1] >= revision:
            return
        await asyncio.sleep(0.005)
