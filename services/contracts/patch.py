"""Changes that name only what changes (in the manner of RFC 7396, JSON Merge Patch, one level deep)."""

from typing import Any, ClassVar, Self

import msgpack
from pydantic import model_validator

from services.contracts.models import Model


class Partial(Model):
    """A model of which only what was given goes on the wire, so that a reader sees what was left out."""

    def pack(self) -> bytes:
        """See `Model.pack`; what was not given is not sent."""
        packed: bytes = msgpack.packb(self.model_dump(mode="json", exclude_unset=True))
        return packed


class Patch(Partial):
    """The fields of a thing that change; what is not given stays."""

    nullable: ClassVar[frozenset[str]] = frozenset()
    """The fields for which null is a value of its own."""

    @model_validator(mode="after")
    def _null_only_where_it_means_something(self) -> Self:
        for name in self.model_fields_set - self.nullable:
            if getattr(self, name) is None:
                raise ValueError(f"{name} cannot be null; leave it out to keep it")
        return self

    def given(self) -> dict[str, Any]:
        """The given fields alone, as values of their models."""
        return {name: getattr(self, name) for name in self.model_fields_set}
