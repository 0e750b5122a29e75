"""When a worker says that it has more to do than it can."""

import pytest

from services.ingest.overload import (
    BEHIND_SECONDS,
    FULL_LOAD,
    LATE_SECONDS,
    LOOKS,
    Overload,
    WorkerLoad,
)
from services.ingest.shedding import SheddableCamera, Shedding

WELL = WorkerLoad(0.5, 0.0, 0)


def after(*loads: WorkerLoad) -> str:
    overload = Overload()
    for load in loads:
        overload.look(load)
    return overload.reason


@pytest.mark.parametrize(
    ("load", "said"),
    [
        (WELL._replace(cpu=FULL_LOAD), "95% of its CPU"),
        (WELL._replace(late_seconds=LATE_SECONDS), "0.5 s late"),
        (WELL._replace(dropped=7), "7 frames"),
        (WELL._replace(behind_seconds=BEHIND_SECONDS), "wait 1.0 s"),
    ],
)
def test_a_limit_that_stays_passed_is_an_overload_and_a_moment_is_none(load: WorkerLoad, said: str) -> None:
    assert after(*[load] * (LOOKS - 1)) == ""
    assert said in after(*[load] * LOOKS)
    assert after(*[load, WELL] * 10) == ""


def test_it_is_over_when_there_is_room_again_for_a_while() -> None:
    full = [WELL._replace(cpu=FULL_LOAD)] * LOOKS
    assert after(*full, *[WELL] * (LOOKS - 1)) != ""
    assert after(*full, *[WELL] * LOOKS) == ""
    assert after(*full, *[WELL._replace(cpu=FULL_LOAD * 0.95)] * 10) != "", "it flaps at the limit"


class ModelWorker:
    """A worker whose cameras cost the same: how far behind it is, how late, and what its CPU seems to be."""

    def __init__(self, cameras: int, carries: float, share: float) -> None:
        """``share``: what others leave it of the CPU with which it would carry so many cameras."""
        self.cameras = {f"cam-{number:03d}": SheddableCamera(True, 5, False) for number in range(cameras)}
        self.read: set[str] = set()
        self._gets = carries * share
        self._carries = carries
        self._waiting: dict[str, float] = {}
        """Seconds of each camera's media."""
        self._overload = Overload()
        self._shedding = Shedding()

    def look(self) -> None:
        """The next two seconds, and the look at them."""
        seconds = 2.0
        self.read = self.cameras.keys() - {name for name, shed in self._shedding.shed.items() if shed == "camera"}
        before = {name: self._waiting.get(name, 0.0) + seconds for name in self.read}
        done = min(1.0, self._gets * seconds / sum(before.values()))
        used = done * sum(before.values()) / (self._carries * seconds)
        # A connection holds ten seconds; what it cannot take the camera throws away.
        self._waiting = {name: min(waited * (1 - done), 10.0) for name, waited in before.items()}
        behind_seconds = sum(self._waiting.values()) / (done * sum(before.values()) / seconds)
        load = WorkerLoad(used, min(1.5, behind_seconds / 4), 0, behind_seconds)
        self._overload.look(load)
        self._shedding.look(self.cameras, load, overloaded=bool(self._overload.reason))

    @property
    def behind_seconds(self) -> float:
        return max(self._waiting.values())


@pytest.mark.parametrize("share", [1.0, 0.8], ids=["all of its CPU", "others take a fifth"])
@pytest.mark.parametrize("times", [1.5, 3.0])
@pytest.mark.parametrize("carried", [12, 40, 120])
def test_under_too_many_cameras_it_soon_keeps_up_with_nine_tenths_of_what_it_carries(
    carried: int, times: float, share: float
) -> None:
    worker = ModelWorker(round(carried * times), carried * 1.1, share)
    for _ in range(40):
        worker.look()
    kept = set(worker.read)
    for _ in range(60):
        worker.look()
        kept &= worker.read
    assert len(kept) >= 0.9 * carried * share
    assert worker.behind_seconds < 2.0
