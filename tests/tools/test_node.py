"""The built app: a compressed copy beside each script and style."""

import gzip
from pathlib import Path

from tools.node import compress_assets


def test_scripts_and_styles_have_a_compressed_copy_and_nothing_else_has(tmp_path: Path) -> None:
    (tmp_path / "assets").mkdir()
    for name in ("index.html", "assets/a.js", "assets/a.css", "icon.svg"):
        (tmp_path / name).write_text(f"{name} " * 100)
    compress_assets(tmp_path)
    compress_assets(tmp_path)
    copies = sorted(path.name for path in tmp_path.rglob("*.gz"))
    assert copies == ["a.css.gz", "a.js.gz"]
    assert gzip.decompress((tmp_path / "assets" / "a.js.gz").read_bytes()).decode() == "assets/a.js " * 100
