"""Who may publish and subscribe to each subject: one row a subject, of which nats-server's permissions are made.

Only who stands in a row may use its subjects. Ingest alone opens secrets and publishes cameras' media, recorders alone
publish ``recording.*`` (but for the registry's daily promise), fronts alone ask in a person's name (the actor travels
in a header of questions), relays read media and write nothing that is kept but who watched it.

The bus itself adds three things. Answers go to inboxes, so who is asked may publish to the asker's inboxes; each role
has inboxes of its own (`inbox_prefix`), and only it may listen there. A stream's reader makes consumers on it. The
registry alone makes and changes streams: the definition of a stream may name others as its sources.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final, NamedTuple

from services.contracts import subjects
from services.contracts.audit_digest import AUDIT_SIGN
from services.contracts.errors import PantauError
from services.contracts.events import VIEWS
from services.contracts.sessions import notices

INBOX: Final = "_INBOX"
ACROSS_ACCOUNTS: Final = "_R_.>"
"""Where nats-server has a question from another account answered: ``_R_.`` and a random name that it forgets again."""


class BusRole(StrEnum):
    """A user of the bus. ``admin`` is a person with the nats command: everything in the services' account."""

    REGISTRY = "registry"
    INGEST = "ingest"
    RECORDER = "recorder"
    FRONT = "front"
    RELAY = "relay"
    UP = "up"
    ADMIN = "admin"


class UnknownBusRoleError(PantauError):
    """There is no such role."""

    code = "unknown-role"


class Rights(NamedTuple):
    """What a user may do; nats-server denies everything else."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


class Traffic(NamedTuple):
    """A row: what goes over ``subjects``, from whom, to whom."""

    name: str
    """The function of `services.contracts.subjects` that makes them, with a word behind it where one is not enough."""
    subjects: tuple[str, ...]
    publish: frozenset[BusRole]
    subscribe: frozenset[BusRole]
    asks: bool = False
    """A subscriber answers to an inbox of the publisher."""
    transfers: bool = False
    """The publisher grants credit to an inbox of the subscriber (`services.mesh.transfer`)."""


class KeptStream(NamedTuple):
    """A JetStream stream or bucket: who reads it, and who writes to its own subjects."""

    name: str
    """The stream's."""
    subjects: tuple[str, ...]
    """What writers publish to; empty where `TRAFFIC` has them."""
    read: frozenset[BusRole]
    write: frozenset[BusRole] = frozenset()


_VIEWS: Final = tuple(subjects.event("*", "audit", each, "*") for both in VIEWS.values() for each in both)
_REGISTRY, _INGEST, _RECORDER, _FRONT, _RELAY, _UP = (
    frozenset({role})
    for role in (BusRole.REGISTRY, BusRole.INGEST, BusRole.RECORDER, BusRole.FRONT, BusRole.RELAY, BusRole.UP)
)
_WORKERS: Final = _REGISTRY | _INGEST | _RECORDER | _RELAY
_SERVICES: Final = _WORKERS | _FRONT
_NOBODY: Final[frozenset[BusRole]] = frozenset()


def traffic(home: str) -> tuple[Traffic, ...]:
    """All rows of core NATS and of events, of the mesh ``home``."""
    s = subjects
    return (
        Traffic("media", tuple(s.media("*", p, "*") for p in ("main", "sub", "audio")), _INGEST, _RECORDER | _RELAY),
        Traffic("media converted", tuple(s.media(home, p, "*") for p in ("h264", "masked", "opus")), _RELAY, _RELAY),
        Traffic("want", (s.want("*", "*", "*"),), _RELAY | _FRONT, _INGEST, asks=True),
        Traffic("convert", (s.convert(home, "*", "*"),), _RELAY | _FRONT, _RELAY, asks=True),
        Traffic("report", (s.report(home, "*"),), _INGEST, _REGISTRY | _INGEST),
        Traffic("state", (s.state(home, "*"),), _REGISTRY, _REGISTRY | _RECORDER | _FRONT | _RELAY),
        Traffic("assigned", (s.assigned(home, "*"),), _REGISTRY, _INGEST),
        Traffic("figures", (s.figures(home),), _REGISTRY, _REGISTRY | _FRONT),
        Traffic("troubles", (s.troubles(home),), _REGISTRY | _INGEST | _RECORDER | _FRONT | _UP, _FRONT),
        *(
            Traffic(f"lease {role}", (s.lease(home, role, "*"),), frozenset({role}), _NOBODY)
            for role in sorted(_WORKERS)
        ),
        Traffic("lease", (s.lease(home, "*", "*"),), _NOBODY, _SERVICES),
        Traffic("roll_call", (s.roll_call(home),), _SERVICES, _WORKERS),
        Traffic("claim", (s.claim(home, "*"),), _RELAY, _RELAY),
        Traffic("presence registry", (_presence("registry"),), _REGISTRY, _REGISTRY, asks=True),
        Traffic("presence ingest", (_presence("ingest"),), _REGISTRY, _INGEST, asks=True),
        Traffic("presence recorder", (_presence("recorder"),), _NOBODY, _RECORDER, asks=True),
        Traffic("presence relay", (_presence("relay"),), _FRONT, _RELAY, asks=True),
        Traffic("kept", (s.kept(home, "*"),), _INGEST, _RECORDER),
        Traffic("safe", (s.safe(home, "*"),), _RECORDER, _INGEST),
        Traffic("pull", (s.pull(home, "*"),), _RECORDER, _INGEST, asks=True, transfers=True),
        Traffic("notices", (notices(home, "*"),), _RELAY, _FRONT),
        Traffic("rpc ingest", (s.rpc(home, "ingest", "*"),), _FRONT, _INGEST, asks=True),
        Traffic("rpc registry", (s.rpc(home, "registry", "*"),), _FRONT | _UP, _REGISTRY, asks=True),
        Traffic(
            "rpc recorder", (s.rpc(home, "recorder", "*"), s.rpc(home, "recorder.*", "*")), _FRONT, _RECORDER,
            asks=True, transfers=True,
        ),
        Traffic(
            "rpc recorder playback", (s.rpc(home, "recorder", "timeline"), s.rpc(home, "recorder.*", "playback")),
            _RELAY, _NOBODY,
        ),
        Traffic("rpc recorder audit-sign", (s.rpc(home, "recorder.*", AUDIT_SIGN),), _REGISTRY, _NOBODY),
        Traffic(
            "rpc recorder coverage", (s.rpc(home, "recorder", "coverage"), s.rpc(home, "recorder", "timeline")),
            _REGISTRY, _NOBODY,
        ),
        Traffic(
            "footage_question", (s.footage_question("*", "*", "*", "*", "*"),), _FRONT | _RELAY,
            _RECORDER | _REGISTRY | _FRONT, asks=True,
        ),
        Traffic("footage_data", (s.footage_data("*", "*", "*", "*"),), _RECORDER | _FRONT, _FRONT | _RELAY),
        Traffic("footage_credit", (s.footage_credit("*", "*", "*", "*"),), _FRONT | _RELAY, _RECORDER | _FRONT),
        Traffic("answers of recorders", (), _RELAY | _REGISTRY, _RECORDER, asks=True, transfers=True),
        Traffic("rpc relay", (s.rpc(home, "relay.*", "*"),), _FRONT, _RELAY, asks=True),
        Traffic("rpc relay convert", (s.rpc(home, "relay.*", "convert"),), _RELAY, _RELAY, asks=True),
        Traffic("rpc exports", (s.rpc(home, "exports.*", "*"),), _FRONT, _FRONT, asks=True, transfers=True),
        Traffic("rpc owner", (s.rpc("*", "owner", "*"),), _REGISTRY, _REGISTRY, asks=True),
        Traffic("event camera", (s.event("*", "camera", "*", "*"),), _REGISTRY, _NOBODY),
        Traffic("event recording", (s.event("*", "recording", "*", "*"),), _RECORDER, _NOBODY),
        Traffic("event recording promise", (s.event("*", "recording", "promise", "*"),), _REGISTRY, _NOBODY),
        Traffic("event worker", (s.event("*", "worker", "*", "*"),), _REGISTRY, _NOBODY),
        Traffic("event incident", (s.event("*", "incident", "*", "*"),), _REGISTRY, _NOBODY),
        Traffic("event audit", (s.event("*", "audit", "*", "*"),), _REGISTRY | _FRONT, _NOBODY),
        Traffic("event audit of views", _VIEWS, _RELAY, _NOBODY),
    )  # fmt: skip


def _presence(role: str) -> str:
    return f"pantau.presence.{role}.*.*"


def _bucket(
    name: str,
    read: frozenset[BusRole],
    write: frozenset[BusRole] = _REGISTRY,
) -> KeptStream:
    return KeptStream(f"KV_{name}", (f"$KV.{name}.>",), read, write)


STREAMS: Final = (
    *(
        KeptStream(name, (), _REGISTRY | _FRONT)
        for name in (subjects.EVENTS_STREAM, subjects.AUDIT_STREAM, subjects.HEALTH_STREAM)
    ),
    _bucket(subjects.CAMERAS_BUCKET, _SERVICES),
    _bucket(subjects.SECRETS_BUCKET, _INGEST | _REGISTRY, _REGISTRY | _INGEST),
    _bucket(subjects.SEALING_BUCKET, _INGEST | _REGISTRY, _INGEST),
    _bucket(subjects.REGISTRY_KEYS_BUCKET, _REGISTRY),
    _bucket(subjects.STATE_BUCKET, _REGISTRY | _RECORDER | _FRONT | _RELAY),
    _bucket(subjects.ASSIGNMENTS_BUCKET, _REGISTRY | _INGEST | _RECORDER | _FRONT),
    _bucket(subjects.INCIDENTS_BUCKET, _REGISTRY | _RECORDER),
    _bucket(subjects.ACKNOWLEDGED_BUCKET, _REGISTRY | _FRONT),
    _bucket(subjects.READERS_BUCKET, _INGEST, _INGEST),
    _bucket(subjects.LAYOUTS_BUCKET, _REGISTRY),
    _bucket(subjects.PERSONS_BUCKET, _REGISTRY),
    _bucket(subjects.SCREENS_BUCKET, _REGISTRY | _FRONT),
    _bucket(subjects.TOURS_BUCKET, _REGISTRY),
    _bucket(subjects.EXPORTS_BUCKET, _FRONT, _FRONT),
    _bucket(subjects.ACCOUNTS_BUCKET, _REGISTRY | _FRONT),
    _bucket(subjects.SIGN_INS_BUCKET, _FRONT | _RELAY, _FRONT),
    _bucket(subjects.ORDERS_BUCKET, _REGISTRY),
    _bucket(subjects.GRANTS_BUCKET, _REGISTRY | _FRONT | _RELAY),
    _bucket(subjects.IMPORTS_BUCKET, _REGISTRY),
    _bucket(subjects.IMPORT_FILES_BUCKET, _REGISTRY),
    _bucket(subjects.SITES_BUCKET, _REGISTRY),
)


def inbox_prefix(role: str) -> str:
    """Where a role receives answers. nats-server lets only that role listen there."""
    return f"{INBOX}.{role}"


def bus_role(name: str) -> BusRole:
    """Raises `UnknownBusRoleError`."""
    try:
        return BusRole(name)
    except ValueError as error:
        raise UnknownBusRoleError(f"there is no role {name!r}; roles: {', '.join(BusRole)}") from error


def rights(role: BusRole, home: str) -> Rights:
    """What nats-server shall allow to a role's user, from the rows."""
    if role is BusRole.ADMIN:
        return Rights((">",), (">",))
    publish: set[str] = {"$JS.API.INFO"}
    subscribe: set[str] = {f"{inbox_prefix(role)}.>"}
    for row in traffic(home):
        if role in row.publish:
            publish.update(row.subjects)
        if role in row.subscribe:
            subscribe.update(row.subjects)
        publish.update(_inboxes(role, row))
    for stream in STREAMS:
        publish.update(_on_stream(role, stream))
    if role is BusRole.INGEST:
        publish.add(ACROSS_ACCOUNTS)  # to a `want` of a hub, with several messages
    if role in _SERVICES:
        subscribe.update(
            pattern for verb in ("PING", "INFO", "STATS") for pattern in (f"$SRV.{verb}", f"$SRV.{verb}.>")
        )
        publish.add(f"{inbox_prefix(BusRole.ADMIN)}.>")
    return Rights(tuple(sorted(publish)), tuple(sorted(subscribe)))


def _inboxes(role: BusRole, row: Traffic) -> Iterable[str]:
    if row.asks and role in row.subscribe:
        yield from (f"{inbox_prefix(asker)}.>" for asker in row.publish)
    if row.transfers and role in row.publish:
        yield from (f"{inbox_prefix(asked)}.>" for asked in row.subscribe)


def _on_stream(role: BusRole, stream: KeptStream) -> Iterable[str]:
    name = stream.name
    if role in stream.write:
        yield from stream.subjects
    if role is BusRole.REGISTRY:
        yield from (f"$JS.API.STREAM.{verb}.{name}" for verb in ("CREATE", "UPDATE", "PURGE"))
    if role in stream.read | stream.write or role is BusRole.REGISTRY:
        yield f"$JS.API.STREAM.INFO.{name}"
    if role in stream.read:
        yield from (
            f"$JS.API.CONSUMER.CREATE.{name}",
            f"$JS.API.CONSUMER.CREATE.{name}.>",
            f"$JS.API.CONSUMER.INFO.{name}.*",
            f"$JS.API.CONSUMER.DELETE.{name}.*",
            f"$JS.API.CONSUMER.MSG.NEXT.{name}.*",
            f"$JS.API.STREAM.MSG.GET.{name}",
            f"$JS.FC.{name}.>",
        )
