"""A row of the routes table: all that is said about a path, to aiohttp, to the permission check and to OpenAPI."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web
from pydantic import BaseModel

from services.contracts.permissions import Role
from services.wall.front.http.request import Call

Handler = Callable[[Call], Awaitable[web.StreamResponse]]
JSON: Final = "application/json"


@dataclass(frozen=True)
class Answer:
    """One status that a route answers with."""

    text: str
    media_type: str = ""
    """Empty: no body."""
    model: type[BaseModel] | None = None
    headers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Route:
    """One method on one path."""

    method: str
    path: str
    handler: Handler
    permission: Role | None
    """None: anybody, signed in or not."""
    summary: str
    answers: Mapping[int, Answer]
    """What it answers with when all is well."""
    refusals: tuple[int, ...] = ()
    """The statuses of problem details, besides those every route may give (401, 403, 421, 429, 500, 503)."""
    query: type[BaseModel] | None = None
    body: Mapping[str, type[BaseModel] | None] = field(default_factory=dict)
    """Media type → model; None where it is not JSON. Empty: the route takes no body."""
    max_body_bytes: int = 256 * 1024
    streamed: bool = False
    """The answer has no length: HEAD makes no sense."""
    cross_origin: bool = False
    """Players on other sites' pages may use it (CORS), as far as `Guard` lets them."""
