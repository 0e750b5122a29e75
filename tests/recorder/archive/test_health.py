"""Pauses grow, and the same trouble is told once."""

from services.contracts.events import ArchiveFailed, ArchiveRecovered, Event
from services.mesh.clock import ManualClock
from services.recorder.archive.archive import ArchiveError, ArchiveTrouble
from services.recorder.archive.health import ArchiveHealth
from services.recorder.events import RecorderEvents

DOWN = ArchiveError(ArchiveTrouble.UNREACHABLE, "down")


def health_of(clock: ManualClock, told: list[Event], longest_seconds: float = 60) -> ArchiveHealth:
    return ArchiveHealth(clock, RecorderEvents("rec-1", "city", clock, told.append), longest_seconds=longest_seconds)


def fail(health: ArchiveHealth, error: ArchiveError = DOWN) -> None:
    health.note_failure(error, waiting_segments=2, waiting_bytes=2000)


def test_pauses_double_up_to_the_longest_with_jitter() -> None:
    health = health_of(ManualClock(), [])
    pauses = []
    for _ in range(10):
        fail(health)
        pauses.append(health.pause_seconds())
    for number, pause in enumerate(pauses):
        longest = min(2**number, 60)
        assert longest / 2 <= pause <= longest
    assert len(set(pauses)) == len(pauses)
    health.note_success()
    assert health.pause_seconds() <= 1


def test_a_trouble_is_told_at_first_when_it_changes_and_once_an_hour() -> None:
    clock, told = ManualClock(), list[Event]()
    health = health_of(clock, told)
    counts = []
    for error in (DOWN, DOWN, ArchiveError(ArchiveTrouble.REFUSED, "key"), DOWN):
        fail(health, error)
        counts.append(len(told))
        clock.advance(1)
    assert counts == [1, 1, 2, 3]
    clock.advance(3600)
    fail(health)
    assert len(told) == 4
    health.note_success()
    recovered = told[-1]
    assert isinstance(recovered, ArchiveRecovered)
    assert recovered.after_seconds == 3604
    health.note_success()
    assert len(told) == 5  # that it goes on working is no news
    fail(health)
    again = told[-1]
    assert isinstance(again, ArchiveFailed)
    assert (again.waiting_segments, again.waiting_bytes) == (2, 2000)
