"""What the registry is asked about incidents."""

from typing import Any, Self

import msgpack
from pydantic import Field, model_validator

from services.mesh.models import Id, Incident, IncidentStatus, Model


class IncidentInput(Model):
    """An incident to be opened."""

    title: str = Field(min_length=1, max_length=200)
    cameras: tuple[Id, ...] = Field(min_length=1, max_length=1000)
    from_us: int = Field(ge=0)
    to_us: int | None = Field(default=None, ge=0)
    """None: still going on."""
    notes: str = Field(default="", max_length=20_000)


class IncidentPatch(Model):
    """The fields that change; what is not given stays. ``to_us: null`` means that it still goes on."""

    title: str | None = Field(default=None, min_length=1, max_length=200)
    cameras: tuple[Id, ...] | None = Field(default=None, min_length=1, max_length=1000)
    from_us: int | None = Field(default=None, ge=0)
    to_us: int | None = Field(default=None, ge=0)
    notes: str | None = Field(default=None, max_length=20_000)

    @model_validator(mode="after")
    def _null_only_where_it_means_something(self) -> Self:
        for name in self.model_fields_set - {"to_us"}:
            if getattr(self, name) is None:
                raise ValueError(f"{name} cannot be null; leave it out to keep it")
        return self

    def given(self) -> dict[str, Any]:
        """The given fields alone."""
        return {name: getattr(self, name) for name in self.model_fields_set}

    def pack(self) -> bytes:
        """See `Model.pack`; what was not given is not sent."""
        packed: bytes = msgpack.packb(self.model_dump(mode="json", exclude_unset=True))
        return packed


class IncidentQuery(Model):
    """Which incidents; newest first."""

    status: IncidentStatus | None = None
    camera: Id | None = None
    limit: int = Field(default=500, ge=1, le=5000)


class IncidentKey(Model):
    """One incident."""

    id: Id


class IncidentEntry(Model):
    """An incident as it is kept."""

    incident: Incident
    revision: int


class IncidentList(Model):
    """An answer to `IncidentQuery`."""

    incidents: tuple[IncidentEntry, ...]


class IncidentUpdate(Model):
    """A change to one incident."""

    id: Id
    patch: IncidentPatch
    revision: int | None = None

    def pack(self) -> bytes:
        """See `Model.pack`; of the patch only what was given is sent."""
        body = {
            "id": self.id,
            "patch": self.patch.model_dump(mode="json", exclude_unset=True),
            "revision": self.revision,
        }
        packed: bytes = msgpack.packb(body)
        return packed
