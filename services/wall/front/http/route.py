"""A row of the routes table, and a request held against its row.

A `Route` describes a method on a path, for aiohttp, the permission check and OpenAPI. Its handler gets a
`RoutedRequest`, which parses body and query into the types that the route declares. This module knows nothing of the
server's parts: `services.wall.front.context` derives the front's own request and adds them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final, Generic, TypeVar

from aiohttp import hdrs, web
from pydantic import BaseModel, ValidationError

from services.contracts.errors import NotFoundError
from services.contracts.models import takes_several
from services.contracts.permissions import Actor, Permission
from services.contracts.subjects import is_id
from services.wall.front.http.errors import (
    BadRequestError,
    FieldError,
    FieldsError,
    PreconditionFailedError,
    TooLargeError,
    UnsupportedTypeError,
)

M = TypeVar("M", bound=BaseModel)
R = TypeVar("R", bound="RoutedRequest")

JSON: Final = "application/json"
BODY_SECONDS: Final = 30.0
COMPRESS_BYTES: Final = 4096


@dataclass(frozen=True)
class Answer:
    """One status that a route answers with."""

    text: str
    media_type: str = ""
    """Empty: no body."""
    model: type[BaseModel] | None = None
    headers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Route(Generic[R]):
    """One method on one path."""

    method: str
    path: str
    handler: Callable[[R], Awaitable[web.StreamResponse]]
    permission: Permission | None
    """None: anybody, signed in or not."""
    summary: str
    answers: Mapping[int, Answer]
    """By status: the answers besides refusals."""
    refusals: tuple[int, ...] = ()
    """The statuses of problem details, besides those every route may give (400, 401, 403, 421, 429, 500, 503)."""
    query: type[BaseModel] | None = None
    body: Mapping[str, type[BaseModel] | None] = field(default_factory=dict)
    """Media type → model; None where it is not JSON. Empty: the route takes no body."""
    max_body_bytes: int = 256 * 1024
    streamed: bool = False
    """The answer never ends by itself: HEAD makes no sense."""
    cross_origin: bool = False
    """Players on other sites' pages may use it (CORS), as far as `Guard` lets them."""


@dataclass(frozen=True)
class RoutedRequest:
    """One request on its way through the handler of ``route``."""

    raw: web.Request
    """aiohttp's."""
    actor: Actor
    route: Route[Any]

    @property
    def is_head(self) -> bool:
        """Whether only the headers are asked for: nothing is made or handed out, so nothing is audited."""
        return self.raw.method == hdrs.METH_HEAD

    def path_id(self, name: str) -> str:
        """The id at ``{name}`` of the path; raises `NotFoundError` where it cannot be one."""
        text = self.raw.match_info[name]
        if not is_id(text):
            raise NotFoundError(f"there is no {name} {text!r}")
        return text

    def query(self, model: type[M]) -> M:
        """The query, as the model that the route declares; raises `FieldsError`."""
        if model is not self.route.query:
            raise AssertionError(f"{self.route.path} declares {self.route.query}, not {model}")
        values: dict[str, Any] = {}
        for name, declared in model.model_fields.items():
            key = declared.alias or name
            if key in self.raw.query:
                many = takes_several(declared.annotation)
                values[key] = self.raw.query.getall(key) if many else self.raw.query[key]
        try:
            return model.model_validate(values)
        except ValidationError as error:
            raise fields_error(error) from error

    def body_type(self) -> str:
        """The body's media type, held against the route; raises `UnsupportedTypeError`."""
        coding = self.raw.headers.get(hdrs.CONTENT_ENCODING, "identity").strip().lower()
        if coding not in ("", "identity"):
            raise UnsupportedTypeError(
                f"the body must not be encoded, and is {coding}", headers={hdrs.ACCEPT_ENCODING: "identity"}
            )
        given = self.raw.content_type if hdrs.CONTENT_TYPE in self.raw.headers else ""
        if given not in self.route.body:
            raise UnsupportedTypeError(
                f"the body must be {' or '.join(self.route.body)}, not {given or 'without a Content-Type'}",
                headers={f"Accept-{'Patch' if self.route.method == 'PATCH' else 'Post'}": ", ".join(self.route.body)},
            )
        return given

    async def body(self) -> bytes:
        """The whole body; raises `TooLargeError`, or `BadRequestError` where it does not come."""
        limit = self.route.max_body_bytes
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(BODY_SECONDS):
                async for chunk in self.raw.content.iter_any():
                    size += len(chunk)
                    if size > limit:
                        raise TooLargeError(f"the body is larger than the {limit} bytes that this path takes")
                    chunks.append(chunk)
        except TimeoutError as error:
            raise BadRequestError(f"the body did not come within {BODY_SECONDS:g} s") from error
        except web.RequestPayloadError as error:
            raise BadRequestError(f"the body cannot be read: {error}") from error
        return b"".join(chunks)

    async def text(self) -> str:
        """The whole body as UTF-8; raises `BadRequestError`."""
        try:
            return (await self.body()).decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise BadRequestError("the body is not UTF-8") from error

    async def json(self, model: type[M]) -> M:
        """The body as ``model``; raises `BadRequestError` where it is no JSON, `FieldsError` where fields are wrong."""
        data = await self.body()
        try:
            return model.model_validate_json(data)
        except ValidationError as error:
            if any(problem["type"] == "json_invalid" for problem in error.errors()):
                raise BadRequestError(f"the body is not JSON: {error.errors()[0]['msg']}") from error
            raise fields_error(error) from error

    def expected_revision(self) -> int | None:
        """The revision that ``If-Match`` names; None where any will do. Raises `PreconditionFailedError`."""
        given = self.raw.headers.get(hdrs.IF_MATCH, "*").strip()
        if given == "*":
            return None
        number = parse_number(given.strip('"'))
        if number is None:
            raise PreconditionFailedError(f"If-Match must be the ETag of an earlier answer, not {given}")
        return number


def parse_number(text: str) -> int | None:
    """A number in a header; None where it is none, or has more than 18 digits."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 18 else None


def fields_error(error: ValidationError) -> FieldsError:
    """A validation error as the fields that it is about."""
    return FieldsError(
        [
            FieldError(".".join(str(part) for part in e["loc"]), e["msg"].removeprefix("Value error, "))
            for e in error.errors()
        ]
    )


def json_response(body: BaseModel, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """``body`` as JSON, under its own field names."""
    data = body.model_dump_json(by_alias=True).encode()
    response = web.Response(status=status, body=data, content_type=JSON, headers=headers)
    if len(data) > COMPRESS_BYTES:
        response.enable_compression()  # where the client takes it
    return response


def revision_response(body: BaseModel, revision: int, *, created_at: str = "") -> web.Response:
    """What the registry keeps as JSON, with its revision as ``ETag``; at the path ``created_at`` where it is new."""
    headers: dict[str, str] = {hdrs.ETAG: f'"{revision}"'}
    if created_at:
        return json_response(body, status=201, headers={**headers, hdrs.LOCATION: created_at})
    return json_response(body, headers=headers)


def tagged_response(request: web.Request, body: bytes) -> web.Response:
    """JSON under an ``ETag`` of its bytes; 304 where the client has it (RFC 9110, 13.1.2)."""
    etag = f'"{blake2b(body, digest_size=16).hexdigest()}"'
    headers = {hdrs.ETAG: etag, hdrs.CACHE_CONTROL: "no-cache, private"}
    given = [each.strip().removeprefix("W/") for each in request.headers.get(hdrs.IF_NONE_MATCH, "").split(",")]
    if etag in given:
        return web.Response(status=304, headers=headers)
    response = web.Response(body=body, content_type=JSON, headers=headers)
    if len(body) > COMPRESS_BYTES:
        response.enable_compression()
    return response
