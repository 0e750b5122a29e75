"""Authentication in RTSP: Basic (RFC 7617), and Digest with MD5 and SHA-256 (RFC 7616; RFC 2069 without qop)."""

import hashlib
import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

_NAME: Final = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
_PIECE: Final = re.compile(rf'({_NAME})(?:\s*=\s*("(?:[^"\\]|\\.)*"?|[^\s,"]*))?')
_HASHES: Final[dict[str, Callable[[bytes], "hashlib._Hash"]]] = {
    "MD5": lambda data: hashlib.md5(data, usedforsecurity=False),
    "SHA-256": hashlib.sha256,
}
_STRENGTH: Final = ("SHA-256", "MD5")
"""Digest algorithms, the preferred first; each also as ``…-sess``."""
_MAX_CHALLENGES: Final = 16


@dataclass(frozen=True, slots=True)
class AuthChallenge:
    """One challenge of a 401 response."""

    scheme: str
    """In lower case."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case, values without quotes."""

    @property
    def algorithm(self) -> str:
        """Of Digest, in upper case; MD5 where none is named."""
        return self.parameters.get("algorithm", "").upper() or "MD5"

    @property
    def nonce(self) -> str:
        """Of Digest."""
        return self.parameters.get("nonce", "")

    @property
    def stale(self) -> bool:
        """Whether only the nonce was too old (RFC 7616, 3.3)."""
        return self.parameters.get("stale", "").lower() == "true"

    @property
    def rank(self) -> int | None:
        """The place in the order of preference; None for what is not known here."""
        if self.scheme == "basic":
            return len(_STRENGTH)
        name = self.algorithm.removesuffix("-SESS")
        return _STRENGTH.index(name) if self.scheme == "digest" and name in _STRENGTH and self.nonce else None


def parse_challenges(headers: Iterable[str]) -> list[AuthChallenge]:
    """The challenges of all WWW-Authenticate headers, several in one of them included."""
    found: list[tuple[str, dict[str, str]]] = []
    for header in headers:
        begun = False
        for piece in _PIECE.finditer(header):
            name, value = piece[1], piece[2]
            if value is None:
                if len(found) >= _MAX_CHALLENGES:
                    break
                found.append((name.lower(), {}))
                begun = True
            elif begun:
                found[-1][1].setdefault(name.lower(), _unquoted(value))
    return [AuthChallenge(scheme, parameters) for scheme, parameters in found]


def _unquoted(value: str) -> str:
    if not value.startswith('"'):
        return value
    return re.sub(r"\\(.)", r"\1", value[1:-1] if len(value) > 1 and value.endswith('"') else value[1:])


def strongest(challenges: Iterable[AuthChallenge]) -> AuthChallenge | None:
    """The challenge to answer; None where none is known here."""
    ranked = [(challenge.rank, challenge) for challenge in challenges if challenge.rank is not None]
    return min(ranked, key=lambda item: item[0])[1] if ranked else None


class Authorizer:
    """Answers one challenge for as many requests as it holds: the nonce's count goes up with each."""

    def __init__(self, challenge: AuthChallenge, username: str, password: str, make_cnonce: Callable[[], str]) -> None:
        self.challenge = challenge
        self._username = username
        self._password = password
        self._make_cnonce = make_cnonce
        self._count = 0

    def header(self, method: str, url: str, body: bytes = b"") -> str:
        """The value of Authorization for a request of ``method`` whose request line names ``url``."""
        if self.challenge.scheme == "basic":
            return "Basic " + b64encode(f"{self._username}:{self._password}".encode()).decode()
        given = self.challenge.parameters
        algorithm = self.challenge.algorithm
        make_hash = _HASHES[algorithm.removesuffix("-SESS")]

        def digest(text: str) -> str:
            return make_hash(text.encode("utf-8", "surrogateescape")).hexdigest()

        realm, nonce = given.get("realm", ""), self.challenge.nonce
        offered = [name.strip().lower() for name in given.get("qop", "").split(",") if name.strip()]
        qop = "auth" if "auth" in offered else "auth-int" if "auth-int" in offered else ""
        first = digest(f"{self._username}:{realm}:{self._password}")
        self._count += 1
        count, cnonce = f"{self._count:08x}", self._make_cnonce()
        if algorithm.endswith("-SESS"):
            first = digest(f"{first}:{nonce}:{cnonce}")
        second = f"{method}:{url}"
        if qop == "auth-int":
            second += f":{make_hash(body).hexdigest()}"
        middle = f"{nonce}:{count}:{cnonce}:{qop}" if qop else nonce
        parts = [
            f'username="{_quotable(self._username)}"', f'realm="{_quotable(realm)}"', f'nonce="{_quotable(nonce)}"',
            f'uri="{url}"', f'response="{digest(f"{first}:{middle}:{digest(second)}")}"',
        ]  # fmt: skip
        if "algorithm" in given:
            parts.append(f"algorithm={given['algorithm']}")
        if "opaque" in given:
            parts.append(f'opaque="{_quotable(given["opaque"])}"')
        if qop:
            parts += [f"qop={qop}", f"nc={count}", f'cnonce="{cnonce}"']
        elif algorithm.endswith("-SESS"):
            parts.append(f'cnonce="{cnonce}"')
        return "Digest " + ", ".join(parts)


def _quotable(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
