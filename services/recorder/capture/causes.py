"""Why there is no footage: what this recorder knows about the bus, the cameras and itself."""

from collections import deque
from typing import Final, NamedTuple

from services.contracts.models import CameraState, Reason, Status
from services.contracts.recordings import GapCause

_SLACK_US: Final = 5_000_000
"""The registry reports states after some hysteresis, and its clock may differ from ours."""


class HoleEvidence(NamedTuple):
    """What the two pictures beside a hole say."""

    reopened: bool = False
    """The source was opened anew."""
    lost: int = 0
    """Numbers missing between them."""
    follows: bool = False
    """No number is missing: ingest read nothing between them, or could not use it."""
    new_epoch: bool = False
    """The camera was read under another assignment after it…"""
    reader_heard: bool = False
    """…and the worker that read it before is still heard."""


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

    def bus_lost(self, at_us: int, *, frozen: bool = False) -> None:
        """The bus went away; ``frozen``: it is connected, and nothing comes back through it."""
        cause = GapCause.BUS_FROZEN if frozen else GapCause.BUS_LOST
        if self._bus and self._bus[-1].to_us is None:
            if self._bus[-1].cause is cause:
                return
            self.bus_back(at_us)
        self._bus.append(_Trouble(at_us, None, cause, ""))

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

    def explain(self, camera: str, from_us: int, to_us: int, seen: HoleEvidence) -> tuple[str, str]:
        """The cause of a gap and its detail; docs/recording.md has the table of causes and what proves them."""
        own = None if seen.follows else self._of_the_mesh(from_us, to_us)
        if own is not None and not seen.new_epoch:
            return own, ""
        touching = [item for item in self._cameras.get(camera, ()) if _touches(item, from_us, to_us, _SLACK_US)]
        vague = [Reason.NONE, Reason.STARTING, Reason.NO_INGEST]
        if seen.new_epoch:
            vague.append(Reason.NO_KEYFRAME)  # the worker that took the camera over had to wait for one
        # What began later than a hole did not make it: a recorder that was away hears how cameras come back.
        since_us = to_us if own is None else from_us + _SLACK_US
        best = next((item for item in touching if item.cause not in vague and item.from_us <= since_us), None)
        if best is not None:
            return best.cause, best.detail
        if own is not None:
            return own, ""
        if seen.new_epoch and not seen.follows:
            return (GapCause.LEASE_LOST if seen.reader_heard else GapCause.WORKER_LOST), ""
        if seen.reopened:
            return Reason.CLOSED, "reconnected"
        if seen.lost:
            return Reason.FRAMES_LOST, f"{seen.lost} frames"
        if any(item.cause == Reason.NO_INGEST for item in touching):
            return Reason.NO_INGEST, ""
        return GapCause.UNKNOWN, ""

    def _of_the_mesh(self, from_us: int, to_us: int) -> str | None:
        """What this recorder knows of the bus and of itself."""
        for trouble in reversed(self._bus):
            if _touches(trouble, from_us, to_us, 0):
                return trouble.cause
        if from_us < self._started_us <= to_us + _SLACK_US:
            return GapCause.RECORDER_DOWN
        return None


def _touches(trouble: _Trouble, from_us: int, to_us: int, slack_us: int) -> bool:
    return trouble.from_us <= to_us and (trouble.to_us is None or trouble.to_us + slack_us >= from_us)
