"""What a report names whole, and what only its digest: nothing that the leader judges a camera by is left out."""

import pytest

from services.contracts.models import CameraReport, ProfileReport, Reason
from services.ingest.digest import WHOLE_EVERY, ReportDigest

UP = ProfileReport(status="online", codec="h264", frame_rate=25, frames=1000, bitrate_bps=4_000_000)
CAMERAS = tuple(f"cam-{number:03d}" for number in range(30))


def report(camera: str, main: ProfileReport, *, epoch: int = 1, sub: ProfileReport | None = None) -> CameraReport:
    profiles = {"main": main} | ({"sub": sub} if sub else {})
    return CameraReport(camera=camera, site="city", epoch=epoch, profiles=profiles)


def later(times: int, **more: object) -> ProfileReport:
    """The profile so many reports later."""
    return UP.model_copy(update={"frames": 1000 + 50 * times} | more)


def told(reports: list[CameraReport]) -> ReportDigest:
    digest = ReportDigest()
    whole, steady = digest.split(reports)
    assert whole == tuple(reports)
    assert not steady, "nothing was told before"
    return digest


def test_cameras_that_go_on_take_turns_to_come_whole_and_are_all_named_each_time() -> None:
    digest = told([report(camera, UP) for camera in CAMERAS])
    came: list[str] = []
    for times in range(1, WHOLE_EVERY + 1):
        whole, steady = digest.split([report(camera, later(times)) for camera in CAMERAS])
        named = {each.camera for each in whole}
        assert named | steady.keys() == set(CAMERAS)
        assert not named & steady.keys()
        assert set(steady.values()) == {1000 + 50 * times}
        came += named
    assert sorted(came) == list(CAMERAS)


@pytest.mark.parametrize(
    "more",
    [
        {"status": "offline", "reason": Reason.REFUSED},
        {"reason": Reason.NO_KEYFRAME},
        {"codec": "hevc"},
        {"frames": 1000},
        {"frames": 3},
        {"frames_lost": 1},
        {"frames_damaged": 1},
        {"bad_timestamps": 1},
        {"reconnects": 1},
        {"frame_rate": 22.0},
        {"clock_drift_ppm": -200_000.0},
        {"stalls_after_seconds": 20.0},
        {"next_attempt_us": 5},
    ],
)
def test_a_camera_comes_whole_where_more_than_its_figures_changes(more: dict[str, object]) -> None:
    digest = told([report(camera, UP) for camera in CAMERAS])
    whole, steady = digest.split([report(camera, later(1, **more)) for camera in CAMERAS])
    assert len(whole) == len(CAMERAS)
    assert not steady


def test_a_camera_comes_whole_under_another_epoch_and_with_another_profile() -> None:
    digest = told([report(camera, UP) for camera in CAMERAS])
    idle = ProfileReport(status="idle")
    assert not digest.split([report(camera, later(1), epoch=2) for camera in CAMERAS])[1]
    assert not digest.split([report(camera, later(2), epoch=2, sub=idle) for camera in CAMERAS])[1]
    assert digest.split([report(camera, later(3), epoch=2, sub=idle) for camera in CAMERAS])[1]


def test_a_camera_that_was_away_or_has_no_main_profile_comes_whole() -> None:
    digest = told([report(camera, UP) for camera in CAMERAS])
    digest.split([])
    assert not digest.split([report(camera, later(2)) for camera in CAMERAS])[1]
    subs = [CameraReport(camera=camera, site="city", epoch=1, profiles={"sub": later(3)}) for camera in CAMERAS]
    assert not digest.split(subs)[1]
    assert not digest.split(subs)[1]


def test_a_change_that_was_told_at_once_comes_whole_once_more_as_it_may_have_been_lost() -> None:
    digest = told([report(camera, UP) for camera in CAMERAS])
    digest.note_change(CAMERAS[0])
    digest.note_change("added-just-now")
    whole, _ = digest.split([report(camera, later(1)) for camera in CAMERAS])
    assert CAMERAS[0] in {each.camera for each in whole}, "what the leader knows may be older by two changes"


def test_who_knows_nothing_is_told_all() -> None:
    digest = told([report(camera, UP) for camera in CAMERAS])
    digest.forget()
    assert len(digest.split([report(camera, later(1)) for camera in CAMERAS])[0]) == len(CAMERAS)
