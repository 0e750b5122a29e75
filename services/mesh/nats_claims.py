"""NATS's JWTs (version 2): which accounts there are, what they share, and what a user of one may do.

An operator's key signs accounts, an account's key signs its users, and nats-server, which knows the operator's public
key alone, holds every sign-in against both. Fields are those of the Go package ``github.com/nats-io/jwt/v2``.
"""

import base64
import hashlib
import json
import time
from typing import Any, Final, Literal, NamedTuple

from services.contracts.bus_rights import Rights
from services.mesh.nkeys import NKey

UNLIMITED: Final = -1
_SECOND_NS: Final = 1_000_000_000
ANSWER_SECONDS: Final = 120
"""So long a service may answer on an inbox that it is asked to answer to, wherever that is: for ``nats micro ls``."""

ShareKind = Literal["stream", "service"]


class Export(NamedTuple):
    """What an account shares with every account that the same operator signed."""

    subject: str
    kind: ShareKind = "stream"
    many_answers: bool = False
    """Of a service: a question may be answered with several messages."""


class Import(NamedTuple):
    """What an account takes from another."""

    subject: str
    account: str
    """The other's public key."""
    kind: ShareKind = "stream"
    to: str = ""
    """Its subject here; default: the same."""
    from_s: int = 0
    """Unix time; before it nothing is taken."""
    until_s: int = 0
    """Unix time; 0: no end."""

    def holds(self, now_s: float) -> bool:
        """Whether it is taken at the time."""
        return self.from_s <= now_s and not 0 < self.until_s <= now_s


class AccountLimits(NamedTuple):
    """Bounds of an account; `UNLIMITED` where none is set."""

    connections: int = UNLIMITED
    subscriptions: int = UNLIMITED
    payload_bytes: int = UNLIMITED
    leafs: int = UNLIMITED
    disk_bytes: int = 0
    """Of JetStream; 0: the account has none."""
    streams: int = UNLIMITED
    consumers: int = UNLIMITED


class AccountClaims(NamedTuple):
    """An account."""

    limits: AccountLimits
    exports: tuple[Export, ...] = ()
    imports: tuple[Import, ...] = ()
    expires_s: int = 0
    """Unix time; 0: never."""
    revoked_before_s: int = 0
    """Users whose creds were made before it are out; 0: none."""

    def as_json(self) -> dict[str, Any]:
        """For a file; `from_json` reads it."""
        return {
            "limits": self.limits._asdict(),
            "exports": [each._asdict() for each in self.exports],
            "imports": [each._asdict() for each in self.imports],
            "expires_s": self.expires_s,
            "revoked_before_s": self.revoked_before_s,
        }

    @classmethod
    def from_json(cls, given: dict[str, Any]) -> "AccountClaims":
        """What `as_json` made."""
        return cls(
            AccountLimits(**given["limits"]),
            tuple(Export(**each) for each in given["exports"]),
            tuple(Import(**each) for each in given["imports"]),
            given["expires_s"],
            given["revoked_before_s"],
        )


def operator_jwt(operator: NKey, name: str, system_account: str) -> str:
    """The operator's own."""
    claims = {"type": "operator", "version": 2, "system_account": system_account}
    return _signed(operator, operator.public, name, claims)


def account_jwt(operator: NKey, account: str, name: str, claims: AccountClaims) -> str:
    """An account's; ``account`` is its public key."""
    limits = claims.limits
    jetstream = {"streams": limits.streams, "consumer": limits.consumers, "mem_storage": 0} if limits.disk_bytes else {}
    body: dict[str, Any] = {
        "type": "account",
        "version": 2,
        "limits": {
            "subs": limits.subscriptions,
            "conn": limits.connections,
            "leaf": limits.leafs,
            "payload": limits.payload_bytes,
            "data": UNLIMITED,
            "imports": UNLIMITED,
            "exports": UNLIMITED,
            "wildcards": True,
            "disk_storage": limits.disk_bytes,
            **jetstream,
        },
        "exports": [
            {"name": each.subject, "subject": each.subject, "type": each.kind}
            | ({"response_type": "Stream"} if each.many_answers else {})
            for each in claims.exports
        ],
        "imports": [
            {"name": each.subject, "subject": each.subject, "account": each.account, "type": each.kind}
            | ({"local_subject": each.to} if each.to else {})
            for each in claims.imports
        ],
        "default_permissions": {"pub": {}, "sub": {}},
    }
    if limits.disk_bytes == UNLIMITED:
        body["limits"]["mem_storage"] = UNLIMITED
    if claims.revoked_before_s:
        body["revocations"] = {"*": claims.revoked_before_s}
    return _signed(operator, account, name, body, expires_s=claims.expires_s)


def user_jwt(account: NKey, user: str, name: str, rights: Rights, *, expires_s: int = 0, answers: bool = False) -> str:
    """A user's; ``user`` is its public key. ``answers``: it may answer once to each question."""
    body: dict[str, Any] = {
        "type": "user",
        "version": 2,
        "pub": {"allow": list(rights.publish)},
        "sub": {"allow": list(rights.subscribe)},
        "subs": UNLIMITED,
        "data": UNLIMITED,
        "payload": UNLIMITED,
    }
    if answers:
        body["resp"] = {"max": 1, "ttl": ANSWER_SECONDS * _SECOND_NS}
    return _signed(account, user, name, body, expires_s=expires_s)


def read_claims(jwt: str) -> dict[str, Any]:
    """A JWT's claims, unchecked."""
    body = jwt.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return claims


def _signed(issuer: NKey, subject: str, name: str, nats: dict[str, Any], *, expires_s: int = 0) -> str:
    claims: dict[str, Any] = {"iat": int(time.time()), "iss": issuer.public, "name": name, "sub": subject, "nats": nats}
    if expires_s:
        claims["exp"] = expires_s
    claims["jti"] = base64.b32encode(hashlib.sha256(json.dumps(claims).encode()).digest()).decode().rstrip("=")
    head = _base64(json.dumps({"typ": "JWT", "alg": "ed25519-nkey"}).encode())
    signed = f"{head}.{_base64(json.dumps(claims).encode())}"
    return f"{signed}.{_base64(issuer.sign(signed.encode()))}"


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
