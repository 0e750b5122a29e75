"""Access units that wait for a converter, and which of them it skips when it cannot keep up. Pure."""

from collections import deque
from typing import Final, NamedTuple

from services.contracts.frames import AccessUnit
from services.media.time import SECOND_90K

LATE_90K: Final = SECOND_90K
"""Behind by more, a converter only decodes, until it has caught up."""
HOPELESS_90K: Final = 4 * SECOND_90K
"""Behind by more, it goes on at the newest keyframe."""
MAX_UNITS: Final = 4000


class Job(NamedTuple):
    """The next access unit, and whether its picture is wanted."""

    unit: AccessUnit
    show: bool


class Backlog:
    """A queue in decoding order that skips pictures, so that the newest ones are not late for long."""

    def __init__(self) -> None:
        self._units: deque[AccessUnit] = deque()
        self.dropped = 0
        """Pictures that were skipped, or decoded only because later ones refer to them."""

    def __len__(self) -> int:
        return len(self._units)

    def add_unit(self, unit: AccessUnit) -> None:
        """Queues the next access unit."""
        self._units.append(unit)
        if len(self._units) > MAX_UNITS:
            self._skip_to_keyframe()

    def take_job(self) -> Job:
        """The next job, after skipping what is hopelessly late; raises ``IndexError`` where none waits.

        A late keyframe is stamped anew: see `_caught_up`.
        """
        late = self._late_90k()
        if late > HOPELESS_90K or self._units[-1].keyframe:
            self._skip_to_keyframe()
            late = self._late_90k()
        unit = self._units.popleft()
        # A keyframe is shown however late it is: it may be the only picture for long.
        show = late <= LATE_90K or unit.keyframe
        self.dropped += not show
        return Job(self._caught_up(unit), show)

    def take_every_job(self) -> Job:
        """The next job, with nothing skipped; raises ``IndexError`` where none waits."""
        return Job(self._units.popleft(), True)

    def _caught_up(self, unit: AccessUnit) -> AccessUnit:
        """A late keyframe just before the pictures that are shown next, so that the stream's time has no hole where
        pictures are skipped: a player would wait as long as that lasts. Its capture time stays what it was."""
        ahead = self._units[-1].dts_90k - LATE_90K - 1 - unit.dts_90k if self._units and unit.keyframe else 0
        if ahead <= 0:
            return unit
        return unit._replace(pts_90k=unit.pts_90k + ahead, dts_90k=unit.dts_90k + ahead)

    def _late_90k(self) -> int:
        return abs(self._units[-1].dts_90k - self._units[0].dts_90k)

    def _skip_to_keyframe(self) -> None:
        """Drops what is before the newest keyframe, if there is one among those that wait."""
        at = next((n for n in range(len(self._units) - 1, 0, -1) if self._units[n].keyframe), 0)
        if not at and len(self._units) > MAX_UNITS:
            at = 1
        for _ in range(at):
            self._units.popleft()
        self.dropped += at
