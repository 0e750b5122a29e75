"""When an export's failure is its end."""

import pytest

from services.wall.exports.desk import MAX_ATTEMPTS, is_tried_again
from services.wall.exports.making import ExportReport


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
