"""The accounts file: the way in for one box. Written by ``pantau accounts --file``, read by every front.

    [[account]]
    name = "budi"
    role = "operator"
    password = "$argon2id$v=19$m=19456,t=2,p=1$<salt>$<hash>"
    token = "sha256$<hash>"

Tokens have 256 random bits, so that one hash is enough.
"""

import hashlib
import os
import secrets
import tomllib
from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from services.contracts.accounts import AccountName, Locale
from services.contracts.permissions import Role
from services.mesh.clock import Clock
from services.mesh.log import get_logger
from services.mesh.rpc import explain
from services.mesh.settings import SettingsError
from services.wall.front.auth.passwords import check_hash

log = get_logger()


class Account(BaseModel):
    """A person who signs in by password, or a program that signs in by token."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: AccountName
    role: Role
    password: str | None = Field(default=None, repr=False)
    token: str | None = Field(default=None, repr=False)
    locale: Locale | None = None

    @property
    def stamp(self) -> str:
        """Another one after each change that ends the account's sign-ins."""
        return hashlib.sha256(f"{self.name}\0{self.role}\0{self.password}\0{self.token}".encode()).hexdigest()[:16]

    @field_validator("password")
    @classmethod
    def _password(cls, value: str | None) -> str | None:
        if value is not None:
            check_hash(value)
        return value

    @field_validator("token")
    @classmethod
    def _token(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith("sha256$"):
            raise ValueError("not a token's hash; pantau accounts add writes one")
        return value


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    account: list[Account] = []


def new_token() -> str:
    """A token for a program; shown once."""
    return secrets.token_urlsafe(32)


def hash_token(token: str) -> str:
    """What is kept of a token."""
    return f"sha256${hashlib.sha256(token.encode()).hexdigest()}"


def read_accounts(path: Path) -> dict[str, Account]:
    """The accounts by name; raises `SettingsError` that says what is wrong with the file."""
    try:
        accounts = _File.model_validate(tomllib.loads(path.read_text())).account
    except FileNotFoundError as error:
        raise SettingsError(f"there is no accounts file {path}; pantau accounts add makes it") from error
    except OSError as error:
        raise SettingsError(f"cannot read the accounts file {path}: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"the accounts file {path} is not TOML: {error}") from error
    except ValidationError as error:
        raise SettingsError(f"the accounts file {path} cannot be used: {explain(error)}") from error
    by_name = {account.name: account for account in accounts}
    if len(by_name) != len(accounts):
        raise SettingsError(f"the accounts file {path} has two accounts of one name")
    return by_name


def write_accounts(path: Path, accounts: Iterable[Account]) -> None:
    """Replaces the file as a whole, readable by its owner alone."""
    lines = ["# Who may sign in to the wall. Written by: pantau accounts", ""]
    for account in accounts:
        lines.append("[[account]]")
        # Names, roles, hashes and locales hold no quote, backslash or control character that TOML would need escaped.
        lines += [f"{key} = '{value}'" for key, value in account.model_dump(mode="json", exclude_none=True).items()]
        lines.append("")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write("\n".join(lines))
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


class AccountsFile:
    """The file, followed: an added, changed or removed account counts from the next second on."""

    def __init__(self, path: Path, clock: Clock) -> None:
        """Reads the file; raises `SettingsError` where it cannot be used or holds no account."""
        self._path = path
        self._clock = clock
        self._stamp: tuple[int, int, int] | None = None
        self._looked_at = float("-inf")
        self._accounts: dict[str, Account] = {}
        self._by_token: dict[str, Account] = {}
        self._load(self._current_stamp())
        if not self._accounts:
            raise SettingsError(f"the accounts file {path} holds no account; add one with: pantau accounts add")

    def by_name(self, name: str) -> Account | None:
        """The account of that name."""
        self._refresh()
        return self._accounts.get(name)

    def by_token(self, token: str) -> Account | None:
        """The account with that token. The lookup is by hash, so its duration reveals nothing about the token."""
        self._refresh()
        return self._by_token.get(hash_token(token))

    def everybody(self) -> list[Account]:
        """All accounts."""
        self._refresh()
        return list(self._accounts.values())

    def _current_stamp(self) -> tuple[int, int, int] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ino, status.st_size

    def _load(self, stamp: tuple[int, int, int] | None) -> None:
        self._accounts = read_accounts(self._path)
        self._by_token = {account.token: account for account in self._accounts.values() if account.token}
        self._stamp = stamp

    def _refresh(self) -> None:
        now = self._clock.monotonic()
        if now - self._looked_at < 1.0:
            return
        self._looked_at = now
        stamp = self._current_stamp()
        if stamp != self._stamp:
            self._reload(stamp)

    def _reload(self, stamp: tuple[int, int, int] | None) -> None:
        try:
            self._load(stamp)
        except SettingsError as error:
            self._stamp = stamp  # logged once a version of the file; the accounts that were read before stay
            log.warning("front.accounts_unreadable", error=error.message)
