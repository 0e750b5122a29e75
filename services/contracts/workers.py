"""Workers as people manage them: what each does, and orders to empty one or to take it out of service."""

from typing import Final, Literal

from pydantic import Field

from services.contracts.models import Id, Model, WorkerRole

MACHINE_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"
"""A machine's name, as a host's may be."""

OVERLOADED: Final = "overloaded"
"""In the ``detail`` of a worker's lease: why it has more to do than it can; empty where it has not."""

Order = Literal["drain", "retire"]
OrderedRole = Literal["ingest", "recorder"]
"""Roles that hold cameras."""
WorkerCondition = Literal["active", "draining", "drained", "retired", "stopping", "silent"]


class WorkerOrder(Model):
    """What somebody ordered of a worker, or of all on a machine. One entry of the bucket `subjects.ORDERS_BUCKET`."""

    order: Order
    actor: str
    at_us: int


class WorkerOrderRequest(Model):
    """An order, or its end. Names a worker of a role, or a machine."""

    role: OrderedRole | None = None
    worker: Id | None = None
    machine: str | None = Field(default=None, pattern=MACHINE_PATTERN)
    order: Order | None = None
    """None: back to work."""


class WorkersQuery(Model):
    """All workers that hold cameras, or may."""


class WorkerView(Model):
    """One worker."""

    role: WorkerRole
    worker: Id
    machine: str = ""
    """Empty: it is silent, and nobody knows."""
    state: WorkerCondition
    """``draining``: it still holds cameras. ``drained``: it holds none and gets none. ``retired``: for good.
    ``stopping``: it ends by itself. ``silent``: it has no lease and is assigned cameras or has an order."""
    wanted: Literal["", "drain", "retire"] = ""
    """What was ordered of it or of its machine."""
    cameras: int = 0
    """Assigned to it; of a recorder also those that it records again when it is back."""
    capacity: int = 0
    load: float = 0.0
    """Of ingest: share of a core; of a recorder: of its capacity."""
    overloaded: str = ""
    """Why it has more to do than it can; empty: it has not."""


class WorkersList(Model):
    """By role and name."""

    workers: tuple[WorkerView, ...]
