"""People and programs who sign in: their accounts, which the registry keeps, and their sign-ins, which fronts keep.

Fronts read both. Relays read sign-ins alone, so that a relay never sees a password's hash: an account that is changed
or removed ends its sign-ins, and fronts delete those.
"""

from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from services.contracts.models import Id, Model
from services.contracts.patch import Partial, Patch
from services.contracts.permissions import Actor, Right, Role
from services.contracts.totp import Totp

MAX_NAME: Final = 64
MAX_CODE: Final = 64
AccountName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@+-]*$", max_length=MAX_NAME)]
Locale = Literal["id", "en"]


def account_key(name: str) -> str:
    """The bucket's key for an account: a name has signs that a key may not have."""
    return name.encode().hex()


class RegistryAccount(Model):
    """An account of the registry."""

    name: AccountName
    role: Role
    locale: Locale | None = None
    disabled: bool = False
    """It stays, and nobody can sign in to it."""
    password: str | None = Field(default=None, repr=False)
    """The hash of its password; None: only tokens and the identity provider sign in."""
    totp: Totp | None = None
    """Its second factor; None: the password alone."""
    subject: str = ""
    """Who it is at the identity provider: issuer and subject, which the provider never gives to another."""
    stamp: str
    """Made anew with each change that ends the account's sign-ins."""
    changed_us: int = 0


class AccountEntry(Model):
    """An account with its revision."""

    account: RegistryAccount
    revision: int


class AccountInput(Model):
    """An account to be made, or one as it is to be. The front hashes the password."""

    name: AccountName
    role: Role
    locale: Locale | None = None
    disabled: bool = False
    password: str | None = Field(default=None, repr=False)


class AccountPatch(Patch):
    """The fields of an account that change."""

    nullable = frozenset({"locale", "password", "totp"})

    role: Role | None = None
    locale: Locale | None = None
    disabled: bool | None = None
    password: str | None = Field(default=None, repr=False)
    totp: None = None
    """Given: the second factor goes."""


class AccountUpdate(Partial):
    """A change to one account."""

    name: AccountName
    patch: AccountPatch


class PasswordChange(Model):
    """A new password's hash for the asker's own account."""

    password: str = Field(repr=False)
    stamp: str
    """The account's stamp from now on: the asker's own sign-in has it already and goes on."""


class TotpChange(Model):
    """The asker's own second factor; None takes it away."""

    totp: Totp | None


class TotpUse(Model):
    """A code of an account is used, of its authenticator or for recovery; it can be once."""

    name: AccountName
    code: str = Field(max_length=MAX_CODE, repr=False)


class ProviderSignIn(Model):
    """Somebody whom the identity provider has signed in."""

    name: AccountName
    subject: str = Field(min_length=1, max_length=512)
    role: Role
    locale: Locale | None = None


class AccountKey(Model):
    """One account."""

    name: AccountName


class AccountDone(Model):
    """An account was removed."""


class SignInKind(StrEnum):
    """How somebody is known."""

    BROWSER = "browser"
    """By the cookie of the sign-in page."""
    PASSWORD = "password"  # noqa: S105 (a name, no password)
    """By a password with each request; all clients of an account share one sign-in."""
    TOKEN = "token"  # noqa: S105 (a name, no token)
    """By the token of the accounts file."""
    API = "api"
    """By an API token that somebody made for a program: each is a sign-in of its own, which is not renewed."""


class SignIn(Model):
    """One sign-in. It lasts as long as this entry, its account and the account's stamp do."""

    id: Id
    account: str
    role: Role
    stamp: str
    """The account's when it was made."""
    next_stamp: str = ""
    """The account's stamp that this sign-in brings about itself, by changing the password."""
    kind: SignInKind
    source: Literal["registry", "file"] = "registry"
    """Where the account stands: fronts without an accounts file cannot judge the file's."""
    secret: str = Field(default="", repr=False)
    """SHA-256 of the cookie's secret half, hex."""
    created_us: int
    used_us: int
    """Renewed now and then while it is used."""
    expires_us: int
    address: str = ""
    agent: str = ""
    """What the browser calls itself; of an API token its name."""
    rights: frozenset[Right] | None = None
    """Of an API token: what it is for; None: all that its account may."""
    by_provider: bool = False
    """The identity provider has signed this browser in."""

    @property
    def actor(self) -> Actor:
        """Who it stands for."""
        return Actor(self.account, self.role, self.id, self.address, scope=self.rights)
