"""The registry's settings."""

from typing import ClassVar

from pydantic import Field

from services.mesh.settings import Section


class RegistrySettings(Section):
    """``[registry]``, ``PANTAU_REGISTRY_*``."""

    section: ClassVar[str] = "registry"

    incident_grace_days: float = Field(
        default=7.0, ge=0, description="How long footage stays held after its incident was closed."
    )
    recorder_away_seconds: float = Field(
        default=3.0, gt=0, description="How long a recorder may be silent before another records its cameras."
    )
    recorder_lost_hours: float = Field(
        default=24.0,
        gt=0,
        description="After so long a recorder is not waited for any more: its stand-ins keep its cameras for good.",
    )
    rebalance_after_seconds: float = Field(
        default=10.0,
        ge=0,
        description=(
            "How long the workers of a role must have been the same, and been unevenly full, before cameras move to "
            "balance the load."
        ),
    )
    events_max_days: float = Field(
        default=30.0, gt=0, description="How long events are kept for consumers that were away."
    )
    events_max_megabytes: int = Field(default=2048, gt=0, description="How many megabytes of events are kept at most.")
    events_max_per_subject: int = Field(
        default=1440,
        gt=0,
        description="How many of one kind are kept for one camera, so that frequent events leave room for rare ones.",
    )
    audit_max_days: float = Field(default=365.0, gt=0, description="How long it is kept who did what.")
    audit_max_megabytes: int = Field(
        default=4096,
        gt=0,
        description="How many megabytes of audit and seals are kept at most. Above it new ones are refused, with an "
        "alarm, and wait at their writers.",
    )
    seals_max_days: float = Field(
        default=3.0, gt=0, description="How long the seals of closed segments are kept for consumers that were away."
    )
