"""``/api/v1/openapi.json``: OpenAPI 3.1, generated from the routes table and the models."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

import services
from services.contracts.permissions import permission_name
from services.contracts.subjects import ID_PATTERN
from services.wall.front.http.problems import CONTENT_TYPE, Problem
from services.wall.front.http.route import JSON, Answer, Route

_REF: Final = "#/components/schemas/{model}"
_PART: Final = re.compile(r"{(\w+)}")
_REFUSALS: Final = {
    400: "The request cannot be read.",
    401: "Not signed in, or the credentials are wrong.",
    403: "Not allowed.",
    404: "There is no such thing.",
    406: "The offer cannot be answered, or the answer would not be accepted.",
    409: "It exists already, was changed meanwhile, or is not live just now.",
    412: "If-Match names another version.",
    413: "The body is too large.",
    415: "The body's type is not taken.",
    416: "The range is empty.",
    421: "The Host is not a name of this wall.",
    422: "The input cannot be accepted; errors names each field.",
    426: "This path speaks WebSocket.",
    429: "Too many wrong attempts.",
    500: "The wall failed.",
    502: "A frame or a service's answer cannot be used.",
    503: "The service that answers this is not available; see Retry-After.",
}
EVERYWHERE: Final = (400, 403, 421, 500)
SIGNED_IN: Final = (401, 429, 503)


def refusals(route: Route[Any]) -> tuple[int, ...]:
    """Every status of problem details that ``route`` may answer with."""
    body = (413, 415) if route.body else ()
    invalid = (422,) if route.query or any(route.body.values()) else ()
    parts = (404,) if "{" in route.path else ()
    changed_meanwhile = (409,) if parts and route.method not in ("GET", "OPTIONS") else ()
    signed_in = SIGNED_IN if route.permission else ()
    return tuple(sorted({*EVERYWHERE, *signed_in, *body, *invalid, *parts, *changed_meanwhile, *route.refusals}))


Mode = Literal["validation", "serialization"]
Schemas = Mapping[Any, dict[str, Any]]
"""(model, `Mode`): as it is taken (validation) or given (serialization) → its reference."""


def document(routes: Iterable[Route[Any]], *, cookie: str) -> dict[str, Any]:
    """The OpenAPI document of ``routes``; ``cookie`` is the name of the one that signs a browser in."""
    routes = list(routes)
    schemas, definitions = models_json_schema(_models(routes), ref_template=_REF)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas, definitions["$defs"])
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Pantau wall",
            "version": services.__version__,
            "description": "Times are RFC 3339 in queries and Unix microseconds (UTC) in fields named *_us. "
            "Every failure is problem details (RFC 9457). docs/ref/http.md says more.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": definitions["$defs"],
            "securitySchemes": {
                "basic": {"type": "http", "scheme": "basic"},
                "bearer": {"type": "http", "scheme": "bearer"},
                "cookie": {"type": "apiKey", "in": "cookie", "name": cookie},
            },
        },
    }


def _models(routes: Iterable[Route[Any]]) -> list[tuple[type[BaseModel], Mode]]:
    found: dict[tuple[type[BaseModel], Mode], None] = {(Problem, "serialization"): None}
    for route in routes:
        taken = [route.query, *route.body.values()]
        given = [answer.model for answer in route.answers.values()]
        found |= {(model, "validation"): None for model in taken if model}
        found |= {(model, "serialization"): None for model in given if model}
    return list(found)


def _operation(route: Route[Any], schemas: Schemas, definitions: Mapping[str, Any]) -> dict[str, Any]:
    problem = {CONTENT_TYPE: {"schema": schemas[Problem, "serialization"]}}
    operation: dict[str, Any] = {
        "operationId": f"{route.handler.__module__.rpartition('.')[2]}_{route.handler.__name__}",
        "summary": route.summary,
        "parameters": _path_parameters(route.path),
        "responses": {str(status): _answer(answer, schemas) for status, answer in route.answers.items()}
        | {
            str(status): {"description": _REFUSALS[status], "content": problem}
            for status in refusals(route)
            if status not in route.answers
        },
        "security": [{"basic": []}, {"bearer": []}, {"cookie": []}] if route.permission else [],
    }
    if route.query:
        reference = schemas[route.query, "validation"]["$ref"]
        operation["parameters"] += _query_parameters(definitions[reference.rpartition("/")[2]])
    if route.permission:
        operation["x-permission"] = permission_name(route.permission)
    if route.body:
        content = {
            kind: {"schema": schemas[model, "validation"] if model else {"type": "string"}}
            for kind, model in route.body.items()
        }
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _path_parameters(path: str) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string"} if name == "name" else {"type": "string", "pattern": ID_PATTERN},
        }
        for name in _PART.findall(path)
    ]


def _query_parameters(schema: Mapping[str, Any]) -> list[dict[str, Any]]:
    required = schema.get("required", [])
    return [
        {
            "name": name,
            "in": "query",
            "required": name in required,
            "description": parameter.get("description", ""),
            "schema": {key: value for key, value in parameter.items() if key not in ("description", "title")},
        }
        for name, parameter in schema["properties"].items()
    ]


def _answer(answer: Answer, schemas: Schemas) -> dict[str, Any]:
    result: dict[str, Any] = {"description": answer.text}
    if answer.media_type:
        plain = {"type": "object" if answer.media_type == JSON else "string"}
        schema = schemas[answer.model, "serialization"] if answer.model else plain
        result["content"] = {answer.media_type: {"schema": schema}}
    if answer.headers:
        result["headers"] = {name: {"schema": {"type": "string"}} for name in answer.headers}
    return result
