"""Grants: who may do what with which cameras, for which purpose, from when until when. Nothing is allowed without one.

Each role has a grant of its own for every camera (`DEFAULT_GRANTS`), but for agencies. An administrator takes it away
and gives narrower ones. An administrator may do everything.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Final, NamedTuple, Protocol, Self

from pydantic import Field, StringConstraints, model_validator

from services.contracts.accounts import AccountName
from services.contracts.models import Id, Model, PrivacyMask, PrivacyMasks
from services.contracts.permissions import ROLE_RIGHTS, Actor, Right, Role
from services.contracts.requests import Repeatable

Purpose = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]


class CameraFacts(Protocol):
    """What grants ask of a camera."""

    @property
    def id(self) -> str:
        """Its id."""

    @property
    def site(self) -> str:
        """Its owner."""

    @property
    def tags(self) -> tuple[str, ...]:
        """Its tags."""

    @property
    def privacy_masks(self) -> tuple[PrivacyMask, ...]:
        """What not everybody may see of its pictures."""

    @property
    def unmasked_roles(self) -> tuple[Role, ...]:
        """Who sees through its masks, besides administrators."""


class PastCamera(NamedTuple):
    """A camera that the catalogue has no more."""

    id: str
    site: str
    tags: tuple[str, ...] = ()
    privacy_masks: tuple[PrivacyMask, ...] = ()
    unmasked_roles: tuple[Role, ...] = ()


UNMASKED: Final = frozenset({Right.EVIDENCE})
"""Rights to pictures that nobody draws masks in: who may not see through a camera's masks has none of these to it."""


def is_masked(camera: CameraFacts, actor: Actor) -> bool:
    """Whether ``actor`` is to see the camera's pictures with its masks alone. A token for some rights has no role."""
    if not camera.privacy_masks:
        return False
    return actor.scope is not None or not any(actor.may(role) for role in (Role.ADMIN, *camera.unmasked_roles))


def masks_for(camera: CameraFacts, actor: Actor) -> PrivacyMasks:
    """The masks that are drawn in what ``actor`` sees of the camera."""
    return camera.privacy_masks if is_masked(camera, actor) else ()


class GrantInput(Repeatable):
    """A grant to be given, to a role or to an account; of cameras that match all of ``site``, ``tag``, ``camera``."""

    role: Role | None = None
    account: AccountName | None = None
    rights: frozenset[Right] = Field(min_length=1)
    site: Id | None = None
    tag: str | None = Field(default=None, min_length=1, max_length=120)
    camera: Id | None = None
    purpose: Purpose
    from_us: int | None = None
    until_us: int | None = None

    @model_validator(mode="after")
    def _to_somebody_for_some_time(self) -> Self:
        if (self.role is None) == (self.account is None):
            raise ValueError("a grant is given to a role or to an account, to one of the two")
        if self.from_us is not None and self.until_us is not None and self.from_us >= self.until_us:
            raise ValueError("until: must be later than from")
        return self


class Grant(Model):
    """A grant. One without rights takes the role's own away that it has the id of."""

    id: Id
    role: Role | None = None
    account: str | None = None
    rights: frozenset[Right]
    site: Id | None = None
    tag: str | None = None
    camera: Id | None = None
    purpose: str
    from_us: int | None = None
    until_us: int | None = None
    granted_by: str = ""
    granted_us: int = 0

    def is_for(self, actor: Actor, now_us: int) -> bool:
        """Whether it is given to ``actor`` and holds at the time."""
        if not (self.from_us or 0) <= now_us < (self.until_us or now_us + 1):
            return False
        return actor.role is self.role if self.role is not None else actor.name == self.account

    def covers(self, camera: CameraFacts) -> bool:
        """Whether it is for this camera."""
        return (
            self.site in (None, camera.site)
            and self.camera in (None, camera.id)
            and (self.tag is None or self.tag in camera.tags)
        )


class GrantKey(Model):
    """One grant."""

    id: Id


class GrantEntry(Model):
    """A grant with its revision."""

    grant: Grant
    revision: int


DEFAULT_GRANTS: Final[Mapping[str, Grant]] = {
    f"default-{role}": Grant(id=f"default-{role}", role=role, rights=rights, purpose="what the role is for")
    for role, rights in ROLE_RIGHTS.items()
    if rights and role is not Role.ADMIN
}
"""By id."""


class RightsBook:
    """Answers what an actor may do with a camera. `set_grant` keeps it up to date."""

    def __init__(self, grants: Iterable[Grant] = ()) -> None:
        self.grants: dict[str, Grant] = dict(DEFAULT_GRANTS)
        self.changes = 0
        """How often a grant was set."""
        for grant in grants:
            self.set_grant(grant.id, grant)

    def set_grant(self, key: str, grant: Grant | None) -> None:
        """A grant as it is kept; None: it is kept no more, so a role has its own again."""
        self.changes += 1
        kept = grant or DEFAULT_GRANTS.get(key)
        if kept is None:
            self.grants.pop(key, None)
        else:
            self.grants[key] = kept

    def may(self, actor: Actor, right: Right, camera: CameraFacts, now_us: int) -> bool:
        """Whether ``actor`` has ``right`` to ``camera``. Pictures are shown with the masks that `masks_for` names."""
        if actor.scope is not None and right not in actor.scope:
            return False
        if right in UNMASKED and is_masked(camera, actor):
            return False
        if actor.role is Role.ADMIN:
            return True
        return any(right in grant.rights and grant.covers(camera) for grant in self._of(actor, now_us))

    def may_see(self, actor: Actor, camera: CameraFacts, now_us: int) -> bool:
        """Whether ``actor`` has any right to ``camera``: for others it is not there."""
        if actor.role is Role.ADMIN:
            return True
        scope = frozenset(Right) if actor.scope is None else actor.scope
        return any(grant.rights & scope and grant.covers(camera) for grant in self._of(actor, now_us))

    def rights_of(self, actor: Actor, now_us: int) -> frozenset[Right]:
        """The rights that ``actor`` has to some camera."""
        scope = frozenset(Right) if actor.scope is None else actor.scope
        if actor.role is Role.ADMIN:
            return scope
        return scope & frozenset(right for grant in self._of(actor, now_us) for right in grant.rights)

    def next_change_us(self, now_us: int) -> int | None:
        """When the next grant begins or ends by its time; None where none does."""
        times = (time for grant in self.grants.values() for time in (grant.from_us, grant.until_us) if time is not None)
        return min((time for time in times if time > now_us), default=None)

    def _of(self, actor: Actor, now_us: int) -> list[Grant]:
        return [grant for grant in self.grants.values() if grant.is_for(actor, now_us)]
