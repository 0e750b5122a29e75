"""Asks the recorders how much moved in front of cameras (`services.contracts.activity`)."""

from typing import Final

from services.contracts import recordings, subjects
from services.contracts.activity import (
    ACTIVITY,
    BUSIEST_MINUTES,
    NEXT_ACTIVITY,
    ActivityAnswer,
    ActivityQuestion,
    BusiestMinutesQuestion,
    BusyAnswer,
    BusyTime,
    NextActivityQuestion,
    merge_activity,
    merge_busiest,
)
from services.contracts.errors import UnavailableError
from services.contracts.models import Id
from services.contracts.permissions import SYSTEM, Actor
from services.mesh import rpc
from services.mesh.bus import Bus


async def ask_activity(
    bus: Bus, home: Id, question: ActivityQuestion, *, recorders: int, actor: Actor = SYSTEM
) -> ActivityAnswer:
    """The levels of activity. ``recorders``: how many are alive, to wait for. Raises `UnavailableError`."""
    where = subjects.rpc(home, recordings.SERVICE, ACTIVITY)
    answers = await rpc.gather(bus, where, question, ActivityAnswer, actor=actor, expected=recorders)
    if not answers:
        raise UnavailableError(_NOBODY)
    return merge_activity(answers)


async def ask_next(
    bus: Bus, home: Id, question: NextActivityQuestion, *, recorders: int, actor: Actor = SYSTEM
) -> BusyTime | None:
    """The activity that begins next after ``at_us`` (or last before it), within `MAX_SEARCH_US`; None without any."""
    found = await _ask_busy(bus, home, NEXT_ACTIVITY, question, recorders=recorders, actor=actor)
    backwards = question.direction == "backwards"
    return min(found, key=lambda busy: -busy.from_us if backwards else busy.from_us, default=None)


async def ask_busiest(
    bus: Bus, home: Id, question: BusiestMinutesQuestion, *, recorders: int, actor: Actor = SYSTEM
) -> list[BusyTime]:
    """The busiest minutes, busiest first."""
    found = await _ask_busy(bus, home, BUSIEST_MINUTES, question, recorders=recorders, actor=actor)
    return merge_busiest(found, question.most)


async def _ask_busy(
    bus: Bus,
    home: Id,
    endpoint: str,
    question: NextActivityQuestion | BusiestMinutesQuestion,
    *,
    recorders: int,
    actor: Actor,
) -> list[BusyTime]:
    where = subjects.rpc(home, recordings.SERVICE, endpoint)
    answers = await rpc.gather(
        bus, where, question, BusyAnswer, actor=actor, expected=recorders, timeout_seconds=_SEARCH_SECONDS
    )
    if not answers:
        raise UnavailableError(_NOBODY)
    return [busy for answer in answers for busy in answer.found]


_SEARCH_SECONDS: Final = 10.0
"""A month of many cameras takes more than a look-up."""
_NOBODY: Final = "no recorder answers just now; try again shortly"
