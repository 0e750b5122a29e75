"""Our host candidates: what the settings name, else this machine's own addresses."""

from ipaddress import IPv6Address, ip_address
from typing import Final

import ifaddr

from services.contracts.errors import PantauError
from services.mesh.log import get_logger
from services.wall.relay.engine.sdp import HostCandidate

log = get_logger()

MAX_OWN_SOCKETS: Final = 64
"""A host of containers may have thousands of addresses, and a socket takes half a megabyte."""
_HOST_PREFERENCE: Final = 126
"""Type preference of host candidates (RFC 8445, 5.1.2.2)."""


class AddressError(PantauError):
    """PANTAU_WALL_PUBLIC_ADDRESSES contains a value that is no IP address."""

    code = "bad-settings"


def own_addresses() -> list[str]:
    """This machine's addresses that others may reach, loopback last; link-local ones are left out."""
    found: list[str] = []
    for adapter in ifaddr.get_adapters():
        for ip in adapter.ips:
            host = ip.ip if isinstance(ip.ip, str) else ip.ip[0]
            if not ip_address(host).is_link_local and host not in found:
                found.append(host)
    return sorted(found, key=lambda host: (ip_address(host).is_loopback, ":" in host))


def addresses_to_bind() -> list[str]:
    """Those of `own_addresses` that get a socket of their own. Of the others, the general one answers by the route."""
    try:
        found = own_addresses()
    except OSError as error:  # a sandbox without netlink(7): with public addresses the relay needs nothing of it
        log.warning("relay.addresses_unknown", consequence="the route chooses what peers are sent to from", error=error)
        return []
    if len(found) > MAX_OWN_SOCKETS:
        log.info("relay.addresses_not_bound", addresses=len(found), bound=MAX_OWN_SOCKETS)
    return found[:MAX_OWN_SOCKETS]


def candidates(public: tuple[str, ...], port: int, families: tuple[int, ...]) -> tuple[HostCandidate, ...]:
    """One candidate for each address; raises `AddressError`."""
    hosts = []
    for text in public or own_addresses():
        try:
            address = ip_address(text)
        except ValueError as error:
            raise AddressError(
                f"wall.public_addresses (PANTAU_WALL_PUBLIC_ADDRESSES): {text!r} is no address"
            ) from error
        if (6 if isinstance(address, IPv6Address) else 4) in families:
            hosts.append(str(address))
    return tuple(
        HostCandidate(host, port, _HOST_PREFERENCE << 24 | (65535 - place) << 8 | 255)
        for place, host in enumerate(hosts)
    )
