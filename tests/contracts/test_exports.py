"""Who sees an export; what several recorders' histories join to."""

import pytest

from services.contracts.exports import ExportedCamera, ExportJob, ExportStatus
from services.contracts.permissions import Actor, Role
from services.contracts.recordings import CameraHistory, HistoryAnswer, merge_histories

JOB = ExportJob(
    id="export-1", kind="clip", cameras=(ExportedCamera(camera="cam-1", site="city", name="A"),), from_us=1, to_us=2,
    actor="ani", role=Role.OPERATOR, created_us=3, expires_us=4,
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "role", "sees"),
    [
        ("ani", Role.OPERATOR, True),
        ("ani", Role.VIEWER, False),
        ("budi", Role.OPERATOR, False),
        ("budi", Role.AGENCY, False),
        ("budi", Role.SUPERVISOR, True),
        ("budi", Role.ADMIN, True),
    ],
)
def test_a_job_is_seen_by_who_asked_for_it_and_by_supervisors(name: str, role: Role, sees: bool) -> None:
    assert JOB.visible_to(Actor(name, role)) is sees


def test_a_job_is_over_when_nothing_more_happens_to_it() -> None:
    assert [status for status in ExportStatus if not status.over] == [ExportStatus.WAITING, ExportStatus.RUNNING]


def test_a_cameras_history_is_one_of_all_recorders_and_another_sites_is_another() -> None:
    def history(site: str, from_us: int, to_us: int, size_bytes: int) -> CameraHistory:
        return CameraHistory(camera="cam-1", site=site, from_us=from_us, to_us=to_us, size_bytes=size_bytes)

    answers = [
        HistoryAnswer(recorder="rec-1", histories=(history("mall", 10, 20, 5), history("city", 30, 40, 6))),
        HistoryAnswer(recorder="rec-2", histories=(history("city", 25, 35, 7),)),
    ]
    assert merge_histories(answers) == [history("city", 25, 40, 13), history("mall", 10, 20, 5)]
