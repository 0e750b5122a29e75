"""Building a library of ours with the C compiler that there is, and loading it.

It needs a compiler and the C library's headers, and neither Python's headers nor, to build, any package: the build hook
imports this before anything is installed.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

FLAGS: Final = ("-std=c11", "-fPIC", "-shared", "-fvisibility=hidden", "-ffp-contract=off")
"""Without contraction: Python rounds after each operation, and C has to come to the same."""
WARNINGS: Final = ("-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-Werror")
"""For the tests: a compiler that nobody here has seen may warn of more, and must not stop an installation."""

_loaded: Final[list[Any]] = []
"""Never unloaded: cffi would unload a library that nobody holds, although somebody holds a function of it."""


class NoCompilerError(Exception):
    """There is none; the message says what to install."""


class LibraryError(Exception):
    """The library cannot be used; the message says why."""


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


def build(source: Path, target: Path, options: Sequence[str] = ("-O2",)) -> None:
    """Compiles to ``target``. Raises `NoCompilerError`, and `subprocess.CalledProcessError` with what the compiler
    said."""
    made = target.with_suffix(f".{os.getpid()}.tmp")
    command = [*find_compiler(), *FLAGS, *options, "-o", str(made), str(source)]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
        # Renamed into place: a process that runs keeps the file that it has mapped.
        made.replace(target)
    finally:
        made.unlink(missing_ok=True)


def is_fresh(sources: Sequence[Path], target: Path) -> bool:
    """Whether ``target`` is newer than its sources."""
    return target.exists() and all(target.stat().st_mtime >= source.stat().st_mtime for source in sources)


def try_build(name: str, source: Path, target: Path) -> str:
    """Builds; empty, or why that is not possible here."""
    if not sys.platform.startswith("linux"):
        return f"the {name} is for Linux, and this is {sys.platform}"
    try:
        build(source, target)
    except NoCompilerError as error:
        return str(error)
    except OSError as error:
        return f"the C compiler cannot be started: {error}"
    except subprocess.CalledProcessError as error:
        return f"the C compiler failed: {error.stderr.strip()}"
    return ""


def expected_facts(ffi: Any, structs: Sequence[str]) -> list[int]:
    """Sizes and offsets as cffi laid the structs out, as the library's function of facts tells them."""
    facts: list[int] = []
    for name in structs:
        kind = ffi.typeof(name)
        facts.append(ffi.sizeof(kind))
        facts += [ffi.offsetof(kind, field) for field, _ in kind.fields or ()]
    return facts


def load(ffi: Any, path: Path, facts_function: str, structs: Sequence[str]) -> Any:
    """The library, if every size and offset is what Python believes: a wrong one would be a wild write.

    Raises `LibraryError`.
    """
    try:
        library = ffi.dlopen(str(path))
    except OSError as error:
        raise LibraryError(f"{path.name} cannot be loaded: {error}") from error
    expected = expected_facts(ffi, structs)
    facts = ffi.new("uint32_t[]", len(expected))
    try:
        count = getattr(library, facts_function)(facts, len(expected))
    except (AttributeError, getattr(ffi, "error", AttributeError)) as error:  # the latter where cffi has not parsed C
        raise LibraryError(f"{path.name} is another library: {error}") from error
    if count != len(expected) or list(facts) != expected:
        raise LibraryError(f"{path.name} was built from another header: build it anew")
    _loaded.append(library)
    return library
