"""When a viewer's link is too slow for what it is sent: step down main → sub → keyframes only, and back up.

Pure: reports and times in, a level out. See `services.wall.relay.sending.hysteresis` for when it goes down and up.
"""

from enum import IntEnum
from typing import Final

from services.wall.relay.sending.hysteresis import Hysteresis


class QualityLevel(IntEnum):
    """How much a viewer is sent. The higher, the less."""

    FULL = 0
    SUB = 1
    KEYFRAMES = 2


LOSS_TROUBLE: Final = 0.12
LOSS_TROUBLE_WORST: Final = 0.30
"""At the sub level more loss is borne, since the next step leaves hardly any motion."""
LOSS_QUIET: Final = 0.03
ESTIMATE_TROUBLE: Final = 0.75
"""An estimate below this part of what is sent is trouble."""


class QualityController:
    """The level of one connection."""

    __slots__ = ("_steps",)

    def __init__(self, now: float) -> None:
        self._steps = Hysteresis(now, QualityLevel.KEYFRAMES)

    @property
    def level(self) -> QualityLevel:
        """How much the viewer is to be sent."""
        return QualityLevel(self._steps.down)

    def update(self, now: float, *, loss: float | None, estimate_bps: float | None, sent_bps: float) -> bool:
        """Takes the last second's view; whether the level changed.

        ``loss`` is the fraction lost before repair, None when the receiver said nothing; ``estimate_bps`` the
        receiver's estimate, None when it gives none; ``sent_bps`` what was really sent.
        """
        full = self.level == QualityLevel.FULL
        limit = LOSS_TROUBLE if full else LOSS_TROUBLE_WORST
        lossy = loss is not None and loss > limit
        narrow = estimate_bps is not None and sent_bps > 100_000 and estimate_bps < ESTIMATE_TROUBLE * sent_bps
        # An estimate sinks when the receiver's machine is busy, too: alone it takes away pixels, never motion.
        narrow = narrow and (full or (loss is not None and loss > LOSS_QUIET))
        return self._steps.update(now, trouble=lossy or narrow, quiet=loss is not None and loss <= LOSS_QUIET)
