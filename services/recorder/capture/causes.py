"""Why there is no footage: what this recorder knows about the bus, the cameras and itself."""

from collections import deque
from typing import Final, NamedTuple

from services.contracts.models import CameraState, Reason, Status
from services.contracts.recordings import GapCause

_SLACK_US: Final = 5_000_000
"""The registry reports states after some hysteresis, and its clock may differ from ours."""


class _Trouble(NamedTuple):
    from_us: int
    to_us: int | None
    cause: str
    detail: str


class GapCauses:
    """Keeps the recent troubles; `explain` finds the one that caused a gap."""

    def __init__(self, started_us: int) -> None:
        self._started_us = started_us
        self._bus: deque[_Trouble] = deque(maxlen=64)
        self._cameras: dict[str, deque[_Trouble]] = {}

    def bus_lost(self, at_us: int) -> None:
        """The bus went away."""
        self._bus.append(_Trouble(at_us, None, GapCause.BUS_LOST, ""))

    def bus_back(self, at_us: int) -> None:
        """It is back."""
        if self._bus and self._bus[-1].to_us is None:
            self._bus[-1] = self._bus[-1]._replace(to_us=at_us)

    def camera_is(self, state: CameraState, at_us: int) -> None:
        """What the registry says about a camera."""
        troubles = self._cameras.setdefault(state.camera, deque(maxlen=16))
        if troubles and troubles[-1].to_us is None:
            troubles[-1] = troubles[-1]._replace(to_us=at_us)
        if state.status in (Status.OFFLINE, Status.CONNECTING, Status.DISABLED):
            cause = Reason.DISABLED if state.status is Status.DISABLED else state.reason
            troubles.append(_Trouble(min(state.since_us, at_us), None, cause, state.detail))

    def explain(self, camera: str, from_us: int, to_us: int, *, reopened: bool, lost: int) -> tuple[str, str]:
        """The cause of a gap and its detail. ``reopened``: the source was opened anew; ``lost``: frames missing."""
        for trouble in reversed(self._bus):
            if _touches(trouble, from_us, to_us, 0):
                return trouble.cause, trouble.detail
        if from_us < self._started_us <= to_us + _SLACK_US:
            return GapCause.RECORDER_DOWN, ""
        touching = [item for item in self._cameras.get(camera, ()) if _touches(item, from_us, to_us, _SLACK_US)]
        if touching:
            vague = (Reason.NONE, Reason.STARTING)
            best = next((item for item in touching if item.cause not in vague), touching[0])
            return (best.cause if best.cause not in vague else Reason.CLOSED), best.detail
        if reopened:
            return Reason.CLOSED, "reconnected"
        if lost:
            return Reason.FRAMES_LOST, f"{lost} frames"
        return GapCause.UNKNOWN, ""


def _touches(trouble: _Trouble, from_us: int, to_us: int, slack_us: int) -> bool:
    return trouble.from_us <= to_us and (trouble.to_us is None or trouble.to_us + slack_us >= from_us)
