"""Who may do what. Every HTTP route and RPC endpoint declares the permission it needs; only this module and
`services.contracts.rights`, which knows of which cameras, compare."""

from enum import StrEnum
from typing import Final, NamedTuple

from services.contracts.errors import ForbiddenError


class Role(StrEnum):
    """The role of a person or a program; `_INCLUDED` says which roles include others."""

    VIEWER = "viewer"
    AGENCY = "agency"
    OPERATOR = "operator"
    SUPERVISOR = "supervisor"
    ADMIN = "admin"


class Right(StrEnum):
    """What may be done with a camera. Grants give rights (`services.contracts.rights`)."""

    LIVE = "live"
    PLAYBACK = "playback"
    SNAPSHOT = "snapshot"
    CLIP = "clip"
    EVIDENCE = "evidence"
    PTZ = "ptz"
    CATALOGUE = "catalogue"
    """To see that it is there, and how it is."""
    INCIDENTS = "incidents"


Permission = Role | Right | tuple[Role | Right, ...]
"""A role, a right to some camera, or one of several."""

ANYBODY: Final = (Role.VIEWER, Role.AGENCY)
"""Everybody who is signed in."""
FOOTAGE: Final = (Right.PLAYBACK, Right.SNAPSHOT, Right.CLIP, Right.EVIDENCE)
"""The rights that recorders answer for."""

_INCLUDED: Final[dict[Role, frozenset[Role]]] = {
    Role.VIEWER: frozenset({Role.VIEWER}),
    Role.AGENCY: frozenset({Role.AGENCY}),
    Role.OPERATOR: frozenset({Role.VIEWER, Role.OPERATOR}),
    Role.SUPERVISOR: frozenset({Role.VIEWER, Role.OPERATOR, Role.SUPERVISOR}),
    Role.ADMIN: frozenset(Role),
}
_WATCHING: Final = frozenset({Right.LIVE, Right.PLAYBACK, Right.SNAPSHOT, Right.CATALOGUE, Right.INCIDENTS})
ROLE_RIGHTS: Final[dict[Role, frozenset[Right]]] = {
    Role.VIEWER: _WATCHING,
    Role.AGENCY: frozenset(),
    Role.OPERATOR: frozenset(Right),
    Role.SUPERVISOR: frozenset(Right),
    Role.ADMIN: frozenset(Right),
}
"""The rights that a role has to every camera while no administrator has taken that grant away."""


class Actor(NamedTuple):
    """The person, program or service behind a request."""

    name: str
    role: Role
    session: str = ""
    """Id of the sign-in (`services.contracts.accounts.SignIn`); empty: a service, or the machine's own user."""
    address: str = ""
    """Where the request came from, as the front sees it."""
    rights: frozenset[Right] | None = None
    """The rights that it has to some camera, as the front sees it; None: those of its role."""
    scope: frozenset[Right] | None = None
    """Of a program whose token is for these rights alone: it has nothing of its role besides. None: no such bound."""

    def may(self, permission: Permission) -> bool:
        """Whether this actor holds ``permission``; of a right: to some camera."""
        if isinstance(permission, tuple):
            return any(self.may(each) for each in permission)
        if isinstance(permission, Role):
            return permission in _INCLUDED[self.role if self.scope is None else Role.AGENCY]
        if self.scope is not None and permission not in self.scope:
            return False
        return permission in (ROLE_RIGHTS[self.role] if self.rights is None else self.rights)

    def require(self, permission: Permission) -> None:
        """Raises `ForbiddenError` where this actor does not hold ``permission``."""
        if not self.may(permission):
            raise ForbiddenError(
                f"this needs the permission '{permission_name(permission)}', and {self.name} has the role "
                f"'{self.role}'; ask an administrator"
            )


def permission_name(permission: Permission) -> str:
    """As the API's description says it: ``clip|evidence`` where one of several will do."""
    if permission == ANYBODY:
        return "signed-in"
    return "|".join(permission) if isinstance(permission, tuple) else permission.value


SYSTEM: Final = Actor("system", Role.ADMIN)
"""A service that acts on its own."""
