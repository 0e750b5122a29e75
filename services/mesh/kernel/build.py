"""Builds the media kernel with the C compiler that there is.

python -m services.mesh.kernel.build
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from services.mesh import c_library

HERE = Path(__file__).resolve().parent
SOURCES = (HERE / "kernel.c", HERE / "kernel.h")
LIBRARY = HERE / "kernel.native.so"
"""With a dot in its stem: Python would take ``kernel.so`` for a module of its own (``pkgutil.walk_packages``)."""


def build(target: Path = LIBRARY, options: Sequence[str] = ("-O2",)) -> None:
    """As `c_library.build`."""
    c_library.build(SOURCES[0], target, options)


def is_fresh(target: Path = LIBRARY) -> bool:
    """Whether ``target`` is newer than its sources."""
    return c_library.is_fresh(SOURCES, target)


def try_build() -> str:
    """Builds; empty, or why that is not possible here: then Python alone takes pictures apart."""
    return c_library.try_build("media kernel", SOURCES[0], LIBRARY)


if __name__ == "__main__":
    sys.exit(try_build() or 0)
