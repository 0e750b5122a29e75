"""The generated reference says what the code does."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.contracts.events import EVENTS
from tools.reference import DOCUMENTS, ROOT

# Written before any test runs: click remembers a command's help option from its first use, by any of its users.
WRITTEN = {name: write() for name, write in DOCUMENTS.items()}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_generated_document_is_what_the_code_would_write_now(name: str) -> None:
    assert (ROOT / name).read_text() == WRITTEN[name], "run: make docs"


def references(node: Any) -> list[str]:
    """Every ``$ref`` below ``node``."""
    if isinstance(node, dict):
        return [value for key, value in node.items() if key == "$ref"] + [
            reference for value in node.values() for reference in references(value)
        ]
    return [reference for value in node for reference in references(value)] if isinstance(node, list) else []


def test_the_asyncapi_document_has_a_channel_and_a_schema_for_every_event_and_no_dangling_reference() -> None:
    document = yaml.safe_load((ROOT / "docs" / "asyncapi.yaml").read_text())
    assert document["asyncapi"] == "3.0.0"
    for event in EVENTS:
        channel = document["channels"][event.__name__]
        assert channel["address"].split(".")[:2] == ["pantau", "v1"]
        payload = document["components"]["schemas"][event.__name__]
        assert set(payload["properties"]) == set(event.model_fields)
    for reference in references(document):
        node = document
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]


def test_every_document_that_another_names_is_there() -> None:
    for page in [ROOT / "README.md", *Path(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.relative_to(ROOT)} names {target}"
