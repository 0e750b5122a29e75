"""TypeScript types of JSON schemas, as pydantic writes them."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

Schema = Mapping[str, Any]

_PLAIN: Final = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}


def referred(schema: Any, schemas: Mapping[str, Schema], found: dict[str, Schema] | None = None) -> dict[str, Schema]:
    """The named schemas that ``schema`` refers to, and those that they refer to in turn."""
    found = {} if found is None else found
    if isinstance(schema, Mapping):
        if isinstance(reference := schema.get("$ref"), str) and _last(reference) not in found:
            name = _last(reference)
            found[name] = schemas[name]
            referred(schemas[name], schemas, found)
        for value in schema.values():
            referred(value, schemas, found)
    elif isinstance(schema, list):
        for value in schema:
            referred(value, schemas, found)
    return found


def declaration(name: str, schema: Schema) -> str:
    """The exported declaration of a named schema: an interface, or a type; of an enumeration also its values."""
    head = _comment(schema, "")
    name = type_name(name)
    if "enum" in schema:
        values = "".join(f"\n  {json.dumps(value)}," for value in schema["enum"])
        constant = f"{re.sub(r'(?<!^)(?=[A-Z])', '_', name).upper()}_VALUES"
        return (
            f"{head}export const {constant} = [{values}\n] as const;\nexport type {name} = (typeof {constant})[number];"
        )
    if "properties" not in schema and schema.get("type") != "object":
        return f"{head}export type {name} = {expression(schema)};"
    return f"{head}export interface {name} {{\n" + "\n".join(_fields(schema)) + "\n}"


def expression(schema: Schema) -> str:
    """A schema as a type expression."""
    if "$ref" in schema:
        return type_name(_last(schema["$ref"]))
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])
    if members := schema.get("anyOf") or schema.get("oneOf"):
        return " | ".join(dict.fromkeys(expression(member) for member in members))
    kind = schema.get("type")
    if kind == "array":
        item = expression(schema.get("items", {}))
        return f"({item})[]" if "|" in item else f"{item}[]"
    if kind == "object":
        value = expression(schema.get("additionalProperties") or {})
        keys = schema.get("propertyNames", {})
        return f"Partial<Record<{expression(keys)}, {value}>>" if keys else f"Record<string, {value}>"
    return _PLAIN.get(kind, "unknown") if isinstance(kind, str) else "unknown"


def type_name(name: str) -> str:
    """pydantic says ``X-Input`` and ``X-Output`` where what is taken and what is given differ."""
    return name.removesuffix("-Output").replace("-", "")


def _fields(schema: Schema) -> Iterator[str]:
    required = schema.get("required", ())
    for name, field in schema.get("properties", {}).items():
        # A constant tells the members of a union apart: pydantic has a default for it, a writer states it.
        optional = "" if name in required or "const" in field else "?"
        yield f"{_comment(field, '  ')}  {name}{optional}: {expression(field)};"


def _comment(schema: Schema, indent: str) -> str:
    text = " ".join(schema.get("description", "").replace("``", "`").split())
    return f"{indent}/** {text} */\n" if text else ""


def _last(reference: str) -> str:
    return reference.rpartition("/")[2]
