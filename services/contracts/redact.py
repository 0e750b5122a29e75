"""Keeps credentials out of logs, events and errors."""

import re
from typing import Final
from urllib.parse import quote, unquote, urlsplit, urlunsplit

# The user part ends at the last @ of the authority. People also write passwords with a raw / or ? in them: where a
# colon stands before it, the last @ of the whole URL counts, which may hide more than the user part but never less.
_USERINFO: Final = re.compile(
    r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*://)"
    r"(?:[^/?#\s'\":]*:(?:(?!,[a-zA-Z]+://)[^\s'\"])*@|[^/?#\s'\"]*@)"
)
SECRET_KEYS: Final = frozenset({"password", "token", "secret", "authorization", "credentials", "private_key"})
MASK: Final = "***"
# Cameras take passwords in queries (?user=a&pwd=b) and in paths (/user=a_password=b_channel=1.sdp).
_PARAMETER: Final = re.compile(
    r"(?i)(?P<name>(?<![a-z])(?:password|passwd|passwort|pass|pwd|psw|psswd|token|secret|auth|api_?key|signature|sig)=)"
    r"[^&;/?#\s'\"]+"
)
_SCHEME: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://")
_HOST: Final = re.compile(r"(?:\[[0-9a-fA-F:.%]+\]|[^\s:@/?#\[\]]+)(?::(\d*))?")


def redact(text: str) -> str:
    """``text`` with the user part of every URL in it, and each password in a path or query, replaced by ``***``."""
    if "@" in text:
        text = _USERINFO.sub(rf"\g<scheme>{MASK}@", text)
    return _PARAMETER.sub(rf"\g<name>{MASK}", text) if "=" in text else text


def split_credentials(url: str) -> tuple[str, str | None, str | None]:
    """The URL without its user part, the username and the password (None where absent), percent-decoded.

    People paste passwords as they are. One with ``#``, ``/`` or ``?`` in it is understood where nothing else can be
    meant. Raises ``ValueError`` where something else can, and for an address that cannot be; no part of the URL is in
    its text.
    """
    scheme = _SCHEME.match(url)
    if scheme is None:
        return url, None, None
    rest = url[scheme.end() :]
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    tail = rest[len(authority) :]
    if "@" in tail and ":" in authority:
        # user:pass/word@host, or host:port/path?to=a@b, or user:pass@host/path?to=a@b
        if "@" in authority or _is_host(authority):
            raise ValueError(
                "it cannot be told whether an @ in the address ends a password: write the @ of a path or query as %40, "
                "or give user name and password apart"
            )
        userinfo, _, place = rest.rpartition("@")
    elif "@" in authority:
        userinfo, _, host = authority.rpartition("@")
        place = host + tail
    else:
        return url, None, None
    if not _is_host(re.split(r"[/?#]", place, maxsplit=1)[0]):
        raise ValueError("the address names no host behind its user name and password")
    username, colon, password = userinfo.partition(":")
    return scheme[0] + place, unquote(username), unquote(password) if colon else None


def _is_host(text: str) -> bool:
    """Whether ``text`` is a host, with or without a port."""
    found = _HOST.fullmatch(text)
    return found is not None and int(found[1] or 0) <= 65535


def with_credentials(url: str, username: str, password: str) -> str:
    """The URL with a user part, as libav wants it. The result is a secret: it goes to the reader and nowhere else."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{quote(username, safe='')}:{quote(password, safe='')}@{parts.netloc}"))
