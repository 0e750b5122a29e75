"""How nats-servers of two owners are joined: the hub listens for leaf nodes, an owner's server connects to it as one.

::

    sites.json   beside the keys of a hub: where its nats-server listens for leaf nodes
    hub.json     beside the keys of an owner: the hub that was joined, with ``hub.pem`` (its CA) and ``hub.creds``

`server_lines` makes nats-server's configuration of them. ``pantau up`` looks at them while it runs.
"""

import json
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
        host = host.removeprefix("[").removesuffix("]")
        if not host or not port.isdecimal() or not 0 < int(port) < 65536:
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


def listening(authority: Authority) -> Listening | None:
    """Where this hub takes leaf nodes; None: it has invited nobody yet."""
    known = _read(authority.folder / "sites.json")
    return Listening(known["address"], known["port"]) if known else None


def listen(authority: Authority, where: Listening) -> None:
    """Takes leaf nodes there from now on. Raises as `certify` does."""
    certify(authority, where)
    write_secret(authority.folder / "sites.json", json.dumps(where._asdict()))


def certify(authority: Authority, where: Listening) -> Issued:
    """A certificate for it, of a CA of its own. Raises `InvalidInputError`, `CertificateError`."""
    return issue(authority.folder / "tls", [where.address])


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
    write_secret(authority.folder / "hub.json", json.dumps(to._asdict()))


def forget_joined(authority: Authority) -> None:
    """Connects to no hub any more."""
    for name in ("hub.json", "hub.creds", "hub.pem"):
        (authority.folder / name).unlink(missing_ok=True)


def server_lines(authority: Authority) -> list[str]:
    """Lines of nats-server's configuration; none where nobody was invited and nothing joined."""
    lines: list[str] = []
    if (where := listening(authority)) is not None:
        tls = authority.folder / "tls"
        lines += [
            f'listen: "0.0.0.0:{where.port}"',
            f"tls {{ cert_file: {_text(tls / 'server.pem')}, key_file: {_text(tls / 'server.key')} }}",
        ]
    if (hub := joined(authority)) is not None:
        account = authority.account_key(HUB_ACCOUNT).public
        files = f"credentials: {_text(authority.folder / 'hub.creds')}"
        tls_lines = f"tls {{ ca_file: {_text(authority.folder / 'hub.pem')} }}"
        lines += [
            f"reconnect: {RECONNECT_SECONDS}",
            f"remotes [ {{ urls: [{json.dumps(hub.url)}], account: {account}, {files}, {tls_lines} }} ]",
        ]
    return ["leafnodes {", *(f"  {line}" for line in lines), "}"] if lines else []


def _text(path: Path) -> str:
    return json.dumps(str(path.absolute()))


def _read(path: Path) -> dict[str, Any] | None:
    try:
        known: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    return known
