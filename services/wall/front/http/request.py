"""What a handler gets: the front, the request, who asks, and the request's parts already held against the route."""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from services.contracts.errors import NotFoundError
from services.contracts.models import Camera
from services.contracts.permissions import Actor
from services.contracts.subjects import is_id
from services.wall.front.http.errors import (
    BadRequestError,
    FieldError,
    FieldsError,
    TooLargeError,
    UnsupportedTypeError,
)

if TYPE_CHECKING:
    from services.wall.front.context import Front
    from services.wall.front.http.route import Route

M = TypeVar("M", bound=BaseModel)
BODY_SECONDS: Final = 30.0


def fields_error(error: ValidationError) -> FieldsError:
    """A validation error as the fields that it is about."""
    return FieldsError(
        [
            FieldError(".".join(str(part) for part in e["loc"]), e["msg"].removeprefix("Value error, "))
            for e in error.errors()
        ]
    )


@dataclass(frozen=True)
class Call:
    """One request on its way through a handler."""

    front: "Front"
    request: web.Request
    actor: Actor
    route: "Route"

    def part(self, name: str) -> str:
        """A part of the path that is an id; raises `NotFoundError` where it cannot be one."""
        text = self.request.match_info[name]
        if not is_id(text):
            raise NotFoundError(f"there is no {name} {text!r}")
        return text

    def camera(self) -> Camera:
        """The camera that the path names; raises `NotFoundError`."""
        return self.front.camera(self.part("camera"))

    def query(self, model: type[M]) -> M:
        """The query, as the model that the route declares; raises `FieldsError`."""
        if model is not self.route.query:
            raise AssertionError(f"{self.route.path} declares {self.route.query}, not {model}")
        values: dict[str, Any] = {}
        for name, field in model.model_fields.items():
            key = field.alias or name
            if key in self.request.query:
                many = str(field.annotation).startswith(("tuple", "list"))
                values[key] = self.request.query.getall(key) if many else self.request.query[key]
        try:
            return model.model_validate(values)
        except ValidationError as error:
            raise fields_error(error) from error

    def body_type(self) -> str:
        """The body's media type, held against the route; raises `UnsupportedTypeError`."""
        given = self.request.content_type if "Content-Type" in self.request.headers else ""
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
                async for chunk in self.request.content.iter_any():
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
        """The body as ``model``; raises `BadRequestError` where it is no JSON, `FieldsError` where it is another."""
        data = await self.body()
        try:
            return model.model_validate_json(data)
        except ValidationError as error:
            if any(problem["type"] == "json_invalid" for problem in error.errors()):
                raise BadRequestError(f"the body is not JSON: {error.errors()[0]['msg']}") from error
            raise fields_error(error) from error
