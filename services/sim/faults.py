"""The faults of a simulated camera, and the set of those that hold."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Fault(StrEnum):
    """One fault. Several may hold at once. ``value`` is its parameter, if it has one."""

    REFUSE = "refuse"
    """Open connections are reset, and each new one as soon as it asks for the camera. With a port for each camera
    (`SimSettings.own_ports`) its port is closed."""
    UNAUTHORIZED = "unauthorized"
    """401 for all credentials. Streams that play go on."""
    NOT_FOUND = "not-found"
    """404, as after a change of the camera's configuration."""
    STALL = "stall"
    """Requests are answered and streams play, but no RTP and no RTCP is sent."""
    HANG = "hang"
    """As stall, and no request is answered: the socket is open and silent."""
    DROP = "drop"
    """Connections are closed once; with a ``value`` each one that many seconds after its PLAY."""
    GARBAGE = "garbage"
    """Random bytes instead of packets: TCP loses its framing, and no datagram is RTP."""
    CORRUPT = "corrupt"
    """Well-formed RTP whose payload is random."""
    CLOCK_JUMP = "clock-jump"
    """RTP timestamps jump by ``value`` seconds (default 3600; negative: backwards), once."""
    NTP_JUMP = "ntp-jump"
    """The wall clock in sender reports is wrong by ``value`` seconds (default 86400)."""
    FROZEN_CLOCK = "frozen-clock"
    """Each packet has the same RTP timestamp."""
    NO_REPORTS = "no-reports"
    """No RTCP."""
    RESOLUTION = "resolution"
    """H.264 and H.265: another picture size from the next keyframe on, announced in-band only."""
    NO_SPROP = "no-sprop"
    """The SDP has no parameter sets: they come in-band only."""
    NO_IN_BAND = "no-in-band"
    """Parameter sets come in the SDP only."""
    BROKEN_SDP = "broken-sdp"
    """The SDP is cut in its first media line."""
    LOSS = "loss"
    """A share ``value`` (default 0.05) of the RTP packets is lost on UDP."""
    HUGE_FRAME = "huge-frame"
    """One frame of ``value`` bytes (default 12 million), once."""


ONE_SHOT: Final = frozenset({Fault.CLOCK_JUMP, Fault.HUGE_FRAME})
DEFAULTS: Final[dict[Fault, float]] = {
    Fault.CLOCK_JUMP: 3600, Fault.NTP_JUMP: 86_400, Fault.LOSS: 0.05, Fault.HUGE_FRAME: 12_000_000, Fault.DROP: 0,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class FaultSetting:
    """A fault from a command line: ``cam-003=stall``, ``cam-004/sub=loss:0.1``, ``*=no-sprop``."""

    camera: str
    profile: str | None
    fault: Fault
    value: float | None = None

    @classmethod
    def parse(cls, text: str) -> "FaultSetting":
        """Raises ValueError that says what is wrong."""
        where, equals, what = text.partition("=")
        camera, _, profile = where.partition("/")
        name, _, value = what.partition(":")
        if not camera or not equals or profile not in ("", "main", "sub"):
            raise ValueError(f"{text!r} is not CAMERA[/main|sub]=FAULT[:VALUE]")
        try:
            return cls(camera, profile or None, Fault(name), float(value) if value else None)
        except ValueError as error:
            raise ValueError(f"{text!r}: faults are {', '.join(Fault)}, values numbers") from error


class Faults:
    """The faults that hold for one profile of one camera."""

    __slots__ = ("_values",)

    def __init__(self) -> None:
        self._values: dict[Fault, float] = {}

    def __bool__(self) -> bool:
        return bool(self._values)

    def __contains__(self, fault: Fault) -> bool:
        return fault in self._values

    def any_of(self, faults: Iterable[Fault]) -> bool:
        """Whether one of them holds."""
        return any(fault in self._values for fault in faults)

    def set(self, fault: Fault, value: float | None = None) -> float:
        """Makes a fault hold; returns its value."""
        chosen = DEFAULTS.get(fault, 0.0) if value is None else value
        if fault not in ONE_SHOT:
            self._values[fault] = chosen
        return chosen

    def clear(self, fault: Fault | None = None) -> None:
        """Ends one fault, or all."""
        if fault is None:
            self._values.clear()
        else:
            self._values.pop(fault, None)

    def value(self, fault: Fault) -> float | None:
        """Its value while it holds."""
        return self._values.get(fault)

    def as_dict(self) -> dict[str, float]:
        """Name → value of each fault that holds."""
        return {fault.value: value for fault, value in self._values.items()}
