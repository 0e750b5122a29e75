"""Ingest's settings: ``[ingest]`` in the file, ``PANTAU_INGEST_*`` in the environment."""

from typing import ClassVar

from pydantic import Field

from services.mesh.settings import Section


class IngestSettings(Section):
    """What an ingest worker may be told."""

    section: ClassVar[str] = "ingest"

    capacity: int | None = Field(
        default=None,
        ge=1,
        description="Cameras that this worker offers to take; default: cameras_per_process for each of its CPUs.",
    )
    cameras_per_process: int = Field(
        default=50,
        ge=1,
        le=50,
        description="Cameras that share one reader process. Each process is pinned to one CPU; past 50 its threads "
        "wait for each other.",
    )
    pin: bool = Field(default=True, description="Pin each reader process to one CPU.")
    stall_seconds: float = Field(
        default=5.0, gt=0, description="A source that sends no frame for so long is closed and opened anew."
    )
    hls_stall_seconds: float = Field(
        default=30.0, gt=0, description="The same for HLS, whose frames come a segment at a time."
    )
    open_seconds: float = Field(default=10.0, gt=0, description="What opening a source may take.")
    keyframe_seconds: float = Field(
        default=30.0,
        gt=0,
        description="A source that sends no keyframe with parameter sets for so long is opened anew.",
    )
    backoff_min_seconds: float = Field(default=1.0, gt=0, description="Pause before the first attempt to reconnect.")
    backoff_max_seconds: float = Field(
        default=30.0, gt=0, description="Longest pause between attempts; they double up to it, with jitter."
    )
    want_seconds: float = Field(
        default=30.0, gt=0, description="A profile on demand is closed so long after it was last asked for."
    )
    gop_cache_bytes: int = Field(
        default=16 * 1024 * 1024, ge=0, description="Largest GOP kept for each profile, so that viewers start at once."
    )
    earlier_cache_bytes: int = Field(
        default=3 * 1024 * 1024,
        ge=0,
        description="How much of the GOPs before the last is kept of each main profile, for a recorder that restarts.",
    )
    gop_cache_frames: int = Field(default=1000, ge=1, description="Most frames kept for each profile.")
