"""``/api/v1/workers`` and ``/api/v1/machines``: who reads and records cameras, and emptying or retiring one."""

from collections.abc import Awaitable, Callable
from typing import get_args

from aiohttp import web
from pydantic import ValidationError

from services.contracts import subjects
from services.contracts.errors import NotFoundError
from services.contracts.workers import Order, OrderedRole, WorkerOrderRequest, WorkersList, WorkersQuery
from services.mesh.rpc import call as ask
from services.wall.front.context import FrontRequest
from services.wall.front.http.route import json_response

Handler = Callable[[FrontRequest], Awaitable[web.Response]]


async def list_workers(request: FrontRequest) -> web.Response:
    """Ingest workers and recorders, by name."""
    answer = await ask(request.front.bus, _endpoint(request, "list"), WorkersQuery(), WorkersList, actor=request.actor)
    return json_response(answer)


def order_worker(order: Order | None) -> Handler:
    """A handler that orders it of one worker; None: back to work."""

    async def handle(request: FrontRequest) -> web.Response:
        role = request.raw.match_info["role"]
        if role not in get_args(OrderedRole):
            raise NotFoundError(f"there is no role {role!r} that holds cameras")
        (worker,) = (await _order(request, role=role, worker=request.path_id("worker"), order=order)).workers or (None,)
        if worker is None:  # it was silent, and only its order was known
            return web.Response(status=204)
        return json_response(worker)

    return handle


def order_machine(order: Order | None) -> Handler:
    """A handler that orders it of all workers on a machine."""

    async def handle(request: FrontRequest) -> web.Response:
        return json_response(await _order(request, machine=request.raw.match_info["machine"], order=order))

    return handle


async def _order(request: FrontRequest, **given: str | None) -> WorkersList:
    try:
        question = WorkerOrderRequest.model_validate(given)
    except ValidationError as error:
        raise NotFoundError("there is no machine of that name") from error
    return await ask(request.front.bus, _endpoint(request, "order"), question, WorkersList, actor=request.actor)


def _endpoint(request: FrontRequest, verb: str) -> str:
    return subjects.rpc(request.front.home, "registry", f"workers-{verb}")
