"""What people save for their walls: for themselves, for everybody, or for the holders of a role."""

from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from services.contracts.models import Id, Model
from services.contracts.permissions import Actor, Role


class Audience(StrEnum):
    """Who sees something that was saved."""

    PERSONAL = "personal"
    SHARED = "shared"
    ROLE = "role"


class SavedItem(Model):
    """Something under a name, with its owner and its audience."""

    id: Id
    name: str = Field(min_length=1, max_length=80)
    audience: Audience = Audience.PERSONAL
    role: Role | None = None
    """Of audience ``role``: those who hold it see this."""
    owner: str = ""
    changed_us: int = 0

    def seen_by(self, actor: Actor) -> bool:
        """Whether ``actor`` may see this."""
        if actor.name == self.owner:
            return True
        if self.audience is Audience.SHARED:
            return actor.may(Role.VIEWER)  # a partner sees what it is granted, and no walls of the city
        return self.audience is Audience.ROLE and self.role is not None and actor.may(self.role)

    @model_validator(mode="after")
    def _role_where_the_audience_is_one(self) -> Self:
        if (self.audience is Audience.ROLE) != (self.role is not None):
            raise ValueError("role is given with the audience 'role', and with no other")
        return self


class SavedKey(Model):
    """One of the things that were saved."""

    id: Id
