"""docs/ref/rights.md from the code: each HTTP route, question, page message and subject, and who may use it."""

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple, get_args

from services.contracts import sessions
from services.contracts.bus_rights import STREAMS, BusRole, traffic
from services.contracts.permissions import ROLE_RIGHTS, Actor, Permission, Right, Role, permission_name
from services.wall.front.routes import ROUTES

ROOT: Final = Path(__file__).resolve().parent.parent
PROSE: Final = (
    "Who may use each thing that can be asked of the mesh. `tests/wall/front/test_rights.py`, "
    "`tests/registry/test_questions.py`, `tests/wall/relay/test_rights.py` and `tests/mesh/test_authority.py` try each "
    "row: whom it names is let in, everybody else is refused."
)
COLUMNS: Final = (
    "`yes`: by the role. `granted`: with a grant of the right that stands under *needs*, of the camera that is asked "
    "about; `(granted)`: the role begins with such a grant for every camera "
    "([Rights](http.md#rights)). A program's token has its own rights alone and nothing of its account's role."
)
SUBJECTS_PROSE: Final = (
    "Over the bus each service has a user of its own ([decision 32](../decisions/0032-a-nats-user-for-each-role.md)); "
    "nats-server refuses all that is not here. `<home>` is the mesh's own site."
)


class Question(NamedTuple):
    """A question that a service answers over NATS (`services.mesh.rpc.Endpoint`)."""

    module: str
    name: str
    permission: Permission
    request: type[Any]


def questions() -> list[Question]:
    """Every `Endpoint` that the services' sources make, in the order of files."""
    return [found for path in sorted((ROOT / "services").rglob("*.py")) for found in _questions_of(path)]


def _questions_of(path: Path) -> Iterator[Question]:
    text = path.read_text()
    if "Endpoint(" not in text:
        return
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for call in (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)):
        if ast.unparse(call.func) in ("Endpoint", "rpc.Endpoint"):
            name, request, _, permission = (ast.unparse(argument) for argument in call.args)
            known = vars(importlib.import_module(module))
            yield Question(module, *(eval(text, known) for text in (name, permission, request)))


def document(generated: str) -> str:
    """The whole page; ``generated`` is the mark of a generated one."""
    parts = ["# Who may do what", generated, PROSE, "## HTTP, questions and the page's messages", COLUMNS]
    parts += ["### HTTP", _table("route", [(f"`{r.method} {r.path}`", r.permission) for r in ROUTES])]
    asked: dict[str, list[tuple[str, Permission | None]]] = {}
    for each in questions():
        service = ".".join(each.module.split(".")[1:3]) if ".wall." in each.module else each.module.split(".")[1]
        asked.setdefault(service, []).append((f"`{each.name}`", each.permission))
    for service, rows in asked.items():
        parts += [f"### Questions to {service}", _table("question", rows)]
    parts += ["### Messages of the page over a session's WebSocket", _table("message", list(_messages()))]
    parts += ["## Subjects of the bus", SUBJECTS_PROSE, _subjects()]
    return "\n\n".join(parts) + "\n"


def _messages() -> Iterator[tuple[str, Permission | None]]:
    for message in get_args(get_args(sessions.Control)[0]):
        kind = message.model_fields["type"].default
        if message is sessions.Aim:
            for source, right in sessions.AIM_RIGHTS.items():
                yield f"`{kind}`, `source: {source}`", right
        else:
            yield f"`{kind}`", sessions.MESSAGE_RIGHTS.get(kind, tuple(sessions.AIM_RIGHTS.values()))


def _table(what: str, rows: list[tuple[str, Permission | None]]) -> str:
    head = [f"| {what} | needs | {' | '.join(Role)} |", f"|---|---|{'---|' * len(Role)}"]
    for name, permission in rows:
        needs = "" if permission is None else f"`{permission_name(permission)}`".replace("|", "` or `")
        head.append(f"| {name} | {needs} | {' | '.join(_cell(permission, role) for role in Role)} |")
    return "\n".join(head)


def _cell(permission: Permission | None, role: Role) -> str:
    if permission is None or role is Role.ADMIN or Actor("", role, rights=frozenset()).may(permission):
        return "yes"
    several = permission if isinstance(permission, tuple) else (permission,)
    rights = {each for each in several if isinstance(each, Right)}
    if not rights:
        return "–"
    return "(granted)" if rights & ROLE_RIGHTS[role] else "granted"


def _subjects() -> str:
    rows = ["| what | subjects | may publish | may subscribe |", "|---|---|---|---|"]
    for row in traffic("<home>"):
        rows.append(f"| {row.name} | {_several(row.subjects)} | {_users(row.publish)} | {_users(row.subscribe)} |")
    for stream in STREAMS:
        name = f"stream `{stream.name}`"
        rows.append(f"| {name} | {_several(stream.subjects)} | {_users(stream.write)} | {_users(stream.read)} |")
    return "\n".join(rows)


def _several(subjects: tuple[str, ...]) -> str:
    return ", ".join(f"`{subject}`" for subject in subjects) or "–"


def _users(users: frozenset[BusRole]) -> str:
    return ", ".join(user for user in BusRole if user in users) or "–"
