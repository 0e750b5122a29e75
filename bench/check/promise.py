"""One promise and the figures of its tries."""

from collections.abc import Sequence
from typing import NamedTuple

from bench.report import percentile

COLUMNS = ("promise", "unit", "N", "p50", "bound", "p95", "bound", "")

_FEW = 20


class Promise(NamedTuple):
    """Kept where both figures are within their bounds; without a try it is missed."""

    what: str
    unit: str
    tries: Sequence[float]
    p95: float
    """What 95 % of the tries may reach; of fewer than 20 all of them."""
    p50: float | None = None
    """What half of the tries may reach, where that is promised too."""

    @property
    def kept(self) -> bool:
        """Whether it is."""
        p50 = self.p95 if self.p50 is None else self.p50
        return bool(self.tries) and percentile(self.tries, 0.5) <= p50 and percentile(self.tries, 0.95) <= self.p95

    def row(self) -> list[object]:
        """Its cells, under `COLUMNS`."""
        p50, p95 = percentile(self.tries, 0.5), percentile(self.tries, 0.95)
        bound = "–" if self.p50 is None else self.p50
        return [self.what, self.unit, len(self.tries), p50, bound, p95, self.p95, "kept" if self.kept else "MISSED"]

    def line(self) -> str:
        """As one line, for those who watch it run."""
        tries = (
            " ".join(f"{each:.3g}" for each in self.tries) if len(self.tries) <= _FEW else f"{len(self.tries)} tries"
        )
        p50, p95 = percentile(self.tries, 0.5), percentile(self.tries, 0.95)
        figures = f"p50 {p50:.3g}, p95 {p95:.3g} {self.unit} (≤ {self.p95:g})"
        return f"{'kept  ' if self.kept else 'MISSED'} {self.what}: {figures}; {tries}"
