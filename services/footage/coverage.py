"""Asks the recorders how much is recorded (`services.contracts.coverage`)."""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from services.contracts import recordings, subjects
from services.contracts.coverage import COVERAGE, MAX_CAMERAS, CoverageAnswer, CoverageQuestion
from services.contracts.errors import UnavailableError
from services.contracts.models import Id
from services.contracts.permissions import SYSTEM, Actor
from services.mesh import rpc
from services.mesh.bus import Bus

_ANSWER_SECONDS: Final = 10.0


class GatheredCoverage(NamedTuple):
    """The answers that `ask_coverage` collected."""

    answers: list[CoverageAnswer]
    """One answer of each recorder."""
    recorders: int
    """How many answered every question."""


async def ask_coverage(
    bus: Bus,
    home: Id,
    cameras: Sequence[Id],
    from_us: int,
    to_us: int,
    *,
    recorders: Callable[[], int],
    actor: Actor = SYSTEM,
) -> GatheredCoverage:
    """Asks all recorders about all cameras, a few at a time. ``recorders`` says how many are alive, to wait for.

    Raises `UnavailableError` where none answers.
    """
    subject = subjects.rpc(home, recordings.SERVICE, COVERAGE)
    gathered: dict[Id, CoverageAnswer] = {}
    answered: dict[Id, int] = {}
    pending, rounds = list(cameras), 0
    while pending or not rounds:
        some, pending, rounds = pending[:MAX_CAMERAS], pending[MAX_CAMERAS:], rounds + 1
        question = CoverageQuestion(cameras=tuple(some), from_us=from_us, to_us=to_us)
        answers = await rpc.gather(
            bus, subject, question, CoverageAnswer, actor=actor, expected=recorders(), timeout_seconds=_ANSWER_SECONDS
        )
        if not answers:
            raise UnavailableError("no recorder answers just now; try again shortly")
        again = {camera for answer in answers for camera in answer.left_out}
        pending = [camera for camera in some if camera in again] + pending
        for answer in answers:
            before = gathered.get(answer.recorder)
            kept = tuple(item for item in answer.cameras if item.camera not in again)
            gathered[answer.recorder] = answer.model_copy(
                update={"cameras": (before.cameras if before else ()) + kept, "left_out": ()}
            )
            answered[answer.recorder] = answered.get(answer.recorder, 0) + 1
    return GatheredCoverage(list(gathered.values()), sum(count == rounds for count in answered.values()))
