"""NATS subjects and bucket names, in one place. docs/ref/nats.md describes the public ones."""

import re
from typing import Final

ROOT: Final = "pantau.v1"
EVENTS_STREAM: Final = "PANTAU_EVENTS"
AUDIT_STREAM: Final = "PANTAU_AUDIT"
HEALTH_STREAM: Final = "PANTAU_HEALTH"

CAMERAS_BUCKET: Final = "pantau-cameras"
SECRETS_BUCKET: Final = "pantau-secrets"
SEALING_BUCKET: Final = "pantau-sealing"
REGISTRY_KEYS_BUCKET: Final = "pantau-registry-keys"
STATE_BUCKET: Final = "pantau-state"
ASSIGNMENTS_BUCKET: Final = "pantau-assignments"
INCIDENTS_BUCKET: Final = "pantau-incidents"
ACKNOWLEDGED_BUCKET: Final = "pantau-acknowledged"
READERS_BUCKET: Final = "pantau-readers"
LAYOUTS_BUCKET: Final = "pantau-layouts"
PERSONS_BUCKET: Final = "pantau-persons"
SCREENS_BUCKET: Final = "pantau-screens"
TOURS_BUCKET: Final = "pantau-tours"
EXPORTS_BUCKET: Final = "pantau-exports"
ACCOUNTS_BUCKET: Final = "pantau-accounts"
SIGN_INS_BUCKET: Final = "pantau-sign-ins"
ORDERS_BUCKET: Final = "pantau-orders"
GRANTS_BUCKET: Final = "pantau-grants"
IMPORTS_BUCKET: Final = "pantau-imports"
IMPORT_FILES_BUCKET: Final = "pantau-import-files"
SITES_BUCKET: Final = "pantau-sites"

ID_PATTERN: Final = r"^[a-z0-9][a-z0-9-]{0,62}$"
_ID = re.compile(ID_PATTERN)


def is_id(text: str) -> bool:
    """Whether ``text`` may name a site, camera, incident or worker: it then fits a subject, a path and a URL."""
    return _ID.fullmatch(text) is not None


def media(site: str, profile: str, camera: str) -> str:
    """The subject of a profile's frames, one access unit a message. ``*`` may stand for any part when subscribing."""
    return f"{ROOT}.{site}.media.{profile}.{camera}"


def want(site: str, profile: str, camera: str) -> str:
    """The subject of requests for a profile and its cached GOP, to the ingest worker that holds the camera."""
    return f"{ROOT}.{site}.want.{profile}.{camera}"


def convert(home: str, result: str, camera: str) -> str:
    """The subject of wants of a conversion (``h264``, ``masked``, ``opus``) to the relay that makes it, as `want`."""
    return f"{ROOT}.{home}.convert.{result}.{camera}"


def report(home: str, worker: str) -> str:
    """The subject of an ingest worker's reports. ``*`` may stand for the worker when subscribing."""
    return f"{ROOT}.{home}.report.{worker}"


def state(home: str, camera: str) -> str:
    """Where the leading registry tells each change of a camera's state; empty: the camera is gone."""
    return f"{ROOT}.{home}.state.{camera}"


def assigned(home: str, worker: str) -> str:
    """Where the leading registry tells an ingest worker of a camera that it takes over."""
    return f"{ROOT}.{home}.assigned.{worker}"


def figures(home: str) -> str:
    """Where it tells states of which only figures have changed (rates, counters), many in a message."""
    return f"{ROOT}.{home}.figures"


def troubles(home: str) -> str:
    """Where those who see a trouble of the mesh itself tell it."""
    return f"{ROOT}.{home}.troubles"


def lease(home: str, role: str, worker: str) -> str:
    """The subject of a worker's heartbeats. ``*`` may stand for role or worker when subscribing."""
    return f"{ROOT}.{home}.lease.{role}.{worker}"


def claim(home: str, what: str) -> str:
    """Where processes that want to do the same thing say so; one of them does it."""
    return f"{ROOT}.{home}.claim.{what}"


def roll_call(home: str) -> str:
    """Where all workers are asked for a heartbeat at once, by a process that has just begun to follow them."""
    return f"{ROOT}.{home}.roll-call"


def kept(home: str, worker: str) -> str:
    """The subject on which an ingest worker says what footage it keeps. ``*`` may stand for the worker."""
    return f"{ROOT}.{home}.kept.{worker}"


def pull(home: str, worker: str) -> str:
    """The subject of questions for footage that an ingest worker keeps."""
    return f"{ROOT}.{home}.pull.{worker}"


def safe(home: str, recorder: str) -> str:
    """The subject on which a recorder says what is safe on its disks. ``*`` may stand for the recorder."""
    return f"{ROOT}.{home}.safe.{recorder}"


def rpc(home: str, service: str, endpoint: str) -> str:
    """A NATS micro endpoint. ``service`` is a service's name, or ``<name>.<worker>`` for one particular instance."""
    return f"{ROOT}.{home}.rpc.{service}.{endpoint}"


def footage_question(site: str, right: str, camera: str, recorder: str, endpoint: str) -> str:
    """A question of a hub about recordings of an owner's camera, by the owner's id, and the right it is asked for."""
    return f"{ROOT}.{site}.footage.question.{right}.{camera}.{recorder}.{endpoint}"


def footage_data(site: str, right: str, camera: str, transfer: str) -> str:
    """What a recorder sends to a hub (`services.mesh.transfer`); ``transfer`` names one transfer."""
    return f"{ROOT}.{site}.footage.data.{right}.{camera}.{transfer}"


def footage_credit(site: str, right: str, camera: str, transfer: str) -> str:
    """The control subject of such a transfer."""
    return f"{ROOT}.{site}.footage.credit.{right}.{camera}.{transfer}"


def event(site: str, kind: str, name: str, subject: str) -> str:
    """An event: ``kind`` is camera, recording, incident or audit; ``subject`` the id of the camera or incident."""
    return f"{ROOT}.{site}.{kind}.{name}.{subject}"
