"""The accounts file: who may sign in, as what. Written by ``pantau accounts``, read by every front.

    [[account]]
    name = "budi"
    role = "operator"
    password = "scrypt$15$8$1$<salt>$<hash>"
    token = "sha256$<hash>"

Passwords are kept as scrypt (RFC 7914) with 32 MiB of memory; tokens have 256 random bits, so that one hash is enough.
"""

import hashlib
import hmac
import os
import re
import secrets
import tomllib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from services.contracts.permissions import Role
from services.mesh.clock import Clock
from services.mesh.log import get_logger
from services.mesh.rpc import explain
from services.mesh.settings import SettingsError

log = get_logger()
_LOG_N, _R, _P = 15, 8, 1
_SCRYPT: Final = re.compile(r"scrypt\$(1[0-7])\$([1-8])\$([1-4])\$([\w-]{22}==)\$([\w-]{43}=|[\w-]{86}==)", re.ASCII)
_MAX_MEMORY_BYTES: Final = 128 * 1024 * 1024
MIN_PASSWORD_CHARACTERS: Final = 10


class Account(BaseModel):
    """A person who signs in by password, or a program that signs in by token."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._@+-]*$")
    role: Role
    password: str | None = Field(default=None, repr=False)
    token: str | None = Field(default=None, repr=False)
    locale: str | None = Field(default=None, pattern="^(id|en)$")

    @field_validator("password")
    @classmethod
    def _password(cls, value: str | None) -> str | None:
        if value is not None:
            _parse_scrypt(value)
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


def _parse_scrypt(text: str) -> tuple[int, int, int, bytes, bytes]:
    match = _SCRYPT.fullmatch(text)
    if match is None:
        raise ValueError("not a password's hash; pantau accounts add writes one")
    log_n, r, p, salt, digest = match.groups()
    return int(log_n), int(r), int(p), urlsafe_b64decode(salt), urlsafe_b64decode(digest)


def hash_password(password: str) -> str:
    """What is kept of a password."""
    salt = secrets.token_bytes(16)
    digest = hashlib.scrypt(password.encode(), salt=salt, n=1 << _LOG_N, r=_R, p=_P, maxmem=_MAX_MEMORY_BYTES)
    return f"scrypt${_LOG_N}${_R}${_P}${urlsafe_b64encode(salt).decode()}${urlsafe_b64encode(digest).decode()}"


def password_matches(password: str, kept: str) -> bool:
    """Whether ``kept`` is the hash of ``password``. Takes about 60 ms of CPU: call it in a thread."""
    log_n, r, p, salt, digest = _parse_scrypt(kept)
    given = hashlib.scrypt(
        password.encode(), salt=salt, n=1 << log_n, r=r, p=p, maxmem=_MAX_MEMORY_BYTES, dklen=len(digest)
    )
    return hmac.compare_digest(given, digest)


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
