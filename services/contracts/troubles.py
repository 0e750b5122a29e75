"""What ails the mesh itself just now, told by those who see it. Nothing of it is kept: who has a trouble repeats it."""

from typing import Literal

from pydantic import Field

from services.contracts.models import Model

TroubleKind = Literal["crash-loop", "unassigned", "overloaded", "audit-full"]


class Trouble(Model):
    """One trouble."""

    kind: TroubleKind
    subject: str
    """Which service or worker; of ``unassigned`` the role that has no room."""
    count: int = 0
    """Of ``unassigned``: cameras. Of ``audit-full``: percent."""
    detail: str = Field(default="", description="A sentence that says what to do.")


class TroubleReport(Model):
    """All that one process sees, every `services.mesh.troubles.TELL_SECONDS` while there is any, and once when not."""

    source: str
    troubles: tuple[Trouble, ...] = ()
