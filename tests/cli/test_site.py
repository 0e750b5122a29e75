"""The commands about joined sites."""

import datetime as dt

import click
import pytest

from services.cli import site
from services.contracts.permissions import Right
from services.mesh.hub_grants import ALL, HubGrant, Window


def given(name: str, text: str | None) -> int:
    """What `pantau site grant` makes of an option."""
    command = site.grant
    option = next(each for each in command.params if each.name == name)
    value = option.process_value(click.Context(command), text)
    assert isinstance(value, int)
    return value


def test_a_day_is_meant_whole_and_a_time_with_its_offset() -> None:
    begin = int(dt.datetime(2027, 12, 31, tzinfo=dt.UTC).timestamp())
    assert given("from_s", "2027-12-31") == begin
    assert given("until_s", "2027-12-31") == begin + 86400
    assert given("until_s", "2027-12-31T18:00+07:00") == begin + 11 * 3600
    assert given("until_s", None) == 0


@pytest.mark.parametrize("text", ["soon", "2027-12-31T18:00", "2027-13-01", "9999-12-31", ""])
def test_a_time_that_could_be_another_one_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is no day"):
        given("until_s", text)


def test_grants_are_listed_by_camera_and_those_that_are_over_say_so() -> None:
    grants = (
        HubGrant(ALL, Right.LIVE),
        HubGrant("gate", Right.CLIP, Window(0, 1), "x"),
        HubGrant("gate", Right.PLAYBACK),
    )
    over = "gate: clip until 1970-01-01T00:00:01+00:00 (x), over, playback"
    assert site._names(grants) == f"all cameras: live; {over}"
    assert site._names(()) == "no camera"
