"""How much of the CPU that it could have had a worker uses: what others take does not count as left."""

import time
from pathlib import Path

import pytest

from services.ingest.cpu_use import CpuUse
from services.mesh.clock import ManualClock


@pytest.mark.parametrize(
    ("cpus", "used", "waited", "share"),
    [
        (1.0, 0.5, 0.0, 0.5),
        (0.25, 0.1, 0.0, 0.4),
        (1.0, 0.2, 0.6, 0.5),
        (1.0, 0.2, 0.8, 1.0),
        (0.25, 0.25, 0.75, 1.0),
        (1.0, 0.0, 1.0, 0.0),
    ],
    ids=["alone", "a quota", "others take half", "others take all else", "the end of a quota", "it never runs"],
)
def test_the_share_is_of_what_others_and_the_quota_leave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cpus: float, used: float, waited: float, share: float
) -> None:
    clock, cpu_seconds, scheduled = ManualClock(), [7.0], tmp_path / "schedstat"
    monkeypatch.setattr(time, "process_time", lambda: cpu_seconds[0])
    scheduled.write_text("7000000000 5000000000 12")
    use = CpuUse(clock, lambda: cpus, scheduled)
    clock.advance(2)
    cpu_seconds[0] += 2 * used
    scheduled.write_text(f"0 {round(5e9 + 2e9 * waited)} 40")
    assert use.look() == pytest.approx(share)


def test_where_the_system_does_not_tell_who_waits_the_share_is_of_what_it_may_use(tmp_path: Path) -> None:
    clock = ManualClock()
    use = CpuUse(clock, lambda: 1.0, tmp_path / "missing")
    clock.advance(1000)
    assert 0 <= use.look() < 0.5


def test_a_quota_counts_that_is_set_while_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, cpu_seconds, quotas = ManualClock(), [7.0], [1.0]
    monkeypatch.setattr(time, "process_time", lambda: cpu_seconds[0])
    use = CpuUse(clock, lambda: quotas[0], tmp_path / "missing")
    quotas[0] = 0.1
    clock.advance(2)
    cpu_seconds[0] += 0.2
    assert use.look() == pytest.approx(1.0)
