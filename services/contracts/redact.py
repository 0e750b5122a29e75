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


def redact(text: str) -> str:
    """``text`` with the user part of every URL in it replaced by ``***``."""
    return _USERINFO.sub(r"\g<scheme>***@", text) if "@" in text else text


def split_credentials(url: str) -> tuple[str, str | None, str | None]:
    """The URL without its user part, the username and the password (None where absent), percent-decoded."""
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url, None, None
    userinfo, _, host = parts.netloc.rpartition("@")
    username, colon, password = userinfo.partition(":")
    bare = urlunsplit(parts._replace(netloc=host))
    return bare, unquote(username), unquote(password) if colon else None


def with_credentials(url: str, username: str, password: str) -> str:
    """The URL with a user part, as libav wants it. The result is a secret: it goes to the reader and nowhere else."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{quote(username, safe='')}:{quote(password, safe='')}@{parts.netloc}"))
