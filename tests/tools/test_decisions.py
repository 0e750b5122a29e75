"""Decision records have all their fields and a row in the index."""

import re
from pathlib import Path

import pytest

DECISIONS = Path(__file__).parents[2] / "docs" / "decisions"
RECORDS = sorted(DECISIONS.glob("[0-9]*.md"))
FIELDS = ("To decide", "Considered", "Decided", "Costs", "Follows")


@pytest.mark.parametrize("record", RECORDS, ids=lambda path: path.stem)
def test_a_record_says_what_was_considered_decided_and_what_it_costs_in_this_order(record: Path) -> None:
    fields = [name for name in re.findall(r"^\*\*([\w ]+)\.\*\*", record.read_text(), re.MULTILINE) if name in FIELDS]
    assert tuple(fields) == FIELDS


def test_the_index_has_every_record_under_its_own_title() -> None:
    titles = {path.name: path.read_text().partition("\n")[0].partition(". ")[2] for path in RECORDS}
    rows = dict(re.findall(r"^\| \[\d{4}\]\((.+?)\) \| (.+?) \|", (DECISIONS / "README.md").read_text(), re.MULTILINE))
    assert rows == titles


def test_a_number_is_given_once() -> None:
    numbers = [path.name[:4] for path in RECORDS]
    assert sorted(set(numbers)) == numbers
