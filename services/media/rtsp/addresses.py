"""Addresses in an RTSP session: where a redirect leads, and which URLs a session's parts have (RFC 2326, C.1.1).

Cameras write Content-Base and control attributes wrongly in many ways, so a part has an ordered list of URLs to try.
Requests always name the host that the connection leads to: a camera behind a router names one that nobody reaches.
"""

import re
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import quote

DEFAULT_PORTS: Final = {"rtsp": 554, "rtsps": 322}
_MAX_URL_CHARACTERS: Final = 4096
_PRINTABLE: Final = "".join(map(chr, range(33, 127)))
_HOST: Final = re.compile(r"\[[0-9a-fA-F:.]+\](?::\d+)?|[\w-]+(?:\.[\w-]+)+(?::\d+)?|[\w-]+:\d+|localhost")
"""What a URL without its scheme begins with: an address, a name with dots, or a name and a port."""


class RtspAddressError(ValueError):
    """The text is no address of a stream. Its message holds nothing of the text."""


@dataclass(frozen=True, slots=True)
class RtspAddress:
    """An RTSP URL in its parts, without user and password."""

    scheme: str
    host: str
    """Without brackets."""
    port: int
    path: str
    """With the query: from the first slash on, or empty."""
    explicit_port: bool = False

    @property
    def origin(self) -> str:
        """``rtsp://host:port``, as it stood in the URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}" if self.explicit_port else f"{self.scheme}://{host}"

    @property
    def url(self) -> str:
        """For a request line."""
        return self.origin + _quoted(self.path)

    @property
    def endpoint(self) -> tuple[str, int, bool]:
        """Host, port and whether TLS is spoken: what a connection leads to."""
        return self.host.lower(), self.port, self.scheme == "rtsps"


def _quoted(url: str) -> str:
    """What a camera wrote may hold bytes that are no UTF-8; they are sent back as they came."""
    return quote(url, safe=_PRINTABLE, errors="surrogateescape")


def parse_address(url: str) -> RtspAddress:
    """The parts of a URL. Raises `RtspAddressError`."""
    scheme, separator, rest = url.strip().partition("://")
    scheme = scheme.lower()
    if not separator or scheme not in DEFAULT_PORTS:
        raise RtspAddressError("the address does not begin with rtsp:// or rtsps://")
    ends = [at for at in (rest.find(mark) for mark in "/?") if at >= 0]
    authority, path = rest[: min(ends)] if ends else rest, rest[min(ends) :] if ends else ""
    authority = authority.rpartition("@")[2]
    if authority.startswith("["):
        host, bracket, port = authority[1:].partition("]")
        if not bracket:
            raise RtspAddressError("the address's host lacks a bracket")
        port = port.removeprefix(":")
    else:
        host, _, port = authority.partition(":")
    if not host or any(character.isspace() or ord(character) < 33 for character in url.strip()):
        raise RtspAddressError("the address has no host, or a blank in it")
    if any("\ud800" <= character <= "\udfff" for character in host):
        raise RtspAddressError("the address's host is no text")  # bytes that are no UTF-8; a host is told to operators
    if port and not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536):
        raise RtspAddressError("the address's port is not 1 to 65535")
    if len(url) > _MAX_URL_CHARACTERS:
        raise RtspAddressError("the address is longer than 4096 characters")
    if path.startswith("?"):
        path = "/" + path
    path = path.partition("#")[0]
    return RtspAddress(scheme, host, int(port) if port else DEFAULT_PORTS[scheme], path, bool(port))


def redirected(address: RtspAddress, location: str) -> RtspAddress:
    """Where a Location header leads from ``address``. Raises `RtspAddressError`."""
    if "://" in location:
        return parse_address(location)
    if not location.strip():
        raise RtspAddressError("the redirect leads nowhere")
    return replace(address, path=_resolved(address.path, location.strip()))


def _resolved(base: str, reference: str) -> str:
    """The path that a relative reference leads to from the path ``base`` (RFC 3986, 5.2, without dot segments)."""
    if reference.startswith("//"):
        return "/" + reference[2:].partition("/")[2]
    if reference.startswith("/"):
        return reference
    path = base.partition("?")[0]
    return path + reference if reference.startswith("?") else f"{path.rpartition('/')[0]}/{reference}"


def base_path(address: RtspAddress, content_base: str) -> str:
    """The path of a description's base, as Content-Base says or else as was asked for.

    A base may be doubled, lack its scheme or its host, name another host, or be no address at all.
    """
    text = content_base.strip().strip('"<>').partition(",")[0].strip()
    # rtsp://a/b rtsp://a/b/ written twice: what stands behind the last scheme counts.
    behind_scheme = text.lower().rpartition("://")
    if behind_scheme[1]:
        text = text[len(text) - len(behind_scheme[2]) :]
    elif text.startswith("//"):
        text = text[2:]
    elif text.startswith("/"):
        return text
    elif not _HOST.fullmatch(host := text.partition("/")[0]) and host.lower() != address.host.lower():
        # Neither host nor scheme: a path without its slash, or nothing that helps.
        return "/" + text if "/" in text.strip("/") else address.path
    slash = text.find("/")
    path = text[slash:] if slash >= 0 else ""
    return path if path.strip("/") or not address.path.strip("/") else address.path


def _absolute_path(control: str) -> str | None:
    scheme, separator, rest = control.partition("://")
    if not separator or not scheme.isalnum():
        return None
    slash = rest.find("/")
    return rest[slash:] if slash >= 0 else ""


def control_urls(address: RtspAddress, base: str, control: str) -> list[str]:
    """The URLs to try, the likeliest first, for what ``control`` names below the path ``base``.

    `*`, nothing and whole URLs are as RFC 2326 says. Relative ones are appended, as cameras mean them, not resolved.
    """
    control = control.strip()
    paths: list[str] = []
    absolute = _absolute_path(control)
    if control in ("", "*"):
        paths += [base, base.rstrip("/"), address.path]
    elif absolute is not None:
        paths += [absolute]
    else:
        rooted = control.startswith("/")
        appended = base + control if control[0] in "/?" else f"{base.removesuffix('/')}/{control}"
        if rooted and base.endswith("/"):
            appended = base + control[1:]
        same_tree = rooted and base.strip("/") and control.startswith("/" + base.strip("/") + "/")
        paths += [control, appended] if same_tree else [appended]
        asked = address.path.removesuffix("/")
        paths += [
            f"{asked}/{control.lstrip('/')}",
            _resolved(base, control),
        ]
        if rooted:
            paths.append(control)
    urls = [address.origin + (path if path.startswith("/") or not path else "/" + path) for path in paths]
    if absolute is not None and control.lower().startswith(("rtsp://", "rtsps://")):
        urls.append(control)
    return list(dict.fromkeys(map(_quoted, urls)))
