"""Who is at the other end: the address and the scheme that a request came with, through proxies that are trusted."""

import ipaddress
import re
from collections.abc import Iterable
from typing import Final

from aiohttp import web

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_MAX_HOPS: Final = 32
_PAIR: Final = re.compile(r'\s*([A-Za-z]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;,\s]*)\s*')


def parse_address(text: str) -> Address | None:
    """An IP address with or without port and brackets (RFC 7239, section 6); None where it is none."""
    node = text.strip().strip('"')
    if node.startswith("["):
        node = node[1:].partition("]")[0]
    elif node.count(":") == 1:
        node = node.partition(":")[0]
    try:
        address = ipaddress.ip_address(node.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


class Clients:
    """Tells a request's client. Headers of proxies count where the peer that sent them is trusted."""

    def __init__(self, trusted: Iterable[str] = ()) -> None:
        """``trusted``: addresses or networks of proxies, in CIDR notation."""
        self._trusted: tuple[Network, ...] = tuple(ipaddress.ip_network(each, strict=False) for each in trusted)

    def address_of(self, request: web.BaseRequest) -> str:
        """The client's address: behind trusted proxies the last one that no trusted proxy has."""
        peer = parse_address(request.remote or "")
        if peer is None:
            return request.remote or ""
        for hop in reversed(self._hops(request)):
            if not self._trusts(peer):
                break
            found = parse_address(hop)
            if found is None:
                break  # "unknown", or a name: what stands before it proves nothing
            peer = found
        return str(peer)

    def is_proxy(self, peer: str) -> bool:
        """Whether ``peer`` is a trusted proxy, behind which stand many clients."""
        address = parse_address(peer)
        return address is not None and self._trusts(address)

    def is_secure(self, request: web.BaseRequest) -> bool:
        """Whether the client came over TLS, to this server or to a trusted proxy."""
        if request.secure:
            return True
        peer = parse_address(request.remote or "")
        if peer is None or not self._trusts(peer):
            return False
        forwarded = _forwarded(request, "proto")[-1:]
        listed = request.headers.get("X-Forwarded-Proto", "").rpartition(",")[2].strip()
        said = {text.lower() for text in (*forwarded, listed) if text}
        return said == {"https"}

    def is_exposed(self, request: web.BaseRequest) -> bool:
        """Whether what the client sends can be read on the way: it came in the clear, and not from this machine."""
        address = parse_address(self.address_of(request))
        return not self.is_secure(request) and not (address is not None and address.is_loopback)

    def _trusts(self, address: Address) -> bool:
        return any(address.version == network.version and address in network for network in self._trusted)

    @staticmethod
    def _hops(request: web.BaseRequest) -> list[str]:
        """The clients that proxies saw, the nearest proxy's last.

        A proxy writes one of the two headers and may hand on the other as the client made it up. Where both are there
        and differ in the last hop, neither counts.
        """
        forwarded = _forwarded(request, "for")
        given = ",".join(request.headers.getall("X-Forwarded-For", ()))
        listed = [hop for hop in given.split(",") if hop.strip()][-_MAX_HOPS:]
        if forwarded and listed and parse_address(forwarded[-1]) != parse_address(listed[-1]):
            return []
        return listed or forwarded


def _forwarded(request: web.BaseRequest, parameter: str) -> list[str]:
    found = []
    for header in request.headers.getall("Forwarded", ()):
        for name, value in _PAIR.findall(header):
            if name.lower() == parameter:
                found.append(value.strip('"'))
    return found[-_MAX_HOPS:]


def network_key(address: str) -> str:
    """What counts as one client for limits: an IPv4 address, or an IPv6 one's /64, which one host may have all of."""
    parsed = parse_address(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed or address)
