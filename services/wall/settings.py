"""The front's settings: ``[wall]`` in the file, ``PANTAU_WALL_*`` in the environment, beside the relay's own."""

import ipaddress
from pathlib import Path
from typing import Annotated, ClassVar, NamedTuple, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, SecretStr, model_validator

from services.contracts.permissions import Role
from services.mesh.settings import Section


class HostPort(NamedTuple):
    """Where a server listens."""

    host: str
    port: int


def split_host_port(text: str) -> HostPort:
    """``HOST:PORT`` or ``[IPv6]:PORT``; raises ``ValueError`` that shows the form."""
    host, colon, port = text.strip().rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        colon = ""
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise ValueError(f"{text!r} is not HOST:PORT, as in 127.0.0.1:8080 or [::1]:8080")
    return HostPort(host, int(port))


def _host_port(text: str) -> str:
    split_host_port(text)
    return text.strip()


def _origin(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path.strip("/"):
        raise ValueError(f"{text!r} is not an origin, as in https://monitor.example")
    return f"{parts.scheme}://{parts.netloc}".lower()


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError as error:
        raise ValueError(f"{text!r} is no address or network, as in 10.0.0.5 or 10.0.0.0/24") from error


def _ice_url(text: str) -> str:
    if not text.startswith(("stun:", "stuns:", "turn:", "turns:")) or "://" in text:
        raise ValueError(f"{text!r} is not an ICE server, as in stun:192.0.2.1:3478 or turn:turn.example?transport=tcp")
    return text


def _issuer(text: str) -> str:
    parts = urlsplit(text)
    if text and (parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment):
        raise ValueError(f"{text!r} is not an issuer, as in https://sso.example/realms/kota")
    if text and parts.scheme == "http" and parts.hostname not in ("127.0.0.1", "::1", "localhost"):
        raise ValueError(f"{text!r}: an identity provider on another machine must be reached by https")
    return text


def _redirect(text: str) -> str:
    parts = urlsplit(text)
    if text and (parts.scheme not in ("http", "https") or not parts.hostname or parts.path != "/oidc/callback"):
        raise ValueError(f"{text!r} is not the address of the wall with /oidc/callback")
    return text


def _group_role(text: str) -> str:
    group, _, role = text.rpartition("=")
    if not group or role not in tuple(Role):
        raise ValueError(f"{text!r} is not GROUP=ROLE, as in pantau-operator=operator; roles: {', '.join(Role)}")
    return text


def _zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError(f"{text!r} is not a time zone of the IANA database, as in Asia/Jakarta") from error
    return text


class WallSettings(Section):
    """The front's settings, and the number of relays beside it."""

    section: ClassVar[str] = "wall"

    http: Annotated[str, AfterValidator(_host_port)] = Field(
        default="127.0.0.1:8080",
        description="HOST:PORT of the web app and the API. Addresses other than loopback need accounts.",
    )
    https_cert: Path | None = Field(
        default=None,
        description="PEM file of the wall's certificate with its chain: the wall then speaks HTTPS alone. Changed "
        "files are taken without a restart. `pantau ca` makes one for the first day.",
    )
    https_key: Path | None = Field(default=None, description="PEM file of its private key.")
    https_hsts_days: int = Field(
        default=365,
        ge=0,
        le=3650,
        description="For so long browsers that came by HTTPS open the wall by nothing else (HSTS); 0: they may.",
    )
    accounts_file: Path | None = Field(
        default=None,
        description="Accounts beside the registry's, for one box (pantau accounts add --file writes it). Without any "
        "account every user of this machine is the administrator, and nobody else gets in.",
    )
    oidc_issuer: Annotated[str, AfterValidator(_issuer)] = Field(
        default="",
        description="The identity provider (OpenID Connect), as in https://sso.example/realms/kota; exactly as its "
        "discovery document names itself. People then sign in there (docs/guide/administrators.md).",
    )
    oidc_client_id: str = Field(default="", description="The id under which the provider knows the wall.")
    oidc_client_secret: SecretStr = Field(
        default=SecretStr(""), description="The client's secret; empty: a public client, by PKCE alone."
    )
    oidc_label: str = Field(
        default="SSO", min_length=1, max_length=60, description="The provider's name on the sign-in page."
    )
    oidc_scopes: tuple[str, ...] = Field(
        default=("openid", "profile"), description="Scopes that are asked for; openid must be among them."
    )
    oidc_name_claim: str = Field(
        default="preferred_username", description="The claim of the ID token that names the account."
    )
    oidc_groups_claim: str = Field(default="groups", description="The claim of the ID token that lists groups.")
    oidc_roles: tuple[Annotated[str, AfterValidator(_group_role)], ...] = Field(
        default=(),
        description="Which group has which role, as in pantau-admin=admin,pantau-operator=operator. Of several the "
        "one with the most rights counts; who is in none does not get in.",
    )
    oidc_redirect_url: Annotated[str, AfterValidator(_redirect)] = Field(
        default="",
        description="Where the provider sends people back, as it is registered there: the wall's address with "
        "/oidc/callback; default: the address by which the browser came.",
    )
    trusted_proxies: tuple[Annotated[str, AfterValidator(_network)], ...] = Field(
        default=(),
        description="Addresses or networks of proxies in front of the wall, as in 10.0.0.0/24: the client's "
        "address is taken from their X-Forwarded-For or Forwarded, and its scheme from X-Forwarded-Proto.",
    )
    allowed_origins: tuple[Annotated[str, AfterValidator(_origin)], ...] = Field(
        default=(), description="Other web sites whose pages may use the API and WHEP, as in https://monitor.example."
    )
    connections_per_address: int = Field(
        default=512, ge=8, description="Connections that one address may hold; trusted proxies may hold more."
    )
    relays: int | None = Field(
        default=None, ge=0, le=256, description="Relay processes beside the front; default: one per core."
    )
    ice_servers: tuple[Annotated[str, AfterValidator(_ice_url)], ...] = Field(
        default=(), description="STUN and TURN servers that viewers are told of, as in turn:turn.example:3478."
    )
    turn_secret: SecretStr = Field(
        default=SecretStr(""),
        description="Secret shared with the TURN servers (coturn's static-auth-secret): viewers get credentials made "
        "with it that expire.",
    )
    time_zone: Annotated[str, AfterValidator(_zone)] = Field(
        default="Asia/Jakarta",
        description="The site's zone, as in Asia/Makassar: the page shows and takes times in it.",
    )
    map_file: Path | None = Field(
        default=None,
        description="The city's map, a PMTiles archive (docs/guide/map.md); default: `map/city.pmtiles` in the data"
        " folder.",
    )
    exports_hours: float = Field(
        default=72.0, gt=0, le=24 * 366, description="How long a finished export can be downloaded."
    )
    exports_gigabytes: float = Field(
        default=20.0, gt=0, description="The most that exports may take in the data folder; one more is refused."
    )
    exports_floor_gigabytes: float = Field(
        default=1.0,
        ge=0,
        description="Free space that exports leave on that disk. On a disk that recordings fill it lies below their "
        "floor: an export then waits until retention has made room.",
    )
    exports_at_once: int = Field(default=2, ge=1, le=64, description="Exports that are made at once; others wait.")
    turn_ttl_seconds: int = Field(default=3600, ge=60, le=86400, description="How long such credentials last.")

    @model_validator(mode="after")
    def _together(self) -> Self:
        if (self.https_cert is None) != (self.https_key is None):
            raise ValueError("https_cert (PANTAU_WALL_HTTPS_CERT) and https_key (PANTAU_WALL_HTTPS_KEY) go together")
        if self.oidc_issuer and not (self.oidc_client_id and self.oidc_roles):
            raise ValueError("oidc_issuer (PANTAU_WALL_OIDC_ISSUER) needs oidc_client_id and oidc_roles as well")
        if "openid" not in self.oidc_scopes:
            raise ValueError("oidc_scopes (PANTAU_WALL_OIDC_SCOPES): openid must be among them")
        return self

    @property
    def https(self) -> tuple[Path, Path] | None:
        """The files of its certificate and key; None where it speaks HTTP."""
        return (self.https_cert, self.https_key) if self.https_cert and self.https_key else None

    @property
    def listen(self) -> HostPort:
        """`http`, split."""
        return split_host_port(self.http)
