"""Questions to the registry about incidents."""

from pydantic import Field

from services.contracts.models import (
    MAX_HOLD_DAYS,
    MAX_REMARK_CHARS,
    Id,
    Incident,
    IncidentStatus,
    Model,
    UnixUs,
)
from services.contracts.patch import Partial, Patch
from services.contracts.requests import Repeatable


class IncidentInput(Repeatable):
    """An incident to be opened."""

    title: str = Field(min_length=1, max_length=200)
    cameras: tuple[Id, ...] = Field(min_length=1, max_length=1000)
    from_us: UnixUs
    to_us: UnixUs | None = None
    """None: the incident goes on."""
    notes: str = Field(default="", max_length=20_000)
    hold_days: float | None = Field(default=None, ge=0, le=MAX_HOLD_DAYS)
    """How long its footage stays held after it was closed; None: as the registry's setting says."""


class IncidentPatch(Patch):
    """The fields of an incident that change.

    ``to_us: null`` means that it goes on, ``hold_days: null`` that the registry's setting says how long it is held. To
    shorten the hold takes a supervisor, as closing does.
    """

    nullable = frozenset({"to_us", "hold_days"})

    title: str | None = Field(default=None, min_length=1, max_length=200)
    cameras: tuple[Id, ...] | None = Field(default=None, min_length=1, max_length=1000)
    from_us: UnixUs | None = None
    to_us: UnixUs | None = None
    notes: str | None = Field(default=None, max_length=20_000)
    hold_days: float | None = Field(default=None, ge=0, le=MAX_HOLD_DAYS)


class RemarkInput(Repeatable):
    """A remark to be added to an incident."""

    text: str = Field(min_length=1, max_length=MAX_REMARK_CHARS)


class RemarkNote(RemarkInput):
    """A remark, and the incident that it is about."""

    id: Id


class IncidentQuery(Model):
    """Which incidents; newest first."""

    status: IncidentStatus | None = None
    camera: Id | None = None
    limit: int = Field(default=500, ge=1, le=5000)


class IncidentKey(Model):
    """One incident."""

    id: Id


class ExportNote(Repeatable):
    """Footage about an incident is handed out."""

    id: Id


class IncidentEntry(Model):
    """An incident with its revision."""

    incident: Incident
    revision: int


class IncidentList(Model):
    """An answer to `IncidentQuery`."""

    incidents: tuple[IncidentEntry, ...]
    hold_days: float | None = None
    """How long one without days of its own is held after it was closed; None: the registry is older than this field."""


class IncidentUpdate(Partial):
    """A change to one incident."""

    id: Id
    patch: IncidentPatch
    revision: int | None = None
