"""Partial changes: they name only the fields that change (like RFC 7396, JSON Merge Patch, one level deep)."""

from typing import Any, ClassVar, Self

from pydantic import model_validator

from services.contracts.models import Model


class Partial(Model):
    """A model that sends only the given fields, so that a reader can tell a missing field from a default."""

    def pack(self) -> bytes:
        """The given fields as a msgpack map; raises as `Model.pack` does."""
        return self._packed(exclude_unset=True)


class Patch(Partial):
    """The fields that change; a field that is not given stays."""

    nullable: ClassVar[frozenset[str]] = frozenset()
    """The fields for which null is a value."""

    @model_validator(mode="after")
    def _null_only_where_it_means_something(self) -> Self:
        for name in self.model_fields_set - self.nullable:
            if getattr(self, name) is None:
                raise ValueError(f"{name} cannot be null; leave it out to keep it")
        return self

    def given(self) -> dict[str, Any]:
        """Only the given fields, as values of their models."""
        return {name: getattr(self, name) for name in self.model_fields_set}
