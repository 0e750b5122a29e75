"""Asks the recorders of which cameras there is footage, also of cameras that are in no catalogue any more."""

from services.contracts import recordings, subjects
from services.contracts.errors import UnavailableError
from services.contracts.models import Id
from services.contracts.permissions import SYSTEM, Actor
from services.contracts.recordings import CameraHistory, HistoryAnswer, HistoryQuestion
from services.mesh import rpc
from services.mesh.bus import Bus


async def ask_history(
    bus: Bus, home: Id, *, camera: Id | None = None, recorders: int, actor: Actor = SYSTEM
) -> list[CameraHistory]:
    """The footage of each camera and site. ``recorders``: how many are alive, to wait for.

    Raises `UnavailableError` where none answers.
    """
    subject = subjects.rpc(home, recordings.SERVICE, recordings.HISTORY)
    answers = await rpc.gather(
        bus, subject, HistoryQuestion(camera=camera), HistoryAnswer, actor=actor, expected=recorders
    )
    if not answers:
        raise UnavailableError("no recorder answers just now; try again shortly")
    return recordings.merge_histories(answers)
