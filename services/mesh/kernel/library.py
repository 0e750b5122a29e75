"""Loads the media kernel, and has the structs that Python and C share, as cffi declares them from ``kernel.h``."""

from functools import cache
from pathlib import Path
from typing import Any, Final

from services.mesh.c_library import LibraryError, load
from services.mesh.kernel import declared
from services.mesh.kernel.build import LIBRARY

ffi: Final[Any] = declared.ffi  # typeshed knows no fields of structs

LIMITS: Final[dict[str, int]] = {name: int(value) for name, value in ffi.typeof("mk_limit").relements.items()}
_STRUCTS: Final = ("mk_inbox", "mk_stream")


def load_kernel(path: Path) -> Any:
    """The library at ``path``. Raises `LibraryError`."""
    return load(ffi, path, "mk_facts", _STRUCTS)


@cache
def find_kernel() -> Any | str:
    """The kernel that was built with this installation, or why there is none."""
    if not LIBRARY.exists():
        return "it was not built: there was no C compiler when this was installed"
    try:
        return load_kernel(LIBRARY)
    except LibraryError as error:
        return str(error)
