"""Asks the recorders what footage there is of a camera (`services.contracts.recordings`)."""

from services.contracts import recordings, subjects
from services.contracts.errors import UnavailableError
from services.contracts.models import Id
from services.contracts.permissions import SYSTEM, Actor
from services.contracts.recordings import FootageTimeline, TimelineAnswer, TimelineQuestion
from services.footage.owners import Owner
from services.mesh import rpc
from services.mesh.bus import Bus


async def ask_timeline(
    bus: Bus,
    home: Id,
    question: TimelineQuestion,
    *,
    recorders: int,
    actor: Actor = SYSTEM,
    owner: Owner | None = None,
) -> tuple[FootageTimeline, list[TimelineAnswer]]:
    """One history, merged from all answers, and the answers. ``recorders``: how many are alive, to wait for.

    With an ``owner`` its recorders' history; their answers are not told.
    """
    if owner is not None:
        return await owner.timeline(bus, question, actor), []
    subject = subjects.rpc(home, recordings.SERVICE, recordings.TIMELINE)
    answers = await rpc.gather(bus, subject, question, TimelineAnswer, actor=actor, expected=recorders)
    if not answers:
        raise UnavailableError("no recorder answers just now; try again shortly")
    return recordings.merge_timelines(question, answers), answers
