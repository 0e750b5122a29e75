"""Codes that change every half minute (TOTP, RFC 6238: HMAC-SHA-1, 6 digits, 30 s), and recovery codes beside them."""

import base64
import hashlib
import hmac
import secrets
import struct
from typing import Final
from urllib.parse import quote

from pydantic import Field

from services.contracts.models import Model

STEP_SECONDS: Final = 30
DIGITS: Final = 6
STEPS_APART: Final = 1
"""A phone's clock may be so many steps off."""
RECOVERY_CODES: Final = 10
_SECRET_BYTES: Final = 20


class Totp(Model):
    """An account's second factor."""

    secret: str | None = Field(default=None, repr=False)
    """Base32 (RFC 4648), on its way to the registry and where an earlier version kept it; None: sealed."""
    boxes: dict[str, str] = Field(default={}, repr=False)
    """Key id → box of `services.mesh.sealing` with the secret, for each registry's machine."""
    last_step: int = 0
    """Of the code that was used last: a code counts once."""
    recovery: frozenset[str] = Field(default=frozenset(), repr=False)
    """SHA-256 of the recovery codes that are left, hex."""


def new_secret() -> str:
    """A secret, in base32."""
    return base64.b32encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def new_recovery_codes() -> list[str]:
    """Codes of 80 random bits; each counts once."""
    return [base64.b32encode(secrets.token_bytes(10)).decode().lower() for _ in range(RECOVERY_CODES)]


def recovery_digest(code: str) -> str:
    """What is kept of a recovery code; case, blanks and dashes do not matter."""
    plain = "".join(code.split()).replace("-", "").lower()
    return hashlib.sha256(plain.encode("utf-8", "surrogatepass")).hexdigest()


def totp_uri(secret: str, account: str, issuer: str = "Pantau") -> str:
    """What an authenticator reads from a QR code."""
    return f"otpauth://totp/{quote(issuer)}:{quote(account)}?secret={secret}&issuer={quote(issuer)}"


def code_at(secret: str, step: int) -> str:
    """The code of a step (RFC 4226, 5.3). Raises ``ValueError`` where ``secret`` is no base32."""
    key = base64.b32decode(secret.upper() + "=" * (-len(secret) % 8))
    digest = hmac.new(key, struct.pack(">Q", step), hashlib.sha1).digest()
    offset = digest[-1] & 0x0F
    number: int = struct.unpack(">I", digest[offset : offset + 4])[0] & 0x7FFFFFFF
    return f"{number % 10**DIGITS:0{DIGITS}d}"


def matching_step(secret: str, code: str, now_seconds: float, *, after: int = 0) -> int | None:
    """The step whose code this is, around now and later than the step ``after``; None where it is none."""
    plain = "".join(code.split())
    if len(plain) != DIGITS or not plain.isascii() or not plain.isdigit():
        return None
    now = int(now_seconds) // STEP_SECONDS
    for step in range(now - STEPS_APART, now + STEPS_APART + 1):
        if step > after and hmac.compare_digest(code_at(secret, step), plain):
            return step
    return None
