"""Retention ladders: ``full 10d, keyframes 60d every 10s``. Pure.

    ladder    = full [ "," keyframes ]
    full      = "full" age
    keyframes = "keyframes" age "every" age
    age       = number ("s" | "m" | "h" | "d" | "w") | "for ever"

Ages count from the capture time, so the ages of a ladder grow.
"""

import math
import re
from typing import Final, NamedTuple

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_AGE: Final = r"(?:(\d+(?:\.\d+)?)\s*([smhdw])|(for\s*ever))"
_FULL: Final = re.compile(rf"full\s+{_AGE}", re.IGNORECASE)
_KEYFRAMES: Final = re.compile(rf"keyframes\s+{_AGE}\s+every\s+(\d+(?:\.\d+)?)\s*([smh])", re.IGNORECASE)
EXAMPLE: Final = "full 10d, keyframes 60d every 10s"


class Ladder(NamedTuple):
    """How long footage is kept, and in which form."""

    full_seconds: float
    """Infinite: for ever."""
    keyframes_seconds: float = 0.0
    """Counted from the capture time; 0: no such rung."""
    every_seconds: float = 10.0
    """On that rung one keyframe of so much time is kept."""

    @property
    def thins(self) -> bool:
        """Whether footage is thinned before it is removed."""
        return self.keyframes_seconds > self.full_seconds

    @property
    def total_seconds(self) -> float:
        """The age at which all footage is removed."""
        return max(self.full_seconds, self.keyframes_seconds)

    def __str__(self) -> str:
        """The text that `parse_ladder` reads."""
        text = f"full {_age(self.full_seconds)}"
        if self.keyframes_seconds:
            text += f", keyframes {_age(self.keyframes_seconds)} every {_number(self.every_seconds)}s"
        return text


def parse_ladder(text: str) -> Ladder:
    """Reads a ladder; raises ``ValueError`` that shows a valid one."""
    rungs = [part.strip() for part in text.split(",")]
    full = _FULL.fullmatch(rungs[0])
    if not full or len(rungs) > 2:
        raise ValueError(f"{text!r} is no retention ladder; write it like {EXAMPLE!r}")
    full_seconds = _seconds(full[1], full[2])
    if len(rungs) == 1:
        return Ladder(full_seconds)
    keyframes = _KEYFRAMES.fullmatch(rungs[1])
    if not keyframes:
        raise ValueError(f"{rungs[1]!r} is no rung of a retention ladder; write it like {EXAMPLE!r}")
    keyframes_seconds = _seconds(keyframes[1], keyframes[2])
    every = float(keyframes[4]) * _UNITS[keyframes[5].lower()]
    if keyframes_seconds <= full_seconds:
        raise ValueError(
            f"{text!r}: keyframes must be kept longer than full footage, since both ages count from the start"
        )
    if every <= 0:
        raise ValueError(f"{text!r}: 'every' must be longer than nothing")
    return Ladder(full_seconds, keyframes_seconds, every)


def _seconds(number: str | None, unit: str | None) -> float:
    return float(number) * _UNITS[unit.lower()] if number and unit else math.inf


def _age(seconds: float) -> str:
    if math.isinf(seconds):
        return "for ever"
    for unit in ("d", "h", "m"):
        if seconds and seconds % _UNITS[unit] == 0:
            return f"{_number(seconds / _UNITS[unit])}{unit}"
    return f"{_number(seconds)}s"


def _number(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".")
