"""Builds the send kernel with the C compiler that there is.

    python -m services.wall.relay.kernel.build

It needs a compiler and the C library's headers, and neither Python's headers nor any package: the build hook loads this
file by its path, before anything is installed.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCES = (HERE / "kernel.c", HERE / "kernel.h")
LIBRARY = HERE / "kernel.native.so"
FLAGS = ("-std=c11", "-fPIC", "-shared", "-fvisibility=hidden", "-ffp-contract=off")
"""Without contraction: Python rounds after each operation, and C has to come to the same."""
WARNINGS = ("-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-Werror")
"""For the tests: a compiler that nobody here has seen may warn of more, and must not stop an installation."""


class NoCompilerError(Exception):
    """There is none; the message says what to install."""


def find_compiler() -> list[str]:
    """The command of a C compiler: ``$CC``, ``cc``, or the one in the package ``ziglang``. Raises `NoCompilerError`."""
    if named := os.environ.get("CC", "").split():
        return named
    for name in ("cc", "gcc", "clang"):
        if (found := shutil.which(name)) is not None:
            return [found]
    if importlib.util.find_spec("ziglang") is not None:
        return [sys.executable, "-m", "ziglang", "cc"]
    raise NoCompilerError("there is no C compiler: install gcc (or pip install ziglang) and build again")


def build(target: Path = LIBRARY, options: Sequence[str] = ("-O2",)) -> None:
    """Compiles to ``target``. Raises `NoCompilerError`, and `subprocess.CalledProcessError` with what the compiler
    said."""
    made = target.with_suffix(f".{os.getpid()}.tmp")
    command = [*find_compiler(), *FLAGS, *options, "-o", str(made), str(SOURCES[0])]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
        # Renamed into place: a relay that runs keeps the file that it has mapped.
        made.replace(target)
    finally:
        made.unlink(missing_ok=True)


def is_fresh(target: Path = LIBRARY) -> bool:
    """Whether ``target`` is newer than its sources."""
    return target.exists() and all(target.stat().st_mtime >= source.stat().st_mtime for source in SOURCES)


def try_build() -> str:
    """Builds; empty, or why that is not possible here: then the relay sends with Python."""
    if not sys.platform.startswith("linux"):
        return f"the send kernel is for Linux, and this is {sys.platform}"
    try:
        build()
    except NoCompilerError as error:
        return str(error)
    except OSError as error:
        return f"the C compiler cannot be started: {error}"
    except subprocess.CalledProcessError as error:
        return f"the C compiler failed: {error.stderr.strip()}"
    return ""


if __name__ == "__main__":
    sys.exit(try_build() or 0)
