"""The operators' guide on import files says what the code does."""

import re
from pathlib import Path

from services.contracts.catalogue import ImportRequest
from services.registry import rows
from services.registry.changes import from_row

GUIDE = Path(__file__).parents[2] / "docs" / "guide"


def test_the_guide_lists_every_column_with_all_its_names() -> None:
    table = {}
    for line in (GUIDE / "cameras.md").read_text().splitlines():
        if match := re.match(r"\| `(\w+)` \|([`\w ]*)\|", line):
            table[match[1]] = tuple(re.findall(r"`(\w+)`", match[2]))
    assert table == rows.COLUMNS


def test_the_sample_can_be_imported() -> None:
    request = ImportRequest.of((GUIDE / "cameras.csv").read_bytes(), "text/csv")
    table = rows.parse(request.format, request.content)
    assert table.notes == ()
    cameras = [from_row(row.id, row.given, None, None, "city").camera for row in table.rows]
    assert [camera.id for camera in cameras] == ["kayutangan-1", "alun-alun-merdeka"]
    assert cameras[0].has_credentials
    assert cameras[0].copies == 2
