"""The keys that a mesh's nats-server trusts, in a folder: they make accounts, users and the server's configuration.

::

    operator.nk             the operator's seed: signs accounts
    accounts/<NAME>.json    an account: its seed, which signs its users, and its claims
    creds/<role>.creds      what each service signs in with; ``sys.creds`` is for the accounts themselves

All are readable by their owner alone. nats-server gets the operator's and the accounts' JWTs and no private key. A
service gets its own creds file and nothing else of the folder.

Accounts: ``SYS``, ``CITY`` (the mesh's services), ``AGENCY_<name>``, ``SITE_<name>``. nats-server takes a new or a
changed account while it runs (`Authority.push`), and puts out its users whose creds were revoked.
"""

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from services.contracts import subjects
from services.contracts.bus_rights import BusRole, Rights, rights
from services.contracts.errors import NotFoundError, PantauError, UnavailableError
from services.mesh import nats_claims
from services.mesh.bus import Bus
from services.mesh.nats_claims import UNLIMITED, AccountClaims, AccountLimits, Export, Import
from services.mesh.nkeys import Creds, NKey
from services.mesh.settings import MeshSettings

SYSTEM: Final = "SYS"
CITY: Final = "CITY"
SYS_USER: Final = "sys"
EVERYTHING: Final = Rights((">",), (">",))
CONTROL_LINE_BYTES: Final = 64 * 1024
"""A sign-in carries the user's JWT with all its subjects; nats-server's own bound is 4 KB."""
PUSH_SECONDS: Final = 5.0


class AuthorityError(PantauError):
    """The folder of keys cannot be used, or nats-server refuses what they signed."""

    code = "nats-authority"


class Authority:
    """The keys of one mesh. Open it with `Authority.open`."""

    def __init__(self, folder: Path, home: str, operator: NKey) -> None:
        self.folder = folder
        self.home = home
        self._operator = operator

    @classmethod
    def open(cls, folder: Path, home: str) -> "Authority":
        """Makes what is missing of the folder, and the creds of all roles anew, as this version's table has them.

        Raises `AuthorityError`.
        """
        try:
            for each in (folder, folder / "accounts", folder / "creds"):
                each.mkdir(mode=0o700, parents=True, exist_ok=True)
                each.chmod(0o700)
            path = folder / "operator.nk"
            if not path.exists():
                write_secret(path, NKey.new("operator").seed + "\n")
            self = cls(folder, home, NKey.from_seed(path.read_text()))
            self.make_account(SYSTEM, AccountClaims(AccountLimits()))
            self.make_account(CITY, AccountClaims(AccountLimits(disk_bytes=UNLIMITED), exports=_shared()))
            for role in BusRole:
                self._write_creds(CITY, role, rights(role, home), answers=role is not BusRole.ADMIN)
            self._write_creds(SYSTEM, SYS_USER, EVERYTHING)
        except OSError as error:
            raise AuthorityError(f"cannot keep the keys of NATS in {folder}: {error.strerror}") from error
        return self

    @classmethod
    def existing(cls, folder: Path, home: str) -> "Authority":
        """The folder as it is, with nothing made; ``home`` counts where `note_server` kept none.

        Raises `AuthorityError` where there is none.
        """
        try:
            known = str(_noted_server(folder).get("home", home))
            return cls(folder, known, NKey.from_seed((folder / "operator.nk").read_text()))
        except OSError as error:
            raise AuthorityError(
                f"there are no keys of NATS in {folder} ({error.strerror}): 'pantau up' makes them in its data folder, "
                "'pantau nats init' elsewhere; name the folder with --authority"
            ) from error

    # accounts

    def account_names(self) -> list[str]:
        """All accounts there are, by name."""
        return sorted(path.stem for path in (self.folder / "accounts").glob("*.json"))

    def account_key(self, name: str) -> NKey:
        """The key that signs an account's users; raises `NotFoundError`."""
        return NKey.from_seed(self._account(name)["seed"])

    def claims(self, name: str) -> AccountClaims:
        """An account's claims; raises `NotFoundError`."""
        return AccountClaims.from_json(self._account(name)["claims"])

    def note(self, name: str) -> dict[str, Any]:
        """What its maker wrote down about an account; raises `NotFoundError`."""
        note: dict[str, Any] = self._account(name)["note"]
        return note

    def make_account(self, name: str, claims: AccountClaims, note: Mapping[str, Any] | None = None) -> NKey:
        """Makes an account where there is none of that name; else changes nothing."""
        if not self._account_path(name).exists():
            self.save_account(name, claims, note)
        return self.account_key(name)

    def save_account(self, name: str, claims: AccountClaims, note: Mapping[str, Any] | None = None) -> None:
        """Makes or changes an account; its key stays. `push` tells a running nats-server."""
        path = self._account_path(name)
        before: dict[str, Any] = (
            self._account(name) if path.exists() else {"seed": NKey.new("account").seed, "note": {}}
        )
        kept = {
            "seed": before["seed"],
            "claims": claims.as_json(),
            "note": before["note"] if note is None else dict(note),
        }
        write_secret(path, json.dumps(kept, indent=1) + "\n")

    def forget_account(self, name: str) -> None:
        """Removes an account and its key from the folder."""
        self._account_path(name).unlink(missing_ok=True)

    def account_jwt(self, name: str) -> str:
        """An account as nats-server knows it, with what it takes now; raises `NotFoundError`."""
        key = self.account_key(name).public
        claims = self.claims(name)._replace(imports=self.taken(name))
        return nats_claims.account_jwt(self._operator, key, name, claims)

    def taken(self, name: str) -> tuple[Import, ...]:
        """What an account takes from others now; raises `NotFoundError`.

        Nothing from accounts that are over: nats-server does not find them at its start, and the account would have no
        JetStream then.
        """
        over = {self.account_key(each).public for each in self.account_names() if self._is_over(each)}
        now_s = time.time()
        return tuple(each for each in self.claims(name).imports if each.account not in over and each.holds(now_s))

    def _is_over(self, name: str) -> bool:
        return 0 < self.claims(name).expires_s <= time.time()

    def _account_path(self, name: str) -> Path:
        return self.folder / "accounts" / f"{name}.json"

    def _account(self, name: str) -> dict[str, Any]:
        try:
            account: dict[str, Any] = json.loads(self._account_path(name).read_text())
        except FileNotFoundError as error:
            raise NotFoundError(f"there is no account {name} in {self.folder}") from error
        except (OSError, ValueError) as error:
            raise AuthorityError(f"cannot read {self._account_path(name)}: {error}") from error
        return account

    # users

    def creds_path(self, user: str) -> Path:
        """Where a role's creds stand."""
        return self.folder / "creds" / f"{user}.creds"

    def user_creds(
        self, account: str, user: str, allowed: Rights, *, expires_s: int = 0, answers: bool = False
    ) -> Creds:
        """A new user of ``account``; raises `NotFoundError`."""
        key = NKey.new("user")
        signer = self.account_key(account)
        return Creds(nats_claims.user_jwt(signer, key.public, user, allowed, expires_s=expires_s, answers=answers), key)

    def _write_creds(self, account: str, user: str, allowed: Rights, *, answers: bool = False) -> None:
        write_secret(self.creds_path(user), self.user_creds(account, user, allowed, answers=answers).text())

    # the server

    def note_server(self, url: str, ca: Path | None) -> None:
        """Keeps where the server is that these keys are for, and of which mesh, so that commands find it."""
        noted = {"url": url, "ca": str(ca.absolute()) if ca else None, "home": self.home}
        write_secret(self.folder / "server.json", json.dumps(noted))

    def reach(self, settings: MeshSettings) -> MeshSettings:
        """``settings`` with the noted server, where they name none."""
        if "nats_url" in settings.model_fields_set:
            return settings
        noted = _noted_server(self.folder)
        if not noted:
            return settings
        return settings.model_copy(
            update={"nats_url": noted["url"], "nats_ca": Path(noted["ca"]) if noted["ca"] else settings.nats_ca}
        )

    def server_lines(self, resolver: str) -> list[str]:
        """Lines of nats-server's configuration; ``resolver`` is the folder where it keeps accounts."""
        system = self.account_key(SYSTEM).public
        alive = [name for name in self.account_names() if not self._is_over(name)]
        preload = [f"  {self.account_key(name).public}: {self.account_jwt(name)}" for name in alive]
        return [
            f"operator: {nats_claims.operator_jwt(self._operator, 'pantau', system)}",
            f"system_account: {system}",
            f"resolver {{ type: full, dir: {json.dumps(resolver)} }}",
            "resolver_preload {",
            *preload,
            "}",
            f"max_control_line: {CONTROL_LINE_BYTES}",
        ]

    async def push(self, system: Bus, name: str) -> None:
        """Tells a running nats-server of an account as it is now. ``system`` is signed in with ``sys.creds``.

        Raises `UnavailableError`, `AuthorityError`.
        """
        await _tell(system, "$SYS.REQ.CLAIMS.UPDATE", self.account_jwt(name))

    async def revoke(self, system: Bus, name: str) -> None:
        """Ends all connections of an account at once and forgets it. Raises as `push` does.

        nats-server keeps the account as one that nobody may use: what it does not know it takes at its next start from
        its configuration, where the account may stand as it was.
        """
        out = AccountClaims(AccountLimits(connections=0, leafs=0), revoked_before_s=int(time.time()) + 1)
        self.save_account(name, out)
        await self.push(system, name)
        self.forget_account(name)


def _noted_server(folder: Path) -> dict[str, Any]:
    """What `Authority.note_server` kept; empty where it kept nothing."""
    try:
        noted: dict[str, Any] = json.loads((folder / "server.json").read_text())
    except (OSError, ValueError):
        return {}
    return noted


async def _tell(system: Bus, subject: str, jwt: str) -> None:
    answer = await system.request(subject, jwt.encode(), timeout_seconds=PUSH_SECONDS)
    try:
        said = json.loads(answer.data)
    except ValueError as error:
        raise UnavailableError(f"nats-server's answer on {subject} could not be read") from error
    if "error" in said:
        raise AuthorityError(f"nats-server refuses the account: {said['error'].get('description', said['error'])}")


def _shared() -> tuple[Export, ...]:
    return tuple(Export(f"{subjects.ROOT}.*.{kind}.>") for kind in ("camera", "recording", "incident"))


def write_secret(path: Path, text: str) -> None:
    """Writes a file that its owner alone may read, whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
