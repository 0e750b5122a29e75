"""The send kernel, built for the tests from the sources in the tree, with warnings as errors."""

import os
import subprocess
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import pytest

from services.mesh.c_library import WARNINGS, NoCompilerError, find_compiler
from services.wall.relay.kernel.build import build
from services.wall.relay.kernel.library import SendKernel

SANITIZERS = ("-O1", "-g", "-fno-omit-frame-pointer", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")


def compiler_trouble() -> str:
    """Empty where there is a C compiler; else what to do."""
    try:
        find_compiler()
    except NoCompilerError as error:
        return str(error)
    return ""


needs_compiler = pytest.mark.skipif(bool(compiler_trouble()), reason=compiler_trouble())


@cache
def library(*options: str) -> Path:
    """Where the library stands, built with these options."""
    target = Path(mkdtemp(prefix="kernel-")) / "kernel.native.so"
    build(target, [*WARNINGS, *(options or ("-O2",))])
    return target


@cache
def kernel() -> SendKernel:
    """The library as it is installed."""
    return SendKernel(library())


def sanitizer_runtime() -> Path | None:
    """Where AddressSanitizer's library stands, which has to be loaded before Python; None where there is none."""
    answer = subprocess.run(
        [*find_compiler(), "-print-file-name=libasan.so"], capture_output=True, text=True, check=True
    )
    found = Path(os.path.realpath(answer.stdout.strip()))
    return found if found.is_absolute() and found.exists() else None
