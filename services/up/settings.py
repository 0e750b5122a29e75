"""Settings of `pantau up`."""

from typing import ClassVar

from pydantic import Field

from services.mesh.settings import Section


class UpSettings(Section):
    """The settings of `pantau up` beside those of the services."""

    section: ClassVar[str] = "up"

    nats_port: int = Field(
        default=0, ge=0, le=65535, description="Loopback port of the embedded nats-server; 0: any free one."
    )
