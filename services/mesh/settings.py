"""Settings: ``PANTAU_*`` environment variables over an optional TOML file, unknown keys refused by name.

Each service declares its own section as a subclass of `Section`: ``[wall]`` in the file, ``PANTAU_WALL_*`` in the
environment. A secret may be given as ``PANTAU_…_FILE``, the path of a file that holds it.
"""

import socket
import ssl
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError

from services.contracts.errors import PantauError
from services.contracts.models import Id, takes_several

PREFIX = "PANTAU_"
NOT_SETTINGS = frozenset({"PANTAU_CONFIG", "PANTAU_URL", "PANTAU_TOKEN", "PANTAU_TOKEN_FILE"})
"""Read by the command itself."""


class SettingsError(PantauError):
    """The settings cannot be used; the message names each key and a valid value."""

    code = "bad-settings"


class Section(BaseModel):
    """Base of a section: each field is a key, its description the documentation."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    section: ClassVar[str] = ""

    @classmethod
    def variables(cls) -> dict[str, str]:
        """Environment variable → field."""
        prefix = f"{PREFIX}{cls.section.upper()}_" if cls.section else PREFIX
        return {prefix + name.upper(): name for name in cls.model_fields}

    @classmethod
    def load(cls, environ: Mapping[str, str], file: Mapping[str, Any] | None = None) -> Self:
        """The section as ``environ`` and the parsed TOML ``file`` give it; raises `SettingsError`.

        Takes of a table only what this class declares: two parts of a service may share one. `refuse_unknown` looks
        for what nobody declares.
        """
        given = (file or {}).get(cls.section, {}) if cls.section else (file or {})
        table = {key: value for key, value in given.items() if key in cls.model_fields}
        for variable, name in cls.variables().items():
            if path := environ.get(f"{variable}_FILE"):
                try:
                    table[name] = Path(path).read_text().strip()
                except OSError as error:
                    raise SettingsError(f"{variable}_FILE: cannot read {path}: {error.strerror}") from error
            elif variable in environ:
                table[name] = _listed(cls, name, environ[variable])
        try:
            return cls.model_validate(table)
        except ValidationError as error:
            raise SettingsError("; ".join(_explain(cls, problem) for problem in error.errors())) from error


def _listed(cls: type[Section], name: str, text: str) -> str | list[str]:
    """Lists are written with commas in the environment."""
    if takes_several(cls.model_fields[name].annotation):
        return [part.strip() for part in text.split(",") if part.strip()]
    return text


def _explain(cls: type[Section], problem: Any) -> str:
    field = str(problem["loc"][0]) if problem["loc"] else ""
    key = f"{cls.section}.{field}" if cls.section else field
    variable = next((v for v, name in cls.variables().items() if name == field), None)
    where = f"{key} ({variable})" if variable else f"{key}: no such setting"
    return f"{where}: {problem['msg']}"


def read_file(path: Path | None) -> dict[str, Any]:
    """The parsed TOML file, empty where there is none."""
    if path is None:
        return {}
    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        raise SettingsError(f"cannot read the settings file {path}: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"the settings file {path} is not TOML: {error}") from error


def refuse_unknown(sections: Iterable[type[Section]], environ: Mapping[str, str], file: Mapping[str, Any]) -> None:
    """Raises `SettingsError` naming every ``PANTAU_*`` variable and every key of the file that no section knows."""
    sections = list(sections)
    known = {variable for section in sections for variable in section.variables()}
    known |= {f"{variable}_FILE" for variable in known} | NOT_SETTINGS
    unknown = sorted(variable for variable in environ if variable.startswith(PREFIX) and variable not in known)
    keys: dict[str, set[str]] = {}
    for section in sections:
        keys.setdefault(section.section, set()).update(section.model_fields)
    for key, value in file.items():
        if not isinstance(value, dict):
            unknown += [key] if key not in keys[""] else []
        elif key not in keys:
            unknown.append(f"[{key}]")
        else:
            unknown += [f"{key}.{inner}" for inner in value if inner not in keys[key]]
    if unknown:
        raise SettingsError(f"unknown settings: {', '.join(unknown)}; docs/ref/settings.md lists all there are")


def _number(value: object) -> object:
    """The environment gives text, which ``Literal`` compares as it is."""
    return int(value) if isinstance(value, str) and value.isdecimal() else value


class MeshSettings(Section):
    """What every service needs."""

    nats_url: str = Field(default="nats://127.0.0.1:4222", description="The nats-server to join; several with commas.")
    nats_user: str = Field(default="", description="User on the nats-server.")
    nats_password: SecretStr = Field(default=SecretStr(""), description="Its password.")
    nats_creds: Path | None = Field(
        default=None,
        description="Instead of user and password: a NATS creds file, or the folder that has one for each service "
        "(`registry.creds`, `ingest.creds`, `recorder.creds`, `front.creds`, `relay.creds`). With it a service may use "
        "only its own subjects. `pantau nats init` makes them.",
    )
    nats_ca: Path | None = Field(
        default=None,
        description="PEM file of the CA that signed nats-server's certificate. With it every connection is by TLS, and "
        "a server that cannot prove itself is refused.",
    )
    nats_cert: Path | None = Field(
        default=None, description="PEM file of the certificate that is shown to nats-server, where it asks for one."
    )
    nats_key: Path | None = Field(default=None, description="PEM file of its private key.")
    nats_replicas: Annotated[Literal[1, 3, 5], BeforeValidator(_number)] = Field(
        default=1,
        description="On how many nodes of a NATS cluster each bucket and stream is kept: 1, 3 or 5. Added to existing "
        "ones; a start takes no copy away.",
    )
    site: Id = Field(default="city", description="The mesh's own site: owner of cameras that name no other.")
    data: Path = Field(default=Path("data"), description="Where this service keeps its files.")
    worker: Id | None = Field(
        default=None, description="This instance's name; default: the service's name and the host's."
    )
    machine: str = Field(
        default_factory=socket.gethostname,
        description="Where this instance runs. Two copies of a camera are kept on different "
        "machines, and a camera is recorded where it is ingested, as far as there is room.",
    )
    rack: str = Field(
        default="",
        max_length=63,
        description="The rack, or another group of machines, that a camera's pin may name in place of a machine.",
    )
    admin_host: str = Field(default="127.0.0.1", description="Where /livez, /readyz and /metrics listen.")
    admin_port: int | None = Field(
        default=None, ge=0, le=65535, description="Their port; 0: any free one; default: the service's own."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="Least level logged.")
    log_format: Literal["auto", "console", "json"] = Field(
        default="auto", description="auto: a console on a terminal, JSON otherwise."
    )

    def as_bus_user(self, user: str) -> Self:
        """With the creds file of ``user`` where `nats_creds` is a folder."""
        if self.nats_creds is None or not self.nats_creds.is_dir():
            return self
        return self.model_copy(update={"nats_creds": self.nats_creds / f"{user}.creds"})

    def nats_tls(self) -> ssl.SSLContext | None:
        """What TLS to nats-server is held against; None without `nats_ca`. Raises `SettingsError`."""
        if self.nats_ca is None:
            if self.nats_cert is not None or self.nats_key is not None:
                raise SettingsError("nats_cert (PANTAU_NATS_CERT) and its key need nats_ca (PANTAU_NATS_CA)")
            return None
        if (self.nats_cert is None) != (self.nats_key is None):
            raise SettingsError("nats_cert (PANTAU_NATS_CERT) and nats_key (PANTAU_NATS_KEY) go together")
        try:
            context = ssl.create_default_context(cafile=str(self.nats_ca))
            if self.nats_cert is not None:
                context.load_cert_chain(self.nats_cert, self.nats_key)
        except (OSError, ssl.SSLError) as error:
            named = ", ".join(str(path) for path in (self.nats_ca, self.nats_cert, self.nats_key) if path)
            raise SettingsError(f"the TLS files for NATS cannot be used ({named}): {error}") from error
        return context
