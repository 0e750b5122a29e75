"""How much moves in front of a camera, measured on the compressed stream: no picture is decoded.

A GOP gives four numbers: bytes of its keyframe, bytes and number of the other pictures, duration. Two features measure
movement. The rate of non-key bytes works under constant quality and capped rate, and fails where the encoder fills a
constant rate. The ratio of non-key to key bytes works there too, because in a still scene the bits go to the keyframes.
Each feature is compared with this camera's own running spread at this time of day, and the two are added. The raw
numbers are kept beside the level, so that a better formula can be applied to old footage.
"""

import math
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Self

import msgpack

FORMULA: Final = 1
"""Its number changes with the meaning of levels; old footage is then scored again."""
_HOUR_US: Final = 3_600_000_000
_LOW, _HIGH = 0.1, 0.9
"""The quantiles between which a feature's spread is measured."""
_LEAST_SPREAD: Final = 0.2
"""In natural logarithms: narrower than this is noise, not a difference between still and busy."""
_STEP: Final = 0.03
"""How far one group moves a quantile, as a share of the spread."""
_LEARNT: Final = 30
"""GOPs after which an hour of the day has its own baseline."""


class GopStats(NamedTuple):
    """The raw numbers of one group of pictures."""

    at_us: int
    """Capture time of its key frame, Unix µs."""
    duration_us: int
    key_bytes: int
    other_bytes: int
    """Of all frames but the key frame."""
    others: int
    """How many frames those are."""

    @property
    def features(self) -> tuple[float, float]:
        """ln of the non-key bytes a second, and ln of the ratio of non-key to key bytes."""
        seconds = max(self.duration_us, 1) / 1e6
        rate = math.log((self.other_bytes + 1) / seconds)
        return rate, math.log((self.other_bytes + 1) / (self.key_bytes + 1))


@dataclass
class _Spread:
    """Two running quantiles of one feature, by stochastic approximation: each sample moves them by a small step."""

    low: float
    high: float

    def scale(self, value: float) -> float:
        return (value - self.low) / max(self.high - self.low, _LEAST_SPREAD)

    def learn(self, value: float) -> None:
        pull = _STEP * max(self.high - self.low, _LEAST_SPREAD)
        self.low += pull * (_LOW if value > self.low else _LOW - 1)
        self.high += pull * (_HIGH if value > self.high else _HIGH - 1)
        if self.low > self.high:
            self.low = self.high = (self.low + self.high) / 2


@dataclass
class _Bin:
    """The baseline of one hour of the day, or of all: exact quantiles of the first GOPs, running ones afterwards."""

    seen: int = 0
    spreads: list[_Spread] = field(default_factory=list)
    first: list[tuple[float, float]] = field(default_factory=list)

    def learn(self, features: tuple[float, float]) -> None:
        if self.seen < _LEARNT:
            self.seen += 1
            self.first.append(features)
            self.spreads = [_exact(sorted(column)) for column in zip(*self.first, strict=True)]
            if self.seen == _LEARNT:
                self.first = []
            return
        for spread, value in zip(self.spreads, features, strict=True):
            spread.learn(value)


def _exact(ordered: list[float]) -> _Spread:
    last = len(ordered) - 1
    return _Spread(ordered[round(_LOW * last)], ordered[round(_HIGH * last)])


class Baseline:
    """The usual movement in front of one camera, by hour of the day (UTC is enough, since each hour returns)."""

    def __init__(self) -> None:
        self._always = _Bin()
        self._hours = [_Bin() for _ in range(24)]

    def level(self, gop: GopStats) -> float:
        """How busy this group is, 0 (as still as it gets here) to 1 (as busy as it gets); then learns from it."""
        features = gop.features
        hour = self._hours[gop.at_us // _HOUR_US % 24]
        known = hour if hour.seen >= _LEARNT else self._always
        level = 0.0
        if known.spreads:
            level = sum(spread.scale(value) for spread, value in zip(known.spreads, features, strict=True)) / 2
        self._always.learn(features)
        hour.learn(features)
        return min(max(level, 0.0), 1.0)

    def dump(self) -> bytes:
        """The state, for the index."""
        packed: bytes = msgpack.packb(
            [
                [bin_.seen, [(spread.low, spread.high) for spread in bin_.spreads], bin_.first]
                for bin_ in (self._always, *self._hours)
            ]
        )
        return packed

    @classmethod
    def restore(cls, state: bytes) -> Self:
        """The baseline that `dump` wrote; raises ``ValueError`` where it cannot have."""
        baseline = cls()
        try:
            bins = [
                _Bin(int(seen), [_Spread(low, high) for low, high in spreads], [(rate, ratio) for rate, ratio in first])
                for seen, spreads, first in msgpack.unpackb(state)
            ]
        except (TypeError, ValueError) as error:
            raise ValueError("not the state of an activity baseline") from error
        if len(bins) != 25:
            raise ValueError("not the state of an activity baseline")
        baseline._always, baseline._hours = bins[0], bins[1:]
        return baseline
