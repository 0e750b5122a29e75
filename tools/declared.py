"""Writes what cffi makes of a kernel's header: ``declared.py`` beside it.

A process that reads the header itself imports a parser of C: 30 ms, a megabyte, and calls of cffi's own Python for
each struct that is made. ``python -m tools.declared`` writes them; a test fails while they differ.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from cffi import FFI

ROOT: Final = Path(__file__).resolve().parent.parent
HEADERS: Final = tuple(ROOT / "services" / wing / "kernel/kernel.h" for wing in ("ingest", "mesh", "wall/relay"))
_HEAD: Final = '''"""What cffi makes of ``kernel.h``. Written by ``python -m tools.declared``: change the header."""
# ruff: noqa
# mypy: ignore-errors
# fmt: off

'''


def declared(header: Path) -> str:
    """The module for a header."""
    ffi = FFI()
    ffi.cdef(header.read_text(encoding="utf-8"))
    ffi.set_source(".".join((*header.relative_to(ROOT).parent.parts, "declared")), None)
    with TemporaryDirectory() as folder:
        made = Path(folder) / "declared.py"
        ffi.emit_python_code(str(made))
        return _HEAD + made.read_text(encoding="utf-8").removeprefix("# auto-generated file\n")


def module_of(header: Path) -> Path:
    """Where it stands."""
    return header.with_name("declared.py")


if __name__ == "__main__":
    for each in HEADERS:
        module_of(each).write_text(declared(each), encoding="utf-8")
