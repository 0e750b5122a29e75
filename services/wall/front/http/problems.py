"""Every failure leaves the front as problem details (RFC 9457), mapped here and nowhere else."""

import time
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web
from pydantic import BaseModel, Field

from services.contracts.errors import PantauError
from services.contracts.redact import redact
from services.mesh.log import get_logger
from services.mesh.metrics import counter, histogram
from services.wall.front.http.errors import FieldsError, FrontError

log = get_logger()
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
CONTENT_TYPE: Final = "application/problem+json"

_requests = counter("front_requests", "HTTP requests answered", "route", "method", "status")
_seconds = histogram(
    "front_seconds", "Time to the end of an answer", "route", buckets=(0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60)
)


class FieldProblem(BaseModel):
    """One field that cannot be accepted."""

    field: str = Field(description="Its path, as in profiles.main.url; empty for the whole.")
    message: str


class Problem(BaseModel):
    """Problem details (RFC 9457). Match on ``code``; ``detail`` is for people."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str
    errors: list[FieldProblem] | None = None


def problem(
    status: int, code: str, detail: str, *, headers: Mapping[str, str] | None = None, errors: Any = None
) -> web.Response:
    """The answer for a failure."""
    printable = detail.encode("utf-8", "backslashreplace").decode()  # a header's bytes need not be UTF-8
    body = Problem(title=_phrase(status), status=status, detail=redact(printable), code=code, errors=errors)
    return web.Response(
        status=status,
        body=body.model_dump_json(exclude_none=True).encode(),
        content_type=CONTENT_TYPE,
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


def _phrase(status: int) -> str:
    return "Unprocessable Content" if status == 422 else HTTPStatus(status).phrase


def of_error(error: PantauError) -> web.Response:
    """The answer for an expected failure."""
    headers = dict(error.headers) if isinstance(error, FrontError) else {}
    if error.retry_after_seconds is not None:
        headers["Retry-After"] = str(error.retry_after_seconds)
    elif error.status in (429, 503):
        headers["Retry-After"] = "1"
    fields = [FieldProblem(**field._asdict()) for field in error.fields] if isinstance(error, FieldsError) else None
    return problem(error.status, error.code, error.message, headers=headers, errors=fields)


def _of_http(error: web.HTTPException) -> web.StreamResponse:
    """aiohttp's own refusals (no such path, wrong method, unreadable request) in the same form."""
    if error.status < 400:
        return web.Response(status=error.status, headers=error.headers)
    details = {
        404: ("not-found", "there is nothing at this path"),
        405: ("method-not-allowed", f"this path takes {error.headers.get('Allow', 'other methods')}"),
        413: ("too-large", "the request is larger than this path takes"),
    }
    code, detail = details.get(error.status, ("bad-request", error.text or error.reason))
    return problem(error.status, code, detail, headers={k: v for k, v in error.headers.items() if k == "Allow"})


@web.middleware
async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Outermost: counts the request and turns what was raised into problem details."""
    started = time.monotonic()
    status = 499  # what is counted when the client leaves before the end
    try:
        response = await _answer(request, handler)
        status = response.status
        return response
    finally:
        resource = request.match_info.route.resource
        route = resource.canonical if resource else "none"
        _requests.labels(route, request.method if route != "none" else "any", status).inc()
        _seconds.labels(route).observe(time.monotonic() - started)


async def _answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except PantauError as error:
        return of_error(error)
    except web.HTTPException as error:
        return _of_http(error)
    except ConnectionError:
        raise  # the client left
    except Exception as error:
        log.exception("front.failed", method=request.method, path=request.path, error=error)
        return problem(500, "internal", "the wall failed on this request; its log says how")
