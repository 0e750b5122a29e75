"""What a hub reads of an owner's answer, where the owner is newer, and what an owner reads of a hub's question."""

from typing import Any

import pytest

from services.contracts.errors import InvalidInputError
from services.contracts.models import Reason, Status
from services.contracts.permissions import Right
from services.contracts.sites import AskedAcross, ShareAnswer
from services.contracts.subjects import footage_question

STATE: dict[str, Any] = {"camera": "gate", "site": "mall", "status": "online", "since_us": 1}
CAMERA: dict[str, Any] = {
    "id": "gate", "name": "Gate", "enabled": True, "audio": False, "location": {}, "tags": [], "profiles": ["main"]
}  # fmt: skip


def answer(cameras: list[Any], states: list[Any]) -> ShareAnswer:
    rest = {"cameras_revision": 1, "states_revision": 1, "last_event": 1}
    return ShareAnswer.model_validate({"cameras": cameras, "states": states} | rest)


@pytest.mark.parametrize(
    ("told", "status", "reason"),
    [
        ({}, Status.ONLINE, Reason.NONE),
        ({"status": "asleep"}, Status.DEGRADED, Reason.UNRECOGNIZED),
        ({"status": "asleep", "reason": "night"}, Status.DEGRADED, Reason.UNRECOGNIZED),
        ({"status": "offline", "reason": "night"}, Status.OFFLINE, Reason.UNRECOGNIZED),
        ({"status": 7, "reason": None}, Status.DEGRADED, Reason.UNRECOGNIZED),
        ({"announced": "asleep"}, Status.ONLINE, Reason.NONE),
    ],
)
def test_a_status_or_reason_of_a_newer_owner_is_unrecognized_and_the_rest_is_read(
    told: dict[str, Any], status: Status, reason: Reason
) -> None:
    other = STATE | {"camera": "hall"}
    first, second = answer([], [STATE | told, other]).states
    assert (first.status, first.reason, first.announced) == (status, reason, None)
    assert (second.camera, second.status) == ("hall", Status.ONLINE)


def test_of_a_profile_an_unknown_reason_is_unrecognized_and_one_that_cannot_be_read_is_left_out() -> None:
    profiles = {"main": {"status": "offline", "reason": "night"}, "sub": {"status": "asleep"}, "audio": 5}
    (state,) = answer([], [STATE | {"profiles": profiles}]).states
    assert {name: each.reason for name, each in state.profiles.items()} == {"main": Reason.UNRECOGNIZED}


def test_entries_that_cannot_be_read_are_left_out_and_profiles_that_nobody_knows_here() -> None:
    cameras = [CAMERA | {"profiles": ["third", "main"]}, CAMERA | {"profiles": ["third"]}, CAMERA | {"profiles": 1}, 5]
    found = answer(cameras, [5, {"camera": "x"}, STATE | {"since_us": "soon"}, STATE])
    assert [each.profiles for each in found.cameras] == [("main",)]
    assert [each.camera for each in found.states] == ["gate"]


def test_a_hubs_question_names_one_camera_and_one_right() -> None:
    asked = AskedAcross.of(footage_question("city", "clip", "gate", "recorder", "clip"))
    assert asked == AskedAcross(Right.CLIP, "gate")


@pytest.mark.parametrize(
    ("right", "camera"), [("clip", "*"), ("clip", ">"), ("clip", "/etc"), ("clip", ""), ("", "gate")]
)
def test_a_hubs_question_about_what_is_no_camera_or_no_right_is_refused(right: str, camera: str) -> None:
    """Also with all cameras granted: nats-server lets any word through in place of the camera."""
    with pytest.raises(InvalidInputError):
        AskedAcross.of(footage_question("city", right, camera, "recorder", "clip"))
