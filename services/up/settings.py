"""Settings of `pantau up`."""

from pathlib import Path
from typing import ClassVar, Self

from pydantic import Field, model_validator

from services.mesh.settings import Section


class UpSettings(Section):
    """The settings of `pantau up` beside those of the services."""

    section: ClassVar[str] = "up"

    nats_port: int = Field(default=0, ge=0, le=65535, description="Port of the embedded nats-server; 0: any free one.")
    nats_host: str = Field(
        default="127.0.0.1",
        description="Where the embedded nats-server listens. For agencies and sites: an address that they reach, "
        "with a certificate and a port.",
    )
    nats_cert: Path | None = Field(
        default=None,
        description="PEM file of the embedded nats-server's certificate: all connections to it are then by TLS. It has "
        "to be good for 127.0.0.1 as well, and `nats_ca` names its CA (`pantau ca` makes both).",
    )
    nats_key: Path | None = Field(default=None, description="PEM file of its private key.")

    demo_story: bool = Field(
        default=True,
        description="A demo of 8 cameras or more has something to find: a second site, two cameras in trouble, an "
        "incident, and three recorded hours of its first cameras.",
    )

    @model_validator(mode="after")
    def _together(self) -> Self:
        if (self.nats_cert is None) != (self.nats_key is None):
            raise ValueError("nats_cert (PANTAU_UP_NATS_CERT) and nats_key (PANTAU_UP_NATS_KEY) go together")
        return self

    @property
    def nats_certificate(self) -> tuple[Path, Path] | None:
        """Both files."""
        return (self.nats_cert, self.nats_key) if self.nats_cert and self.nats_key else None
