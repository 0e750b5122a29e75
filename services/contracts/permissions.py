"""Who may do what. Every HTTP route and RPC endpoint declares the role it needs; only this module compares."""

from enum import StrEnum
from typing import Final, NamedTuple

from services.contracts.errors import ForbiddenError


class Role(StrEnum):
    """The role of a person or a program; `_GRANTS` says which roles include others."""

    VIEWER = "viewer"
    AGENCY = "agency"
    OPERATOR = "operator"
    SUPERVISOR = "supervisor"
    ADMIN = "admin"


_GRANTS: Final[dict[Role, frozenset[Role]]] = {
    Role.VIEWER: frozenset({Role.VIEWER}),
    Role.AGENCY: frozenset({Role.VIEWER, Role.AGENCY}),
    Role.OPERATOR: frozenset({Role.VIEWER, Role.OPERATOR}),
    Role.SUPERVISOR: frozenset({Role.VIEWER, Role.OPERATOR, Role.SUPERVISOR}),
    Role.ADMIN: frozenset(Role),
}


class Actor(NamedTuple):
    """The person, program or service behind a request."""

    name: str
    role: Role
    session: str = ""
    """Id of the sign-in (`services.contracts.accounts.SignIn`); empty: a service, or the machine's own user."""
    address: str = ""
    """Where the request came from, as the front sees it."""

    def may(self, permission: Role) -> bool:
        """Whether this actor holds ``permission``."""
        return permission in _GRANTS[self.role]

    def require(self, permission: Role) -> None:
        """Raises `ForbiddenError` where this actor does not hold ``permission``."""
        if not self.may(permission):
            raise ForbiddenError(
                f"this needs the permission '{permission}', and {self.name} has the role '{self.role}'; "
                "ask an administrator"
            )


SYSTEM: Final = Actor("system", Role.ADMIN)
"""A service that acts on its own."""
