"""Pauses grow, and the same trouble is told once."""

from services.mesh.clock import ManualClock
from services.recorder.archive.condition import ArchiveCondition
from services.recorder.archive.errors import ArchiveError, ArchiveTrouble

DOWN = ArchiveError(ArchiveTrouble.UNREACHABLE, "down")


def test_pauses_double_up_to_the_longest_with_jitter() -> None:
    condition = ArchiveCondition(ManualClock().monotonic, longest_seconds=60)
    pauses = []
    for _ in range(10):
        condition.failed(DOWN)
        pauses.append(condition.pause_seconds())
    for number, pause in enumerate(pauses):
        longest = min(2**number, 60)
        assert longest / 2 <= pause <= longest
    assert len(set(pauses)) == len(pauses)


def test_a_trouble_is_told_at_first_when_it_changes_and_once_an_hour() -> None:
    clock = ManualClock()
    condition = ArchiveCondition(clock.monotonic)
    told = []
    for error in (DOWN, DOWN, ArchiveError(ArchiveTrouble.REFUSED, "key"), DOWN):
        told.append(condition.failed(error))
        clock.advance(1)
    assert told == [True, False, True, True]
    clock.advance(3600)
    assert condition.failed(DOWN)
    assert condition.worked() == 3604
    assert condition.worked() is None
    assert condition.failed(DOWN)
