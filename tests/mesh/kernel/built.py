"""The media kernel, built for the tests from the sources in the tree, with warnings as errors."""

from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from services.mesh.c_library import WARNINGS
from services.mesh.kernel.build import build
from services.mesh.kernel.library import load_kernel


@cache
def library(*options: str) -> Path:
    """Where the library stands, built with these options."""
    target = Path(mkdtemp(prefix="kernel-")) / "kernel.native.so"
    build(target, [*WARNINGS, *(options or ("-O2",))])
    return target


@cache
def kernel() -> Any:
    """The library as it is installed."""
    return load_kernel(library())
