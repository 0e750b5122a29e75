"""Which addresses are connected to for a source: those of allowed networks, and never link-local ones.

A name is resolved by us and the connection made to what it resolved to, so that a second answer of the name server
cannot lead elsewhere. libav resolves by itself: what it is about to connect to is read off its trace, and its process
ended where it may not.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

from services.contracts.source_urls import address_trouble, url_trouble


class NotAllowedError(Exception):
    """The source, or where it leads to, is not to be connected to. Its text is for people."""


def require_allowed(address: str, networks: Iterable[str]) -> None:
    """Raises `NotAllowedError` where ``address`` (no name) is in none of ``networks`` (empty: all), or link-local."""
    host = ipaddress.ip_address(address.partition("%")[0])
    host = getattr(host, "ipv4_mapped", None) or host
    if trouble := address_trouble(host):
        raise NotAllowedError(trouble)
    allowed = [ipaddress.ip_network(network, strict=False) for network in networks]
    if allowed and not any(host in network for network in allowed):
        raise NotAllowedError(f"{host} is in none of the networks that sources may be in (PANTAU_INGEST_NETWORKS)")


def _allowed_of(found: Iterable[tuple[object, ...]], networks: tuple[str, ...]) -> list[str]:
    """The addresses that a name server gave, each of which must be allowed."""
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found if isinstance(entry[4], tuple)))
    for address in addresses:
        require_allowed(address, networks)
    return addresses


async def resolve(host: str, port: int, networks: tuple[str, ...]) -> list[str]:
    """The addresses of ``host`` that are allowed; raises `NotAllowedError` where none is, and ``OSError``.

    A camera's own name often has a link-local address beside the one that it is read at.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    allowed: list[str] = []
    refused: NotAllowedError | None = None
    for entry in found:
        try:
            allowed += _allowed_of((entry,), networks)
        except NotAllowedError as error:
            refused = error
    if refused is not None and not allowed:
        raise refused
    return list(dict.fromkeys(allowed))


def require_allowed_url(url: str, networks: tuple[str, ...]) -> None:
    """As `resolve` for the host of ``url``, and for what else stands in it. Blocking.

    A name that does not resolve passes: libav then says so.
    """
    if trouble := url_trouble(url):
        raise NotAllowedError(trouble)
    host = urlsplit(url).hostname
    if host is None:
        return
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return
    _allowed_of(found, networks)
