"""Questions to the registry about incidents."""

from pydantic import Field

from services.contracts.models import Id, Incident, IncidentStatus, Model, UnixUs
from services.contracts.patch import Partial, Patch


class IncidentInput(Model):
    """An incident to be opened."""

    title: str = Field(min_length=1, max_length=200)
    cameras: tuple[Id, ...] = Field(min_length=1, max_length=1000)
    from_us: UnixUs
    to_us: UnixUs | None = None
    """None: the incident goes on."""
    notes: str = Field(default="", max_length=20_000)


class IncidentPatch(Patch):
    """The fields of an incident that change. ``to_us: null`` means that it goes on."""

    nullable = frozenset({"to_us"})

    title: str | None = Field(default=None, min_length=1, max_length=200)
    cameras: tuple[Id, ...] | None = Field(default=None, min_length=1, max_length=1000)
    from_us: UnixUs | None = None
    to_us: UnixUs | None = None
    notes: str | None = Field(default=None, max_length=20_000)


class IncidentQuery(Model):
    """Which incidents; newest first."""

    status: IncidentStatus | None = None
    camera: Id | None = None
    limit: int = Field(default=500, ge=1, le=5000)


class IncidentKey(Model):
    """One incident."""

    id: Id


class IncidentEntry(Model):
    """An incident with its revision."""

    incident: Incident
    revision: int


class IncidentList(Model):
    """An answer to `IncidentQuery`."""

    incidents: tuple[IncidentEntry, ...]


class IncidentUpdate(Partial):
    """A change to one incident."""

    id: Id
    patch: IncidentPatch
    revision: int | None = None
