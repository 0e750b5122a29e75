"""Basic and Digest authentication as cameras do it (RFC 7617; RFC 2617 with MD5, with and without qop)."""

import hmac
import re
import secrets
from base64 import b64decode
from hashlib import md5
from typing import Final, Literal

AuthScheme = Literal["none", "basic", "digest", "both"]

_REALM: Final = "pantau-sim"
_PARAMETER: Final = re.compile(r'(\w+)=(?:"([^"]*)"|([^\s,]+))')


class Authenticator:
    """Checks the requests of one connection."""

    def __init__(self, scheme: AuthScheme, username: str, password: str) -> None:
        self._scheme = scheme
        self._username = username
        self._password = password
        self._nonce = secrets.token_hex(16)

    def challenges(self) -> list[str]:
        """A value of WWW-Authenticate for each scheme."""
        offered = []
        if self._scheme in ("digest", "both"):
            offered.append(f'Digest realm="{_REALM}", nonce="{self._nonce}"')
        if self._scheme in ("basic", "both"):
            offered.append(f'Basic realm="{_REALM}"')
        return offered

    def accepts(self, method: str, header: str | None) -> bool:
        """Whether an Authorization header lets its request in."""
        if self._scheme == "none":
            return True
        kind, _, rest = (header or "").partition(" ")
        if kind.lower() == "basic" and self._scheme in ("basic", "both"):
            return self._basic(rest)
        if kind.lower() == "digest" and self._scheme in ("digest", "both"):
            return self._digest(method, rest)
        return False

    def _basic(self, encoded: str) -> bool:
        try:
            given = b64decode(encoded, validate=True)
        except ValueError:
            return False
        return hmac.compare_digest(given, f"{self._username}:{self._password}".encode())

    def _digest(self, method: str, rest: str) -> bool:
        given = {name.lower(): quoted or bare for name, quoted, bare in _PARAMETER.findall(rest)}
        if given.get("username") != self._username or given.get("nonce") != self._nonce:
            return False
        first = _md5(f"{self._username}:{_REALM}:{self._password}")
        second = _md5(f"{method}:{given.get('uri', '')}")
        if "qop" in given:
            middle = f"{self._nonce}:{given.get('nc', '')}:{given.get('cnonce', '')}:{given['qop']}"
        else:
            middle = self._nonce
        expected = _md5(f"{first}:{middle}:{second}")
        return hmac.compare_digest(expected.encode(), given.get("response", "").encode())


def _md5(text: str) -> str:
    return md5(text.encode(), usedforsecurity=False).hexdigest()
