"""An incident that is opened in the middle of a pass of retention holds what the pass has not come to yet."""

from services.contracts.models import Incident
from services.mesh.clock import ManualClock
from services.recorder.retention.holds import REFRESH_SECONDS, CurrentHolds
from tests.recorder.units import START_US


def test_an_incident_opened_during_a_pass_holds_the_rest() -> None:
    clock = ManualClock(START_US)
    incidents: list[Incident] = []
    holds = CurrentHolds(lambda: incidents, clock.now_us, clock.monotonic)
    assert not holds.held("cam-1", START_US, START_US + 60_000_000)
    incidents.append(Incident(id="incident-1", title="x", cameras=("cam-1",), from_us=START_US + 1))
    clock.advance(REFRESH_SECONDS)
    assert holds.held("cam-1", START_US, START_US + 60_000_000)
    assert not holds.held("cam-2", START_US, START_US + 60_000_000)
    assert not holds.held("cam-1", START_US - 60_000_000, START_US)
