"""Something to find in a demo: cameras of a second owner, two cameras in trouble, an incident in the first minute, and
recorded hours before it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from services.contracts import subjects
from services.contracts.errors import PantauError, UnavailableError
from services.contracts.incidents import IncidentEntry, IncidentInput, IncidentList, IncidentQuery, RemarkNote
from services.contracts.permissions import Actor, Role
from services.mesh.bus import Bus
from services.mesh.clock import Clock, sleep
from services.mesh.log import get_logger
from services.mesh.rpc import call
from services.up.fetch import fetch

log = get_logger()

ACTOR: Final = Actor("demo", Role.OPERATOR)
SECOND_SITE: Final = "mall"
_OTHERS: Final = 4
"""One camera in so many belongs to the second site."""
FEWEST: Final = 8
"""A smaller demo is whole: there each camera counts."""
RECORDED_SECONDS: Final = 75.0
"""Before the incident is opened there is footage of it."""
_LASTED_US: Final = 45_000_000
_AGO_US: Final = 60_000_000
DROP_SECONDS: Final = 40
PAST_HOURS: Final = 3
"""Of footage that the recorder makes up for the first cameras."""
_PAST_VARIABLE: Final = "PANTAU_RECORDER_DEMO_HOURS"


def recorder_environment(cameras: int, environ: Mapping[str, str]) -> dict[str, str]:
    """The recorder's environment: ``environ``, with a past for a demo of ``cameras`` where nothing is said of one."""
    past = {_PAST_VARIABLE: str(PAST_HOURS)} if cameras >= FEWEST else {}
    return past | dict(environ)


def with_owners(entries: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The catalogue's entries, the last quarter of them with the second site as their owner."""
    own = len(entries) - (len(entries) // _OTHERS if len(entries) >= FEWEST else 0)
    return [entry if place < own else entry | {"site": SECOND_SITE} for place, entry in enumerate(entries)]


def troubles(cameras: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Camera → a fault of the simulator: one that is off, and one whose connection breaks again and again."""
    return {cameras[-1]: {"fault": "refuse"}, cameras[-2]: {"fault": "drop", "value": DROP_SECONDS}}


def incident(entries: Sequence[dict[str, Any]], now_us: int) -> IncidentInput:
    """An incident of the last minute, at the first two cameras."""
    first = entries[:2]
    return IncidentInput(
        title=f"Contoh: truk mogok di {first[0]['name']}",
        cameras=tuple(entry["id"] for entry in first),
        from_us=now_us - _AGO_US,
        to_us=now_us - _AGO_US + _LASTED_US,
        notes="Contoh kejadian untuk dicoba: tampilkan di dinding, ekspor, tutup.\n"
        "An example to try out: show it on the wall, export it, close it.",
    )


async def tell(bus: Bus, home: str, entries: Sequence[dict[str, Any]], sim_admin_port: int, clock: Clock) -> None:
    """Makes it all, once: the next start finds the incident there. The troubles come at each start."""
    if len(entries) < FEWEST:
        return
    for camera, fault in troubles([entry["id"] for entry in entries]).items():
        await _break(sim_admin_port, camera, fault)
    try:
        await _open_incident(bus, home, entries, clock)
    except PantauError as error:  # the bus or the registry was away: the next start tries again
        log.warning("demo.no_incident", error=error)


async def _open_incident(bus: Bus, home: str, entries: Sequence[dict[str, Any]], clock: Clock) -> None:
    listed = await call(bus, subjects.rpc(home, "registry", "incidents-list"), IncidentQuery(limit=1), IncidentList)
    if listed.incidents:
        return
    await sleep(clock, RECORDED_SECONDS)
    given = incident(entries, clock.now_us())
    opened = await call(bus, subjects.rpc(home, "registry", "incidents-open"), given, IncidentEntry, actor=ACTOR)
    note = RemarkNote(id=opened.incident.id, text="Derek sudah dipanggil. / A tow truck is on its way.")
    await call(bus, subjects.rpc(home, "registry", "incidents-remark"), note, IncidentEntry, actor=ACTOR)
    log.info("demo.incident", incident=opened.incident.id)


async def _break(sim_admin_port: int, camera: str, fault: dict[str, Any]) -> None:
    url = f"http://127.0.0.1:{sim_admin_port}/cameras/{camera}/faults"
    try:
        answer = await fetch(url, timeout_seconds=5, posted=json.dumps(fault).encode())
    except UnavailableError as error:
        log.warning("demo.no_fault", camera=camera, error=error)
        return
    if not answer.ok:
        log.warning("demo.no_fault", camera=camera, status=answer.status)
