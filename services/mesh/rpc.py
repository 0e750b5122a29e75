"""Questions between services: NATS micro endpoints with typed requests and replies.

Who asks travels in a header that only services can set (the bus's accounts keep others out); an endpoint declares the
permission it needs and the actor is held against it here, before the handler runs.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote, unquote

import msgpack
import nats.micro
from nats.micro.request import Request
from nats.micro.service import EndpointConfig, Service
from pydantic import ValidationError

import services
from services.contracts import subjects
from services.contracts.errors import (
    MAX_PEER_CHARS,
    InvalidInputError,
    PantauError,
    UnavailableError,
    error_from_code,
)
from services.contracts.models import Model
from services.contracts.permissions import SYSTEM, Actor, Permission, Right, Role, permission_name
from services.contracts.redact import redact
from services.mesh.bus import Bus, BusMessage, is_nobody_there
from services.mesh.clock import Clock, SystemClock, timeout
from services.mesh.log import get_logger

log = get_logger()
RpcService = Service
"""What `serve` returns: ``await service.stop()`` ends it."""
Q = TypeVar("Q", bound=Model)
R = TypeVar("R", bound=Model)

ERROR: Final = "Nats-Service-Error"
ERROR_CODE: Final = "Nats-Service-Error-Code"
_ACTOR: Final = "Pantau-Actor"
_SESSION: Final = "Pantau-Session"
_ADDRESS: Final = "Pantau-Address"
_RIGHTS: Final = "Pantau-Rights"
_SCOPE: Final = "Pantau-Scope"
_CONCURRENT: Final = 64


class Nothing(Model):
    """A question or an answer with nothing in it."""


@dataclass(frozen=True)
class Endpoint(Generic[Q]):
    """One question that a service answers."""

    name: str
    request: type[Q]
    handler: Callable[[Q, Actor], Awaitable[Model]]
    permission: Permission
    broadcast: bool = False
    """Every instance answers, not just one of them; the asker uses `gather`."""
    subject: str = ""
    """Where it is asked, with wildcards; default: the service's own."""
    fit: Callable[[Q, Actor, str], tuple[Q, Actor]] | None = None
    """With ``subject``: the question and who asks, as the subject that was asked allows them."""


async def serve(
    bus: Bus,
    tasks: asyncio.TaskGroup,
    *,
    home: str,
    service: str,
    endpoints: Iterable[Endpoint[Any]],
    worker: str | None = None,
) -> RpcService:
    """Answers on ``pantau.v1.<home>.rpc.<service>[.<worker>].<endpoint>`` until the returned service is stopped.

    With ``worker`` the subjects are this one instance's own; without, instances share the questions. Handlers run as
    tasks of ``tasks``, at most `_CONCURRENT` at once, so that a slow one delays nobody.
    """
    micro = await nats.micro.add_service(
        bus.client,
        name=service,
        version=services.__version__,
        description=f"Pantau {service}",
        metadata={"worker": worker or ""},
    )
    limit = asyncio.Semaphore(_CONCURRENT)
    prefix = f"{service}.{worker}" if worker else service
    for endpoint in endpoints:
        await micro.add_endpoint(
            EndpointConfig(
                name=endpoint.name,
                subject=endpoint.subject or subjects.rpc(home, prefix, endpoint.name),
                queue_group=micro.id if endpoint.broadcast else "q",
                handler=_spawning(endpoint, tasks, limit),
                metadata={"permission": permission_name(endpoint.permission)},
            )
        )
    return micro


def _spawning(
    endpoint: Endpoint[Any], tasks: asyncio.TaskGroup, limit: asyncio.Semaphore
) -> Callable[[Request], Awaitable[None]]:
    async def accept(request: Request) -> None:
        await limit.acquire()
        task = tasks.create_task(_answer(endpoint, request), name=f"rpc {endpoint.name}")
        task.add_done_callback(lambda _: limit.release())

    return accept


async def _answer(endpoint: Endpoint[Any], request: Request) -> None:
    try:
        actor = _actor_of(request.headers)
        if endpoint.fit is None:
            actor.require(endpoint.permission)
        try:
            question = endpoint.request.unpack(request.data or _EMPTY)
        except (ValidationError, ValueError) as error:
            raise InvalidInputError(explain(error)) from error
        if endpoint.fit is not None:
            question, actor = endpoint.fit(question, actor, request.subject)
            actor.require(endpoint.permission)
        reply = await endpoint.handler(question, actor)
    except PantauError as error:
        await request.respond_error(error.code, quote(redact(error.message), safe=_HEADER_SAFE))
    except Exception as error:
        log.exception("rpc.failed", endpoint=endpoint.name, error=error)
        await request.respond_error("internal", f"{endpoint.name} failed; see the log of the service")
    else:
        await request.respond(reply.pack())


_EMPTY: Final[bytes] = msgpack.packb({})
_HEADER_SAFE: Final = " !#$&'()*+,/:;=?@[]\"<>{}|~^`"


def explain(error: ValueError) -> str:
    """A validation error in one line that names each field and says what is wrong with it, up to `MAX_PEER_CHARS`."""
    if isinstance(error, ValidationError):
        fields = (f"{'.'.join(str(part) for part in e['loc'])}: {e['msg']}" for e in error.errors())
        return "; ".join(fields)[:MAX_PEER_CHARS]
    return str(error)[:MAX_PEER_CHARS]


def _actor_of(headers: dict[str, str] | None) -> Actor:
    given = headers or {}
    role, _, name = given.get(_ACTOR, "").partition(" ")
    if role not in set(Role):
        return Actor("nobody", Role.VIEWER)
    rights, scope = _rights_in(given.get(_RIGHTS)), _rights_in(given.get(_SCOPE))
    return Actor(unquote(name), Role(role), given.get(_SESSION, ""), unquote(given.get(_ADDRESS, "")), rights, scope)


def _rights_in(told: str | None) -> frozenset[Right] | None:
    return None if told is None else frozenset(right for right in Right if right in told.split())


def _headers(actor: Actor) -> dict[str, str]:
    headers = {_ACTOR: f"{actor.role} {quote(actor.name)}"}
    if actor.session:
        headers[_SESSION] = actor.session
    if actor.address:
        headers[_ADDRESS] = quote(actor.address)
    for header, rights in ((_RIGHTS, actor.rights), (_SCOPE, actor.scope)):
        if rights is not None:
            headers[header] = " ".join(sorted(rights)) or "none"
    return headers


async def ask(
    bus: Bus, subject: str, question: Model, *, actor: Actor = SYSTEM, timeout_seconds: float = 5.0
) -> BusMessage:
    """Asks one instance; returns its answer unread, or raises `UnavailableError`."""
    return await bus.request(subject, question.pack(), timeout_seconds=timeout_seconds, headers=_headers(actor))


def read(message: BusMessage, reply: type[R]) -> R:
    """Reads an answer; raises the `PantauError` that it is, or `UnavailableError` where it cannot be read."""
    if message.headers and (code := message.headers.get(ERROR_CODE)):
        raise error_from_code(code, unquote(message.headers.get(ERROR, "")))
    try:
        return reply.unpack(message.data)
    except (ValidationError, ValueError) as error:
        raise UnavailableError(f"an answer on {message.subject} could not be read: {explain(error)}") from error


async def call(
    bus: Bus, subject: str, question: Model, reply: type[R], *, actor: Actor = SYSTEM, timeout_seconds: float = 5.0
) -> R:
    """Asks one instance; raises the `PantauError` that it answered with, or `UnavailableError`."""
    return read(await ask(bus, subject, question, actor=actor, timeout_seconds=timeout_seconds), reply)


async def gather(
    bus: Bus,
    subject: str,
    question: Model,
    reply: type[R],
    *,
    actor: Actor = SYSTEM,
    expected: int,
    timeout_seconds: float = 2.0,
    clock: Clock | None = None,
) -> list[R]:
    """Asks every instance of a broadcast endpoint; returns when ``expected`` have answered or the time is over.

    Refusals of single instances are left out; the caller sees how many answered.
    """
    answers: list[R] = []
    done = asyncio.Event()

    async def collect(message: BusMessage) -> None:
        if is_nobody_there(message):
            done.set()
            return
        try:
            answers.append(read(message, reply))
        except PantauError as error:
            log.warning("rpc.partial", subject=subject, error=error)
        if len(answers) >= expected:
            done.set()

    inbox = bus.new_inbox()
    subscription = await bus.subscribe(inbox, collect)
    try:
        await bus.publish(subject, question.pack(), reply=inbox, headers=_headers(actor))
        async with timeout(clock or SystemClock(), timeout_seconds):
            await done.wait()
    except TimeoutError:
        pass
    finally:
        await subscription.unsubscribe()
    return answers
