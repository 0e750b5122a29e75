"""Workers as people manage them: lists them, and takes orders to empty or retire one, or all on a machine."""

import re
from collections import Counter

from services.contracts.errors import ConflictError, InvalidInputError, NotFoundError
from services.contracts.events import Audit
from services.contracts.models import Id, WorkerLease
from services.contracts.permissions import Actor
from services.contracts.workers import (
    OVERLOADED,
    OrderedRole,
    WorkerCondition,
    WorkerOrder,
    WorkerOrderRequest,
    WorkersList,
    WorkersQuery,
    WorkerView,
)
from services.mesh.clock import Clock
from services.mesh.event_stream import EventOutbox
from services.mesh.leases import Workers
from services.registry.ledger import Ledgers

ROLES: tuple[OrderedRole, ...] = ("ingest", "recorder")


def ordered(ledgers: Ledgers, role: str, worker: Id, machine: str) -> WorkerOrder | None:
    """What is ordered of a worker: by its own name, or by its machine's."""
    own = ledgers.orders.get(f"{role}.{worker}")
    return own or (ledgers.orders.get(f"machine.{machine}") if machine else None)


class WorkerOrders:
    """Answers the ``workers-*`` questions in every registry; the leader's plans follow the bucket."""

    def __init__(self, *, home: Id, ledgers: Ledgers, workers: Workers, outbox: EventOutbox, clock: Clock) -> None:
        self._home = home
        self._ledgers = ledgers
        self._workers = workers
        self._outbox = outbox
        self._clock = clock

    async def list_workers(self, _query: WorkersQuery, _actor: Actor) -> WorkersList:
        """All workers that hold cameras, are alive, or have an order."""
        return WorkersList(workers=tuple(self._views()))

    async def order(self, request: WorkerOrderRequest, actor: Actor) -> WorkersList:
        """Orders; returns those that it is about.

        Raises `NotFoundError`, and `ConflictError` where one that shall retire still holds cameras.
        """
        about = [view for view in self._views() if _is_about(view, request)]
        if request.machine is not None:
            key = f"machine.{request.machine}"
        elif request.role is not None and request.worker is not None:
            key = f"{request.role}.{request.worker}"
        else:
            raise InvalidInputError("an order names a role and a worker, or a machine")
        if not about and self._ledgers.orders.get(key) is None:
            raise NotFoundError(f"there is no {'machine' if request.machine else 'worker'} {key.partition('.')[2]!r}")
        if request.order == "retire" and (holding := [view for view in about if view.cameras]):
            held = ", ".join(f"{view.worker} {view.cameras}" for view in holding)
            raise ConflictError(f"still holds cameras ({held}): drain it first, and retire it when it is drained")
        if request.order is None:
            await self._ledgers.orders.delete(key, 0)
        else:
            await self._ledgers.orders.put(
                key, WorkerOrder(order=request.order, actor=actor.name, at_us=self._clock.now_us())
            )
        self._audit(request, key, actor)
        return WorkersList(workers=tuple(view for view in self._views() if _is_about(view, request)))

    def _audit(self, request: WorkerOrderRequest, key: str, actor: Actor) -> None:
        target = re.sub(r"[^a-z0-9]+", "-", key.lower()).strip("-")[:63]
        action = f"worker-{request.order or 'undrain'}"
        self._outbox.post(
            Audit.by(
                actor,
                site=self._home,
                at_us=self._clock.now_us(),
                target=target,
                action=action,
                detail={"of": key},
            )
        )

    def _views(self) -> list[WorkerView]:
        views = []
        for role in ROLES:
            held = self._held(role)
            alive = {lease.worker: lease for lease in self._workers.alive(role)}
            told = {key.partition(".")[2] for key in self._ledgers.orders.entries if key.partition(".")[0] == role}
            views += [
                self._view(role, name, alive.get(name), held[name])
                for name in sorted(alive.keys() | held.keys() | told)
            ]
        return views

    def _held(self, role: OrderedRole) -> Counter[Id]:
        held: Counter[Id] = Counter()
        for key, (assignment, _) in self._ledgers.assignments.entries.items():
            if key.partition(".")[0] == role:
                held.update({*assignment.workers, *assignment.homes})
        return held

    def _view(self, role: OrderedRole, name: Id, lease: WorkerLease | None, cameras: int) -> WorkerView:
        machine = lease.machine if lease else ""
        order = ordered(self._ledgers, role, name, machine)
        return WorkerView(
            role=role,
            worker=name,
            machine=machine,
            state=_condition(order, lease, cameras),
            wanted=order.order if order else "",
            cameras=cameras,
            capacity=lease.capacity if lease else 0,
            load=lease.load if lease else 0.0,
            overloaded=lease.detail.get(OVERLOADED, "") if lease else "",
        )


def _condition(order: WorkerOrder | None, lease: WorkerLease | None, cameras: int) -> WorkerCondition:
    if order is not None and not cameras:
        return "retired" if order.order == "retire" else "drained"
    if lease is None:
        return "silent"
    if order is not None:
        return "draining"
    return "stopping" if lease.draining else "active"


def _is_about(view: WorkerView, request: WorkerOrderRequest) -> bool:
    if request.machine is not None:
        return view.machine == request.machine
    return (view.role, view.worker) == (request.role, request.worker)
