"""All accounts that a front knows: the registry's, and the accounts file's, which go before them."""

from typing import Literal, NamedTuple

from services.contracts.accounts import RegistryAccount, account_key
from services.contracts.permissions import Role
from services.contracts.totp import Totp
from services.mesh.buckets import Bucket, Mirror
from services.wall.front.auth.accounts import Account, AccountsFile


class KnownAccount(NamedTuple):
    """An account that may sign in."""

    name: str
    role: Role
    password: str | None
    locale: str | None
    stamp: str
    source: Literal["registry", "file"]
    totp: Totp | None = None


class AccountDirectory:
    """Finds accounts. A disabled one is not found."""

    def __init__(self, bucket: Bucket[RegistryAccount], file: AccountsFile | None) -> None:
        self.mirror = Mirror(bucket)
        """Of the registry's; run it."""
        self.has_file = file is not None
        self._bucket = bucket
        self._file = file

    @property
    def is_empty(self) -> bool:
        """Whether there is no account at all."""
        return self._file is None and not self.mirror.entries

    def by_name(self, name: str) -> KnownAccount | None:
        """The account of that name."""
        return self._from_file(name) or known_account(self.mirror.get(account_key(name)))

    def by_file_token(self, token: str) -> KnownAccount | None:
        """The account of the file with that token."""
        found = self._file.by_token(token) if self._file else None
        return _of_file(found) if found else None

    def everybody(self) -> list[RegistryAccount]:
        """All accounts of the registry, disabled ones too, by name."""
        return sorted(self.mirror.values(), key=lambda account: account.name.casefold())

    def of_file(self) -> list[KnownAccount]:
        """All accounts of the file."""
        return [_of_file(account) for account in self._file.everybody()] if self._file else []

    async def fetch(self, name: str) -> KnownAccount | None:
        """The account as it is kept at this moment. Raises `UnavailableError`."""
        if found := self._from_file(name):
            return found
        entry = await self._bucket.get(account_key(name))
        return known_account(entry[0] if entry else None)

    def _from_file(self, name: str) -> KnownAccount | None:
        found = self._file.by_name(name) if self._file else None
        return _of_file(found) if found else None


def _of_file(account: Account) -> KnownAccount:
    return KnownAccount(account.name, account.role, account.password, account.locale, account.stamp, "file")


def known_account(account: RegistryAccount | None) -> KnownAccount | None:
    """An account of the registry that may sign in; None where there is none, or it is disabled."""
    if account is None or account.disabled:
        return None
    return KnownAccount(
        account.name, account.role, account.password, account.locale, account.stamp, "registry", account.totp
    )
