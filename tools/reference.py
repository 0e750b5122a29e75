"""Writes the reference that follows from the code: docs/ref/{settings,commands,nats,rights}.md, docs/asyncapi.yaml,
tables in docs/ref/page-protocol.md and docs/guide/agencies.md, and the web app's types of the HTTP API and of its
WebSocket.

``make docs`` writes them; a test fails while they differ from what this would write.
"""

import ast
import inspect
import json
import re
import socket
import sys
import textwrap
import typing
from collections.abc import Iterator, Mapping
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import click
import yaml
from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

import services
from services.cli import pantau
from services.cli.config import all_sections
from services.contracts import sessions, subjects
from services.contracts.events import CONTENT_TYPE, EVENTS, STREAMS, Event, headers
from services.mesh import agencies as agency_kinds
from services.mesh.settings import Section
from services.wall.front.auth import cookies
from services.wall.front.http import openapi
from services.wall.front.routes import ROUTES
from tests.support.faulty_cameras import FAULTY_CAMERAS
from tools import rights, stream_sizes, typescript

ROOT = Path(__file__).resolve().parent.parent
GENERATED = "<!-- Written by `make docs` from the code. Change the code instead. -->"
KINDS = {
    "camera": "About a camera: its catalogue entry and what is observed of it.",
    "recording": "About a camera's recordings.",
    "incident": "About an incident and the footage held for it.",
    "worker": "About a worker of the mesh itself. Not exported to partners.",
    "audit": "Who saw, exported or changed what. Not exported to partners.",
}
SETTINGS_PROSE = (
    "Each setting is an environment variable, or a key of the TOML file that `--config` (or `PANTAU_CONFIG`) names; "
    "the environment goes before the file. An unknown setting is refused by name. Any variable may be given "
    "as `…_FILE` instead, the path of a file that holds its value: for secrets. Lists have commas in the environment."
)
NATS_PROSE = (
    f"Everything stands below `{subjects.ROOT}.<site>`; a site is the owner of cameras. Ids match "
    f"`{subjects.ID_PATTERN}`. An incompatible change comes under a new version. Readers ignore "
    "fields and subjects that they do not know."
)
EVENTS_PROSE = (
    f"Kept in JetStream streams, so that a subscriber that was away catches up: `{subjects.AUDIT_STREAM}` keeps audit "
    f"and `segment_closed`, `{subjects.HEALTH_STREAM}` the newest `health` of each camera, "
    f"`{subjects.EVENTS_STREAM}` all others ([sizes](../guide/deploy.md)). Body: a "
    f"msgpack map (`{CONTENT_TYPE}`) of the fields below; times are Unix time in microseconds, UTC. Headers: "
    "CloudEvents 1.0 in binary mode, and `Nats-Msg-Id` for de-duplication. `docs/asyncapi.yaml` is the same for "
    "machines."
)
FRAMES_PROSE = (
    f"`{subjects.media('<site>', '<profile>', '<camera>')}` carries one access unit a message over core NATS; nothing "
    "is kept. Profiles: `main`, `sub`, `audio`. The message is the msgpack array that `services/contracts/frames.py` "
    "describes."
)
FAULTS_PROSE = (
    "What the direct reader makes of cameras that break RFCs, lose packets, or cannot be read: it plays, or it refuses "
    "with a reason that stands in the camera's state. Each row is a scripted camera that a test reads "
    "(`tests/support/faulty_cameras.py`, `tests/integration/test_direct_faults.py`): played pictures are compared byte "
    "by byte, and each attempt makes one connection."
)
QUESTIONS_PROSE = (
    "Services answer NATS micro requests; `nats micro ls` lists them. They are the mesh's own affair: use the wall's "
    "HTTP API from outside."
)


def settings() -> str:
    """docs/ref/settings.md."""
    sections: dict[str, dict[str, tuple[type[Section], FieldInfo]]] = {}
    for cls in all_sections():
        fields = sections.setdefault(cls.section, {})
        for name, field in cls.model_fields.items():
            fields.setdefault(name, (cls, field))
    parts = [
        "# Settings",
        GENERATED,
        SETTINGS_PROSE,
    ]
    for section, fields in sections.items():
        parts.append(f"## `[{section}]`" if section else "## For every service (top of the file)")
        rows = ["| variable | key | default | what |", "|---|---|---|---|"]
        for name, (cls, field) in fields.items():
            variable = next(v for v, n in cls.variables().items() if n == name)
            rows.append(f"| `{variable}` | `{name}` | {_default(field)} | {_cell(field.description or '')} |")
        parts.append("\n".join(rows))
    parts.append(
        "## Of the client commands\n\n"
        "| variable | what |\n|---|---|\n"
        "| `PANTAU_URL` | Where the wall answers; default `http://127.0.0.1:8080`. |\n"
        "| `PANTAU_TOKEN` | The account's token, where the wall has accounts. |"
    )
    return "\n\n".join(parts) + "\n"


def _default(field: FieldInfo) -> str:
    if field.default_factory is socket.gethostname:
        return "the host's name"
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is PydanticUndefined:
        return "must be given"
    if hasattr(value, "get_secret_value"):
        value = value.get_secret_value()
    if value is None or value == "" or value in ((), {}):
        return "–"
    if isinstance(value, tuple):
        value = ", ".join(map(str, value))
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def commands() -> str:
    """docs/ref/commands.md: what ``--help`` prints."""
    parts = ["# Commands", GENERATED]
    context = click.Context(pantau, info_name="pantau", max_content_width=100, terminal_width=100)
    parts += _help(pantau, context, depth=2)
    return "\n\n".join(parts) + "\n"


def _help(command: click.Command, context: click.Context, depth: int) -> Iterator[str]:
    yield f"{'#' * depth} `{context.command_path}`\n\n```text\n{command.get_help(context)}\n```"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            sub = command.get_command(context, name)
            if sub is not None and not sub.hidden:
                yield from _help(sub, click.Context(sub, info_name=name, parent=context), min(depth + 1, 4))


def nats() -> str:
    """docs/ref/nats.md."""
    parts = [
        "# NATS",
        GENERATED,
        NATS_PROSE,
        "## Events",
        EVENTS_PROSE,
    ]
    for kind, text in KINDS.items():
        parts.append(f"### {kind}\n\n{text}")
        rows = ["| subject | when | fields besides `site` and `at_us` |", "|---|---|---|"]
        for event in (event for event in EVENTS if event.kind == kind):
            fields = ", ".join(f"`{name}`" for name in event.model_fields if name not in ("site", "at_us"))
            rows.append(f"| `{_subject(event)}` | {_cell(_summary(event))} | {fields} |")
        parts.append("\n".join(rows))
    example = EVENTS[4]
    given = headers(_example(example), source="/registry/registry-1", event_id="0b0e…")
    parts.append(
        f"The headers of a `{example.kind}.{example.name}`:\n\n```text\n"
        + "\n".join(f"{name}: {value}" for name, value in given.items())
        + "\n```"
    )
    parts += [
        "## Frames",
        FRAMES_PROSE,
        "## Questions",
        QUESTIONS_PROSE,
        "## Buckets",
        "| bucket | what |\n|---|---|\n" + "\n".join(f"| `{name}` | {what} |" for name, what in _buckets().items()),
    ]
    return "\n\n".join(parts) + "\n"


def _buckets() -> dict[str, str]:
    return {
        subjects.CAMERAS_BUCKET: "The catalogue: camera → `Camera`",
        subjects.SECRETS_BUCKET: "Camera → `CameraSecret`: its credentials, sealed to ingest's keys",
        subjects.STATE_BUCKET: "Camera → `CameraState`, as the registry observes it",
        subjects.ASSIGNMENTS_BUCKET: "`<role>.<camera>` → `Assignment`",
        subjects.INCIDENTS_BUCKET: "Incident → `Incident`",
        subjects.SEALING_BUCKET: "Key id → `SealingKey`: the ingest machines that credentials are sealed to",
        subjects.REGISTRY_KEYS_BUCKET: "Key id → `SealingKey`: the machines of registries, for second factors",
        subjects.READERS_BUCKET: "`<camera>.<profile>` → `ReaderFallback`: `auto` reads it with libav, and why",
        subjects.LAYOUTS_BUCKET: "Saved wall → `Layout`",
        subjects.PERSONS_BUCKET: "Digest of an account's name → `PersonWalls`: which saved wall they opened last",
        subjects.SCREENS_BUCKET: "Screen → `Screen`: what it is to show, and when it was last heard of",
        subjects.TOURS_BUCKET: "Tour → `Tour`",
        subjects.ACCOUNTS_BUCKET: "Hex of an account's name → `RegistryAccount`, with its password's hash; read by the "
        "registry and fronts alone",
        subjects.SIGN_INS_BUCKET: "Sign-in → `SignIn`, without its secret; fronts write, relays read",
        subjects.IMPORTS_BUCKET: "Import → `KeptImport`; for a day",
        subjects.IMPORT_FILES_BUCKET: "Import → `ImportFile`, sealed, until it is over",
        subjects.ORDERS_BUCKET: "`<role>.<worker>` or `machine.<machine>` → `WorkerOrder`: to be emptied, or retired",
        subjects.GRANTS_BUCKET: "Grant → `Grant`; a role's own (`default-<role>`) only where it was taken away",
    }


def _subject(event: type[Event]) -> str:
    name = "<action>" if event.kind == "audit" else event.name
    return subjects.event("<site>", event.kind, name, f"<{event.subject_field}>")


def _summary(event: type[Event]) -> str:
    return inspect.cleandoc(event.__doc__ or "").replace("\n", " ")


def _example(event: type[Event]) -> Event:
    values: dict[str, Any] = {
        "site": "malang",
        "at_us": 1_767_225_600_000_000,
        "camera": "simpang-1",
        "reason": "stalled",
    }
    return event.model_validate(values)


def asyncapi() -> str:
    """docs/asyncapi.yaml: AsyncAPI 3.0 of the events."""
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    messages: dict[str, Any] = {}
    schemas: dict[str, Any] = {}
    for event in EVENTS:
        name = event.__name__
        address = re.sub(r"<(\w+)>", r"{\1}", _subject(event))
        channels[name] = {
            "address": address,
            "messages": {name: {"$ref": f"#/components/messages/{name}"}},
            "parameters": {part: {"description": _PARAMETERS[part]} for part in re.findall(r"{(\w+)}", address)},
        }
        operations[f"receive{name}"] = {"action": "receive", "channel": {"$ref": f"#/channels/{name}"}}
        messages[name] = {
            "name": f"pantau.v1.{event.kind}.{event.name}",
            "summary": _summary(event),
            "contentType": CONTENT_TYPE,
            "headers": {"$ref": "#/components/schemas/CloudEventHeaders"},
            "payload": {"$ref": f"#/components/schemas/{name}"},
        }
        schema = event.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= schema.pop("$defs", {})
        schemas[name] = schema
    given = headers(_example(EVENTS[4]), source="/registry/registry-1", event_id="id")
    schemas["CloudEventHeaders"] = {
        "type": "object",
        "description": "CloudEvents 1.0 in binary mode, as the NATS protocol binding says; values percent-encoded.",
        "required": list(given),
        "properties": {header: {"type": "string"} for header in given},
    }
    document = {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Pantau events",
            "version": services.__version__,
            "description": f"Written by `make docs` from services/contracts/events.py. Kept in the JetStream streams "
            f"{', '.join(STREAMS)}. docs/guide/agencies.md shows how a partner subscribes.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": CONTENT_TYPE,
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": dict(sorted(schemas.items()))},
    }
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)


_PARAMETERS = {
    "site": "Who owns the camera; of a worker, who runs the mesh.",
    "camera": "The camera's id.",
    "incident": "The incident's id.",
    "recorder": "The recorder's name.",
    "worker": "The worker's name.",
    "target": "The camera or incident it was about.",
    "action": "What was done, for example `exported`.",
}

AGENCIES = "docs/guide/agencies.md"
DEPLOYMENT = "docs/guide/deploy.md"
PAGE_PROTOCOL = "docs/ref/page-protocol.md"
WEB_TYPES = "services/wall/web/src/api/generated.ts"


def web_types() -> str:
    """The web app's types: what it sends and gets over HTTP, its WebSocket's messages, and the events' names."""
    served = openapi.document(ROUTES, cookie=cookies.NAME)
    schemas = served["components"]["schemas"]
    named: dict[str, typescript.Schema] = {}
    for operation in (operation for path in served["paths"].values() for operation in path.values()):
        typescript.referred([operation["responses"], operation.get("requestBody")], schemas, named)
    messages, definitions = _messages()
    for name, schema in definitions.items():
        if named.setdefault(name, schema) != schema:
            raise AssertionError(f"{name} is one thing over HTTP and another on the WebSocket")
    parts = [f"// {GENERATED.removeprefix('<!-- ').removesuffix(' -->')}"]
    parts += [typescript.declaration(name, schema) for name, schema in sorted(named.items())]
    parts += [typescript.declaration(name, schema) for name, schema in messages.items()]
    kinds = [f"  {kind}: {json.dumps([event.name for event in events])}," for kind, events in _open_events()]
    comment = "/** The events that the page listens for, by kind. */"
    parts.append("\n".join([comment, "export const EVENT_TYPES = {", *kinds, "} as const;"]))
    return "\n\n".join(parts) + "\n"


def _messages() -> tuple[dict[str, typescript.Schema], dict[str, typescript.Schema]]:
    """Schemas of the WebSocket's two kinds of messages, as the page sends and as it gets them; and of their parts."""
    adapters: list[tuple[str, typing.Literal["validation", "serialization"], TypeAdapter[Any]]] = [
        ("Control", "validation", sessions.CONTROL),
        ("Notice", "serialization", sessions.NOTICE),
    ]
    found, extra = TypeAdapter.json_schemas(adapters, ref_template="#/components/schemas/{model}")
    return {name: schema for (name, _), schema in found.items()}, extra["$defs"]


def _open_events() -> list[tuple[str, list[type[Event]]]]:
    """Events by kind, without the audit's, for which the page does not listen."""
    events = sorted(
        (event for event in EVENTS if event.kind != "audit"), key=lambda event: list(KINDS).index(event.kind)
    )
    return [(kind, list(of_kind)) for kind, of_kind in groupby(events, key=lambda event: event.kind)]


def page_protocol() -> str:
    """docs/ref/page-protocol.md: its tables anew, the prose around them as it stands."""
    messages, definitions = _messages()
    blocks = {
        "events": _event_table(),
        "from the page": _message_tables(messages["Control"], definitions),
        "to the page": _message_tables(messages["Notice"], definitions),
    }
    return fill((ROOT / PAGE_PROTOCOL).read_text(), blocks)


def agencies() -> str:
    """docs/guide/agencies.md: its table of subjects anew, the prose around it as it stands."""
    rows: dict[str, list[str]] = {}
    for event in (event for kind, events in _open_events() if kind in agency_kinds.KINDS for event in events):
        subject = subjects.event("<site>", event.kind, "<event>", f"<{event.subject_field}>")
        rows.setdefault(subject, []).append(f"`{event.name}`")
    table = [
        "| subject | event |",
        "|---|---|",
        *(f"| `{subject}` | {' '.join(names)} |" for subject, names in rows.items()),
    ]
    return fill((ROOT / AGENCIES).read_text(), {"subjects": "\n".join(table)})


def deployment() -> str:
    """docs/guide/deploy.md: its table of stream sizes anew, the prose around it as it stands."""
    return fill((ROOT / DEPLOYMENT).read_text(), {"stream sizes": stream_sizes.table()})


def fill(text: str, blocks: Mapping[str, str]) -> str:
    """``text`` with each block between ``<!-- NAME: … -->`` and ``<!-- end of NAME -->`` written anew.

    Raises ``ValueError`` where a block has no place.
    """
    for name, block in blocks.items():
        begin, end = f"<!-- {name}: written by `make docs` from the code -->", f"<!-- end of {name} -->"
        before, found, rest = text.partition(begin)
        _, ended, after = rest.partition(end)
        if not found or not ended:
            raise ValueError(f"there is no place for the block {name!r}: it stands between {begin!r} and {end!r}")
        text = f"{before}{begin}\n\n{block}\n\n{end}{after}"
    return text


def _event_table() -> str:
    rows = [
        f"| `{kind}` | {', '.join(f'`{kind}.{event.name}`' for event in events)} |" for kind, events in _open_events()
    ]
    return "\n".join(["| kind | types |", "|---|---|", *rows])


def _message_tables(union: typescript.Schema, definitions: Mapping[str, typescript.Schema]) -> str:
    names = [member["$ref"].rpartition("/")[2] for member in union["oneOf"]]
    parts = [name for name in typescript.referred([definitions[name] for name in names], definitions) if name in _PARTS]
    return "\n\n".join(_message_table(name, definitions[name]) for name in [*names, *parts])


_PARTS = {sessions.SeenFrame.__name__}
"""Models inside messages that the page's tables describe; others are described by the OpenAPI document."""


def _message_table(name: str, schema: typescript.Schema) -> str:
    fields = dict(schema["properties"])
    kind = fields.pop("type", {}).get("const")
    title = f"**`{kind}`** (`{name}`)" if kind else f"**`{name}`**"
    head = f"{title}: {_plain(schema.get('description', ''))}"
    docs = attribute_docs(getattr(sessions, name))
    rows = []
    for field, each in fields.items():
        cells = (f"`{field}`", f"`{typescript.expression(each)}`", _json(each), _plain(docs.get(field, "")))
        rows.append(f"| {' | '.join(_cell(cell) for cell in cells)} |")
    if not rows:
        return head
    return "\n".join([head, "", "| field | type | default | what |", "|---|---|---|---|", *rows])


def _json(schema: typescript.Schema) -> str:
    return f"`{json.dumps(schema['default'])}`" if "default" in schema else ""


def _plain(text: str) -> str:
    return " ".join(text.replace("``", "`").split())


def attribute_docs(model: type[BaseModel]) -> dict[str, str]:
    """What stands under the fields of ``model`` and of its bases."""
    docs: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if not issubclass(base, BaseModel) or base is BaseModel:
            continue
        (definition,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        assert isinstance(definition, ast.ClassDef)
        for field, below in pairwise(definition.body):
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(below, ast.Expr)
                and isinstance(below.value, ast.Constant)
            ):
                docs[ast.unparse(field.target)] = inspect.cleandoc(str(below.value.value))
    return docs


def camera_faults() -> str:
    """docs/ref/camera-faults.md: what becomes of cameras that break RFCs, lose packets, or cannot be read."""
    parts = ["# Faulty cameras", GENERATED, FAULTS_PROSE]
    for section in dict.fromkeys(camera.section for camera in FAULTY_CAMERAS):
        rows = ["| fault | the camera … | outcome |", "|---|---|---|"]
        for camera in FAULTY_CAMERAS:
            if camera.section == section:
                rows.append(f"| `{camera.name}` | {_cell(camera.what)} | {_cell(camera.outcome_text)} |")
        parts += [f"## {section}", "\n".join(rows)]
    return "\n\n".join(parts) + "\n"


DOCUMENTS: dict[str, typing.Callable[[], str]] = {
    "docs/ref/settings.md": settings,
    "docs/ref/commands.md": commands,
    "docs/ref/nats.md": nats,
    "docs/ref/rights.md": lambda: rights.document(GENERATED),
    "docs/asyncapi.yaml": asyncapi,
    "docs/ref/camera-faults.md": camera_faults,
    AGENCIES: agencies,
    DEPLOYMENT: deployment,
    PAGE_PROTOCOL: page_protocol,
    WEB_TYPES: web_types,
}


def main() -> int:
    """Writes all; returns the exit status."""
    for name, make in DOCUMENTS.items():
        path = ROOT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = make()
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            print(f"written anew: {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
