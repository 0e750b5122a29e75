"""When an export's failure is its end."""

import pytest

from services.contracts.errors import error_from_code
from services.contracts.exports import MAX_CAMERAS
from services.footage.evidence.handing_out import left_out
from services.wall.exports.desk import MAX_ATTEMPTS, REPORT_BYTES, is_tried_again
from services.wall.exports.making import ExportMade, ExportReport, _told


@pytest.mark.parametrize(
    ("code", "again", "attempts", "expected"),
    [
        ("unavailable", True, MAX_ATTEMPTS - 1, True),
        ("unavailable", True, MAX_ATTEMPTS, False),
        ("site-away", True, 50 * MAX_ATTEMPTS, True),
        ("not-granted", False, 1, False),
    ],
)
def test_a_job_of_a_site_that_is_away_waits_for_it_and_others_end(
    code: str, again: bool, attempts: int, expected: bool
) -> None:
    assert is_tried_again(ExportReport(failed="x", code=code, again=again), attempts) is expected


def test_the_longest_report_of_a_file_fits_the_desk_also_where_owners_are_hostile() -> None:
    error = error_from_code("unavailable", 1_000_000 * "\U0001f600")
    absent = left_out([f"cam-{number}" for number in range(MAX_CAMERAS)], error, settle=True)
    made = ExportMade(path="x", file_name="x", media_type="x", size_bytes=1, sha256="x")
    report = ExportReport(made=made.model_copy(update=_told(absent)))
    assert len(report.model_dump_json().encode()) < REPORT_BYTES
    assert len(ExportReport(failed=error.message).model_dump_json().encode()) < REPORT_BYTES
