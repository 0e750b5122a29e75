"""What an owner grants to its hub: one right to a camera, for some time."""

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple, Self

from services.contracts.permissions import Right

ALL: Final = "*"
"""Stands for every camera of the mesh's own site."""
_ENDLESS: Final = 1 << 62


class Window(NamedTuple):
    """A time that a grant counts for."""

    from_s: int = 0
    """Unix time; 0: since ever."""
    until_s: int = 0
    """Unix time; 0: no end."""

    def is_over(self, now_s: float) -> bool:
        """Whether it has ended."""
        return 0 < self.until_s <= now_s

    def outside(self, other: "Window") -> "list[Window]":
        """What is left of it without ``other``."""
        end, other_end = self.until_s or _ENDLESS, other.until_s or _ENDLESS
        before = Window(self.from_s, min(self.until_s or other.from_s, other.from_s))
        behind = Window(max(self.from_s, other.until_s), self.until_s)
        return [
            each for each, is_there in ((before, self.from_s < other.from_s), (behind, other_end < end)) if is_there
        ]


ALWAYS: Final = Window()


class HubGrant(NamedTuple):
    """A right to a camera."""

    camera: str
    """Its id here, or `ALL`."""
    right: Right
    window: Window = ALWAYS
    purpose: str = ""

    def as_json(self) -> dict[str, Any]:
        """For a file; `from_json` reads it."""
        return {"camera": self.camera, "right": self.right, "window": list(self.window), "purpose": self.purpose}

    @classmethod
    def from_json(cls, given: dict[str, Any]) -> Self:
        """What `as_json` made."""
        return cls(given["camera"], Right(given["right"]), Window(*given["window"]), given["purpose"])

    def told(self) -> dict[str, str]:
        """For the audit: what stands in it, times as RFC 3339."""
        from_s, until_s = self.window
        found = {"right": str(self.right), "from": _moment(from_s), "until": _moment(until_s), "purpose": self.purpose}
        return {name: text for name, text in found.items() if text}

    def __str__(self) -> str:
        from_s, until_s = (_moment(each) for each in self.window)
        times = (f"from {from_s}" if from_s else "", f"until {until_s}" if until_s else "")
        return " ".join(each for each in (self.right, *times, f"({self.purpose})" if self.purpose else "") if each)


Granted = tuple[HubGrant, ...]


def needed(grants: Iterable[HubGrant], now_s: float) -> Granted:
    """Those that are not over, by camera; none of a camera that only says again what is granted for all."""
    left = [each for each in grants if not each.window.is_over(now_s)]
    return tuple(sorted(each for each in left if counting(each, left)))


def counting(grant: HubGrant, grants: Sequence[HubGrant]) -> list[Window]:
    """When the grant counts: not while all cameras are granted, as nats-server would pass on everything twice."""
    for_all = [each for each in grants if (each.camera, each.right) == (ALL, grant.right)]
    if grant.camera == ALL or not for_all:
        return [grant.window]
    return grant.window.outside(for_all[0].window)


def read(note: dict[str, Any]) -> Granted:
    """What was written down, by this version or by one before."""
    if "grants" in note:
        return tuple(HubGrant.from_json(each) for each in note["grants"])
    found = dict.fromkeys(note.get("cameras", ()), ("live",)) | note.get("granted", {})
    return tuple(HubGrant(camera, Right(right)) for camera, rights in found.items() for right in rights)


def _moment(at_s: int) -> str:
    return dt.datetime.fromtimestamp(at_s, dt.UTC).isoformat() if at_s else ""
