"""Settings of `pantau up`."""

from typing import ClassVar

from pydantic import Field

from services.mesh.settings import Section


class UpSettings(Section):
    """What `pantau up` needs beside the services' own settings."""

    section: ClassVar[str] = "up"

    nats_port: int = Field(
        default=0, ge=0, le=65535, description="Loopback port of the embedded nats-server; 0: any free one."
    )
