"""``/api/v1/workers`` and ``/api/v1/machines``: who reads and records cameras, and emptying or retiring one."""

from typing import get_args

from aiohttp import web
from pydantic import ValidationError

from services.contracts import subjects
from services.contracts.errors import NotFoundError
from services.contracts.workers import Order, OrderedRole, WorkerOrderRequest, WorkersList, WorkersQuery
from services.mesh.rpc import call as ask
from services.wall.front.context import FrontRequest
from services.wall.front.http.route import json_response


async def list_workers(request: FrontRequest) -> web.Response:
    """Ingest workers and recorders, by name."""
    answer = await ask(request.front.bus, _endpoint(request, "list"), WorkersQuery(), WorkersList, actor=request.actor)
    return json_response(answer)


async def drain_worker(request: FrontRequest) -> web.Response:
    """It gets nothing new, and gives its cameras to others."""
    return await _order_worker(request, "drain")


async def undrain_worker(request: FrontRequest) -> web.Response:
    """Back to work, also where it was retired."""
    return await _order_worker(request, None)


async def retire_worker(request: FrontRequest) -> web.Response:
    """Out of service for good; refused while it holds cameras."""
    return await _order_worker(request, "retire")


async def drain_machine(request: FrontRequest) -> web.Response:
    """All workers on a machine get nothing new, and give their cameras to others."""
    return await _order_machine(request, "drain")


async def undrain_machine(request: FrontRequest) -> web.Response:
    """All workers on a machine are back to work."""
    return await _order_machine(request, None)


async def retire_machine(request: FrontRequest) -> web.Response:
    """All workers on a machine are out of service for good; refused while one holds cameras."""
    return await _order_machine(request, "retire")


async def _order_worker(request: FrontRequest, order: Order | None) -> web.Response:
    role = request.raw.match_info["role"]
    if role not in get_args(OrderedRole):
        raise NotFoundError(f"there is no role {role!r} that holds cameras")
    answer = await _order(request, role=role, worker=request.path_id("worker"), order=order)
    if not answer.workers:  # it was silent, and only its order was known
        return web.Response(status=204)
    return json_response(answer.workers[0])


async def _order_machine(request: FrontRequest, order: Order | None) -> web.Response:
    return json_response(await _order(request, machine=request.raw.match_info["machine"], order=order))


async def _order(request: FrontRequest, **given: str | None) -> WorkersList:
    try:
        question = WorkerOrderRequest.model_validate(given)
    except ValidationError as error:
        raise NotFoundError("there is no machine of that name") from error
    return await ask(request.front.bus, _endpoint(request, "order"), question, WorkersList, actor=request.actor)


def _endpoint(request: FrontRequest, verb: str) -> str:
    return subjects.rpc(request.front.home, "registry", f"workers-{verb}")
