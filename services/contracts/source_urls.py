"""What a camera's URL must not say. Pure: ingest looks at where it leads (`services.ingest.readers.networks`).

libav takes options in a URL's query. Some turn a reader into a server that anybody may send to: no URL may have them.
"""

import ipaddress
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote_plus, urlsplit

_LISTENER_VALUES: Final = {"mode": frozenset({"listener", "server", "rendezvous"}), "rtsp_flags": None, "listen": None}
"""By option; None: any value but one of `_OFF`."""
_LISTENER_KEYS: Final = frozenset({"localaddr", "localport", "local_port", "localrtpport", "localrtcpport", "bind"})
_EMBEDDING: Final = tuple(map(ipaddress.IPv6Network, ("64:ff9b::/96", "::/96")))
"""A NAT64's addresses (RFC 6052, 2.1), and IPv4-compatible ones (RFC 4291, 2.5.5.1)."""
_OFF: Final = frozenset({"0", "false", "no", "off"})


def url_trouble(url: str) -> str:
    """Why ``url`` may not be a source, for a person; empty where it may. It need not be one otherwise."""
    if any(ord(character) < 32 or 127 <= ord(character) < 160 for character in url):
        return "a source URL has no control characters"
    for key, value in _options(url):
        listens = key in _LISTENER_VALUES and _listens(key, value)
        if listens or key in _LISTENER_KEYS:
            return f"a source URL may not make the reader listen or bind ({key}={value[:20]})"
    try:
        host = urlsplit(url).hostname or ""
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return ""  # a name
    return address_trouble(address)


def address_trouble(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """Why no source can be at ``address``, even where all networks are allowed; empty where one can be."""
    inner = _inner(address)
    if inner.is_link_local:
        return f"{address} is a link-local address, where no camera is read"
    if inner.is_unspecified or (inner.is_reserved and inner.version == 4):
        return f"{address} is no address of a camera"
    return ""


def _inner(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The IPv4 address that an IPv6 one leads to, else itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if any(address in network for network in _EMBEDDING) and int(address) > 1:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _listens(key: str, value: str) -> bool:
    values = _LISTENER_VALUES[key]
    if key == "rtsp_flags":
        return "listen" in value
    return value not in _OFF if values is None else value in values


def _options(url: str) -> Iterator[tuple[str, str]]:
    """What may be read as an option behind the first question mark, in lower case, decoded or not."""
    query = url.partition("?")[2]
    for text in {query, unquote_plus(query)}:
        for part in text.replace(";", "&").replace("?", "&").replace("#", "&").split("&"):
            key, _, value = part.partition("=")
            yield key.strip().lower(), value.strip().lower()
