"""The map of the tree names rooms that exist, and all packages."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
MAP = (ROOT / "docs" / "architecture.md").read_text()
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text()


def test_every_package_has_a_row_in_the_map() -> None:
    listed = set(re.findall(r"^\| `(services/[\w/]+)/` \|", MAP, re.MULTILINE))
    packages = {path.parent for path in (ROOT / "services").glob("*/__init__.py")} - {ROOT / "services" / "wall"}
    assert {str(path.relative_to(ROOT)) for path in packages} <= listed
    assert all((ROOT / name).is_dir() for name in listed)


def test_the_rooms_that_the_map_names_are_there() -> None:
    homes = {"front": "wall/front", "relay": "wall/relay", "exports": "wall/exports"}
    table = MAP.partition("### Inside a service")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (\w+) \| (`.+) \|$", table, re.MULTILINE)
    assert {name for name, _ in rows} == {"registry", "ingest", "recorder", "sim", *homes}
    for service, rooms in rows:
        folder = ROOT / "services" / homes.get(service, service)
        for room in re.findall(r"`([\w/]+)`", rooms):
            assert (folder / room).is_dir() or (folder / f"{room}.py").is_file(), f"{service} has no {room}"


def test_what_drives_a_chromium_stands_where_make_test_looks_for_it() -> None:
    """Others with the mark are run among those that break something."""
    marked = [path for path in (ROOT / "tests").rglob("test_*.py") if "pytest.mark.browser" in path.read_text()]
    elsewhere = [
        path for path in marked if not path.is_relative_to(ROOT / "tests" / "browser") and path != Path(__file__)
    ]
    assert all("pytest.mark.chaos" in path.read_text() for path in elsewhere)


def test_the_glossary_is_in_order_and_leads_to_files() -> None:
    words = [word for word in re.findall(r"^\| (.+?) \|", GLOSSARY, re.MULTILINE) if word not in ("word", "---")]
    assert words == sorted(words, key=lambda word: word.replace("(", "").casefold())
    for place in re.findall(r"`([a-z]+/[\w/.-]*)`", GLOSSARY):
        assert (ROOT / "services" / place).exists(), place
