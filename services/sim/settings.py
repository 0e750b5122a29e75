"""Settings of the simulated cameras: arguments of `Simulator`, options of ``pantau sim``, ``PANTAU_SIM_*``."""

from pathlib import Path
from typing import ClassVar

from pydantic import Field, SecretStr, field_validator

from services.mesh.settings import Section
from services.sim.auth import AuthScheme
from services.sim.faults import FaultSetting
from services.sim.specs import PRESETS


class SimSettings(Section):
    """How many cameras, of what kind, and where."""

    section: ClassVar[str] = "sim"

    cameras: int = Field(default=16, ge=1, le=4095, description="How many cameras: cam-001, cam-002, …")
    profile: str = Field(default="city", description=f"What they send: {', '.join(PRESETS)}.")
    scenes: int | None = Field(
        default=None, ge=1, description="Share the clips of so many scenes between the cameras; default: one each."
    )
    marker: bool = Field(
        default=True, description="Paint a band into the pictures that tells camera and frame number: tests read it."
    )
    host: str = Field(default="127.0.0.1", description="Where RTSP listens.")
    port: int = Field(default=8554, ge=0, le=65535, description="The RTSP port; 0: any free one.")
    own_ports: bool = Field(
        default=False, description="A port for each camera, counting up from the first: a refusing camera then refuses."
    )
    auth: AuthScheme = Field(default="none", description="What cameras ask for: none, basic, digest or both.")
    username: str = Field(default="operator", description="Who may watch.")
    password: SecretStr = Field(default=SecretStr("pantau"), description="The user's password.")
    cache: Path | None = Field(default=None, description="Where encoded clips are kept; default: the user's cache.")
    workers: int | None = Field(default=None, ge=1, description="Processes that encode; default: one a core.")
    faults: tuple[str, ...] = Field(
        default=(), description="Faults from the start: CAMERA[/main|sub]=FAULT[:VALUE], CAMERA may be *."
    )

    @field_validator("profile")
    @classmethod
    def _known_profile(cls, name: str) -> str:
        if name not in PRESETS:
            raise ValueError(f"no such profile; there are {', '.join(PRESETS)}")
        return name

    @field_validator("faults")
    @classmethod
    def _known_faults(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        for text in texts:
            FaultSetting.parse(text)
        return texts
