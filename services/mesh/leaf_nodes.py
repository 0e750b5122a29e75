"""How nats-servers of two owners are joined: the hub listens for leaf nodes, an owner's server connects to it as one.

::

    sites.json   beside the keys of a hub: where its nats-server listens for leaf nodes
    hub.json     beside the keys of an owner: the hub that was joined, with ``hub.pem`` (its CA) and ``hub.creds``

`server_lines` makes nats-server's configuration of them. ``pantau up`` looks at them while it runs.
"""

import hashlib
import ipaddress
import json
import re
import socket
from pathlib import Path
from typing import Any, Final, NamedTuple

from services.contracts.errors import InvalidInputError
from services.mesh.authority import Authority, write_secret
from services.mesh.certificates import Issued, issue

HUB_ACCOUNT: Final = "HUB"
"""The account at an owner that is joined to the owner's own at the hub. Nothing is in it but what was granted."""
LEAF_PORT: Final = 7422
"""nats-server's own default for leaf nodes."""
RECONNECT_SECONDS: Final = 1
_HOST_NAME: Final = re.compile(r"[A-Za-z0-9._-]+")


class Listening(NamedTuple):
    """Where a hub's nats-server takes leaf nodes."""

    address: str
    """The name or address that owners reach it by."""
    port: int

    @classmethod
    def parse(cls, text: str) -> "Listening":
        """``HOST[:PORT]``; raises `InvalidInputError`."""
        host, colon, port = text.rpartition(":") if not text.endswith("]") else (text, "", "")
        if not colon:
            host, port = text, str(LEAF_PORT)
        good = _HOST_NAME.fullmatch(host) is not None
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
            good = _is_ipv6(host)
        if not good or not (port.isascii() and port.isdecimal()) or not 0 < int(port) < 65536:
            raise InvalidInputError(f"{text!r} is no address: give HOST:PORT, as in hub.example:{LEAF_PORT}")
        return cls(host, int(port))

    def __str__(self) -> str:
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{host}:{self.port}"


class Joined(NamedTuple):
    """The hub that an owner has joined."""

    hub: str
    """Its site."""
    site: str
    """What the owner is called there."""
    url: str
    until: str
    """The last day, as in 2027-12-31."""
    ca_digest: str = ""
    """Of the CA: nats-server reads that at its start alone."""


def listening(authority: Authority) -> Listening | None:
    """Where this hub takes leaf nodes; None: it has invited nobody yet."""
    known = _read(authority.folder / "sites.json")
    return Listening(known["address"], known["port"]) if known else None


def listen(authority: Authority, where: Listening) -> None:
    """Takes leaf nodes there from now on. Raises as `certify` does."""
    names = list(certify(authority, where).names)
    write_secret(authority.folder / "sites.json", json.dumps({**where._asdict(), "names": names}))


def certify(authority: Authority, where: Listening) -> Issued:
    """A certificate for it, of a CA of its own. Owners who were invited by another address know that one.

    Raises `InvalidInputError`, `CertificateError`.
    """
    known = _read(authority.folder / "sites.json") or {"address": where.address}
    return issue(authority.folder / "tls", [where.address, *known.get("names", [known["address"]])])


def require_free(where: Listening) -> None:
    """Raises `InvalidInputError` where this machine cannot listen there: nats-server would not start again."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", where.port))
            probe.listen()
        except OSError as error:
            raise InvalidInputError(
                f"--address: nats-server cannot listen on port {where.port} here ({error.strerror}): name another, "
                f"as in {where.address}:{LEAF_PORT + 1}"
            ) from error


def ca_path(authority: Authority) -> Path:
    """The CA by which owners know this hub."""
    return authority.folder / "tls" / "ca.pem"


def joined(authority: Authority) -> Joined | None:
    """The hub that was joined."""
    known = _read(authority.folder / "hub.json")
    return Joined(**known) if known else None


def keep_joined(authority: Authority, to: Joined, ca: str, creds: str) -> None:
    """Connects to the hub from now on."""
    write_secret(authority.folder / "hub.pem", ca)
    write_secret(authority.folder / "hub.creds", creds)
    known = to._replace(ca_digest=hashlib.sha256(ca.encode()).hexdigest())
    write_secret(authority.folder / "hub.json", json.dumps(known._asdict()))


def forget_joined(authority: Authority) -> None:
    """Connects to no hub any more."""
    for name in ("hub.json", "hub.creds", "hub.pem"):
        (authority.folder / name).unlink(missing_ok=True)


def server_lines(authority: Authority) -> list[str]:
    """Lines of nats-server's configuration; none where nobody was invited and nothing joined.

    Comments make them differ where only a file's content does, which nats-server reads at its start.
    """
    lines: list[str] = []
    if (where := listening(authority)) is not None:
        tls = authority.folder / "tls"
        lines += [
            f"# the certificate is for {where.address}",
            f'listen: "0.0.0.0:{where.port}"',
            "no_advertise: true",  # owners know one address, and learn none of this machine's others
            f"tls {{ cert_file: {_text(tls / 'server.pem')}, key_file: {_text(tls / 'server.key')} }}",
        ]
    if (hub := joined(authority)) is not None:
        account = authority.account_key(HUB_ACCOUNT).public
        files = f"credentials: {_text(authority.folder / 'hub.creds')}"
        tls_lines = f"tls {{ ca_file: {_text(authority.folder / 'hub.pem')} }}"
        lines += [
            f"# the CA is {hub.ca_digest}",
            f"reconnect: {RECONNECT_SECONDS}",
            f"remotes [ {{ urls: [{json.dumps(hub.url)}], account: {account}, {files}, {tls_lines} }} ]",
        ]
    return ["leafnodes {", *(f"  {line}" for line in lines), "}"] if lines else []


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return "%" not in text


def _text(path: Path) -> str:
    return json.dumps(str(path.absolute()))


def _read(path: Path) -> dict[str, Any] | None:
    try:
        known: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    return known
