"""A gap's cause is what is proved: never the camera where the mesh lost it, never the mesh where the camera did."""

import pytest

from services.contracts.models import CameraState, Reason, Status
from services.contracts.recordings import GapCause
from services.recorder.capture.causes import GapCauses, HoleEvidence

S = 1_000_000
STARTED_US = 1_000 * S


def causes() -> GapCauses:
    return GapCauses(STARTED_US)


def offline(found: GapCauses, since: int, until: int, reason: Reason = Reason.UNREACHABLE) -> None:
    for status, at, why in ((Status.OFFLINE, since, reason), (Status.ONLINE, until, Reason.NONE)):
        state = CameraState(camera="cam-1", site="city", status=status, reason=why, since_us=at * S)
        found.camera_is(state, at * S)


def explained(found: GapCauses, since: int, until: int, **seen: object) -> str:
    return found.explain("cam-1", since * S, until * S, HoleEvidence(**seen))[0]  # type: ignore[arg-type]  # handed on


def test_a_source_that_was_opened_anew_by_the_same_worker_was_closed() -> None:
    assert explained(causes(), 2000, 2010, reopened=True, follows=True) == Reason.CLOSED


@pytest.mark.parametrize(("heard", "cause"), [(False, GapCause.WORKER_LOST), (True, GapCause.LEASE_LOST)])
def test_a_worker_that_was_replaced_is_not_the_camera_s_fault(heard: bool, cause: GapCause) -> None:
    assert explained(causes(), 2000, 2010, reopened=True, new_epoch=True, reader_heard=heard) == cause


def test_a_camera_that_was_unreachable_meanwhile_is_the_cause_also_where_it_was_moved() -> None:
    found = causes()
    offline(found, 2000, 2010)
    assert explained(found, 2000, 2010, reopened=True, new_epoch=True) == Reason.UNREACHABLE
    assert explained(found, 2000, 2010, reopened=True, follows=True) == Reason.UNREACHABLE


def test_a_worker_that_the_registry_missed_is_no_fault_of_the_camera() -> None:
    found = causes()
    offline(found, 2000, 2010, Reason.NO_INGEST)
    assert explained(found, 2000, 2010, reopened=True, new_epoch=True) == GapCause.WORKER_LOST


@pytest.mark.parametrize(("frozen", "cause"), [(False, GapCause.BUS_LOST), (True, GapCause.BUS_FROZEN)])
def test_frames_that_are_missing_while_the_bus_was_away_are_the_bus_s(frozen: bool, cause: GapCause) -> None:
    found = causes()
    found.bus_lost(2000 * S, frozen=frozen)
    found.bus_back(2010 * S)
    assert explained(found, 2001, 2009, lost=200) == cause
    assert explained(found, 2020, 2030, lost=200) == Reason.FRAMES_LOST


def test_a_bus_that_freezes_and_is_then_left_has_two_causes_in_turn() -> None:
    found = causes()
    found.bus_lost(2000 * S, frozen=True)
    found.bus_lost(2010 * S)
    found.bus_back(2020 * S)
    assert explained(found, 2001, 2005, lost=1) == GapCause.BUS_FROZEN
    assert explained(found, 2012, 2015, lost=1) == GapCause.BUS_LOST


def test_where_no_number_is_missing_a_bus_that_was_away_lost_nothing() -> None:
    found = causes()
    found.bus_lost(2000 * S)
    found.bus_back(2010 * S)
    assert explained(found, 2001, 2009, reopened=True, follows=True) == Reason.CLOSED
    assert explained(found, 2001, 2009, follows=True) == GapCause.UNKNOWN


def test_what_was_before_this_recorder_s_start_is_its_own() -> None:
    assert explained(causes(), 900, 1001) == GapCause.RECORDER_DOWN
    assert explained(causes(), 900, 1001, follows=True, reopened=True) == Reason.CLOSED


def test_what_nothing_proves_is_unknown() -> None:
    assert explained(causes(), 2000, 2010) == GapCause.UNKNOWN


def test_a_camera_that_waits_for_a_keyframe_when_its_recorder_is_back_did_not_make_the_hole_before() -> None:
    found = causes()
    offline(found, 1001, 1002, Reason.NO_KEYFRAME)
    assert explained(found, 700, 1002, new_epoch=True, reopened=True) == GapCause.RECORDER_DOWN
    offline(found, 1001, 1002, Reason.UNREACHABLE)
    assert explained(found, 700, 1002, new_epoch=True, reopened=True) == GapCause.RECORDER_DOWN


def test_a_worker_that_takes_a_camera_over_and_waits_for_a_keyframe_is_no_fault_of_the_camera() -> None:
    found = causes()
    offline(found, 2008, 2010, Reason.NO_KEYFRAME)
    assert explained(found, 2008, 2010, new_epoch=True, reopened=True, reader_heard=True) == GapCause.LEASE_LOST
    assert explained(found, 2008, 2010, reopened=True, follows=True) == Reason.NO_KEYFRAME
