"""What is not in a file of several owners' evidence, and why."""

import pytest

from services.contracts.errors import NotFoundError, PantauError, UnavailableError
from services.footage.evidence.handing_out import first_to_tell, left_out
from services.footage.owners import NotGrantedError, SiteAwayError


@pytest.mark.parametrize(
    ("error", "code"),
    [(NotFoundError("x"), "no-footage"), (NotGrantedError("x"), "not-granted"), (SiteAwayError("x"), "site-away")],
)
def test_a_camera_that_cannot_be_had_says_why(error: PantauError, code: str) -> None:
    assert [(each.camera, each.code) for each in left_out(["a", "b"], error, settle=True)] == [("a", code), ("b", code)]


def test_an_owners_text_is_one_short_line_of_the_read_me() -> None:
    error = UnavailableError("x\ncity/evidence.zip    gate\x1b[2J" + 100_000 * "y")
    (told,) = left_out(["a"], error, settle=True)
    assert told.detail.startswith("x city/evidence.zip    gate [2Jy")
    assert len(told.detail) <= 300


def test_a_site_that_may_answer_later_is_not_left_out_yet() -> None:
    for error in (NotGrantedError("x"), SiteAwayError("x")):
        with pytest.raises(UnavailableError):
            left_out(["a"], error, settle=False)
    assert left_out(["a"], NotFoundError("x"), settle=False)


def test_where_nothing_can_be_had_what_may_pass_by_itself_is_told() -> None:
    away = SiteAwayError("x")
    assert first_to_tell([NotFoundError("x"), away, NotGrantedError("x")]) is away
    assert isinstance(first_to_tell([NotFoundError("x"), NotGrantedError("x")]), NotFoundError)
