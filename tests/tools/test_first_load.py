"""What a first visit loads, of the app as it is built."""

import re
from pathlib import Path

import pytest

from services.wall.front.api.static import FOLDER

BOUND_BYTES = 300_000
"""Compressed, without the map."""


@pytest.mark.skipif(not (FOLDER / "index.html").is_file(), reason="the app is not built: make web")
def test_a_first_load_is_below_300_kb_compressed_and_brings_no_map() -> None:
    page = FOLDER / "index.html"
    loaded = [page, *(FOLDER / name for name in re.findall(r'(?:src|href)="/((?:assets/)?[\w.-]+)"', page.read_text()))]
    styles = [path for path in loaded if path.suffix == ".css"]
    loaded += [FOLDER / name for path in styles for name in re.findall(r"url\(/(assets/[\w.-]+)\)", path.read_text())]
    kinds = [path.suffix for path in loaded]
    assert kinds.count(".js") == kinds.count(".css") == kinds.count(".woff2") == 1
    assert not [path.name for path in loaded if "map" in path.name]
    assert sum(map(_sent_bytes, loaded)) < BOUND_BYTES


def _sent_bytes(path: Path) -> int:
    compressed = path.with_name(f"{path.name}.gz")
    return (compressed if compressed.is_file() else path).stat().st_size
