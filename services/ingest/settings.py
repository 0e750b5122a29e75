"""Ingest's settings: ``[ingest]`` in the file, ``PANTAU_INGEST_*`` in the environment."""

import ipaddress
import os
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal

from pydantic import AfterValidator, Field, FilePath

from services.contracts.models import ReaderName
from services.ingest.keeping.keep import DEFAULT_LIMITS, KeepLimits
from services.mesh.settings import Section

KEY_FILE: Final = "ingest-secrets.key"
MOST_WORKERS: Final = 4
"""One worker reads hundreds of cameras, so a machine with many CPUs needs no worker for each."""


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text.strip(), strict=False))
    except ValueError as error:
        raise ValueError(f"{text!r} is not a network, as in 10.20.0.0/16") from error


class IngestSettings(Section):
    """What an ingest service may be told."""

    section: ClassVar[str] = "ingest"

    workers: int | None = Field(
        default=None, ge=1, le=64, description="Worker processes; default: one for each CPU, at most 4."
    )
    capacity: int = Field(default=250, ge=1, description="Cameras that each worker offers to take.")
    reader: ReaderName | None = Field(
        default=None,
        description="What reads all cameras (`auto`, `direct` or `libav`); default: each camera's own `reader`.",
    )
    kernel: Literal["auto", "off"] = Field(
        default="auto",
        description="Whether compiled code reads usual pictures of RTSP over TCP: `auto` where it was built, or `off`.",
    )
    networks: tuple[Annotated[str, AfterValidator(_network)], ...] = Field(
        default=(),
        description="Networks that sources may be in, as in 10.20.0.0/16; default: all. What a name resolves to and a"
        " redirect leads to is held against them. Link-local addresses are never connected to.",
    )
    certificates: Literal["any", "verified"] = Field(
        default="any",
        description="Of `rtsps://` and `https://` cameras: `any` certificate (cameras sign their own), or only"
        " `verified` ones, by name and signature.",
    )
    certificate_authorities: FilePath | None = Field(
        default=None, description="A PEM file of those whom `verified` trusts; default: those of the system."
    )
    secrets_key: Path | None = Field(
        default=None,
        description="File with this machine's key for cameras' credentials, made at the first start; default: "
        "`ingest-secrets.key` in the data folder. Keep a copy of it (`pantau ingest-key`).",
    )
    stall_seconds: float = Field(
        default=5.0, gt=0, description="A source that sends no frame for so long is closed and opened anew."
    )
    hls_stall_seconds: float = Field(
        default=30.0, gt=0, description="The same for HLS, whose frames come a segment at a time."
    )
    open_seconds: float = Field(default=10.0, gt=0, description="What opening a source may take.")
    keyframe_seconds: float = Field(
        default=120.0,
        gt=0,
        description="A source that sends no keyframe with parameter sets for so long is opened anew.",
    )
    backoff_min_seconds: float = Field(
        default=2.0, gt=0, description="Longest pause before the second attempt to open a source that fails."
    )
    backoff_max_seconds: float = Field(
        default=30.0,
        gt=0,
        description="Longest pause between attempts; they double up to it, with jitter. Wrong credentials wait longer.",
    )
    want_seconds: float = Field(
        default=30.0, gt=0, description="A profile on demand is closed so long after it was last asked for."
    )
    gop_cache_bytes: int = Field(
        default=16 * 1024 * 1024, ge=0, description="Largest GOP kept for each profile, so that viewers start at once."
    )

    spool_minutes: float = Field(
        default=10.0,
        ge=0,
        description="How long a worker keeps footage that no recorder has acknowledged; 0: no spool on disk.",
    )
    spool_gigabytes: float = Field(
        default=4.0, ge=0, description="The most that each worker's spool may take; 0: no spool on disk."
    )
    spool_floor_gigabytes: float = Field(
        default=2.0, ge=0, description="Free space that the spool leaves on its disk, the data folder's."
    )
    spool_memory_megabytes: int = Field(
        default=256,
        ge=1,
        description="What each worker keeps in memory; past it goes to the spool, or without one the oldest goes.",
    )

    @property
    def keep_limits(self) -> KeepLimits:
        """What a worker keeps."""
        off = not self.spool_minutes or not self.spool_gigabytes
        return KeepLimits(
            seconds=self.spool_minutes * 60 or DEFAULT_LIMITS.seconds,
            spool_bytes=0 if off else int(self.spool_gigabytes * 1e9),
            memory_bytes=self.spool_memory_megabytes * 1024 * 1024,
        )

    @property
    def worker_count(self) -> int:
        """How many workers run."""
        if self.workers is not None:
            return self.workers
        cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return min(cpus, MOST_WORKERS)
