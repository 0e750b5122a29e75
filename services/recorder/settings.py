"""The recorder's settings."""

from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import AfterValidator, BeforeValidator, Field

from services.contracts.ladder import parse_ladder
from services.mesh.settings import Section


def _ladder(text: str) -> str:
    parse_ladder(text)
    return text


def _groups(value: object) -> object:
    """``north=full 5d; south=full 20d`` as a table, since the environment has no tables."""
    if not isinstance(value, str):
        return value
    pairs = [part.partition("=") for part in value.split(";") if part.strip()]
    return {tag.strip(): ladder.strip() for tag, _, ladder in pairs}


LadderText = Annotated[str, AfterValidator(_ladder)]


class RecorderSettings(Section):
    """``[recorder]``, ``PANTAU_RECORDER_*``."""

    section: ClassVar[str] = "recorder"

    directories: tuple[Path, ...] = Field(
        default=(),
        description="Where recordings are kept, one a disk; default: the data folder. New segments go where room is.",
    )
    retention: LadderText = Field(
        default="full 10d, keyframes 60d every 10s",
        description="How long footage is kept: `full` whole, then `keyframes`, one picture `every` so often.",
    )
    retention_groups: Annotated[dict[str, LadderText], BeforeValidator(_groups)] = Field(
        default_factory=dict,
        description="Ladders for cameras that carry a tag: a table in the file, `tag=ladder; tag=ladder` in the "
        "environment. A camera's own ladder goes before them.",
    )
    budget_gigabytes: float = Field(
        default=0.0, ge=0, description="The most that recordings may take in each directory; 0: as much as there is."
    )
    floor_gigabytes: float = Field(
        default=2.0,
        ge=0,
        description="Free space that is left on each disk; history gets shorter before it is touched.",
    )
    sync_seconds: float = Field(
        default=5.0, gt=0, description="At most so much of what was recorded is lost when the power goes."
    )
    queue_megabytes: int = Field(
        default=256,
        ge=1,
        description="What may wait for each disk; past it footage is left to ingest, which keeps it a while.",
    )
    demo_hours: float = Field(
        default=0.0,
        ge=0,
        le=20,
        description="So many hours of past are made up, once, for the first cameras with the tag `demo`, out of their "
        "first seconds. `pantau up --demo` sets it.",
    )
    capacity: int = Field(default=1000, ge=1, description="Cameras that each process of this recorder offers to take.")
    processes: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Processes over the same directories; to the registry they are one recorder. One records about 200 "
        "cameras.",
    )
