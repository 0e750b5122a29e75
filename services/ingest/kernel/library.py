"""Loads the receive kernel; the structs that Python and C share are declared from ``kernel.h`` (`tools.declared`)."""

import sys
from functools import cache
from pathlib import Path
from typing import Any, Final

from services.ingest.kernel import declared
from services.ingest.kernel.build import LIBRARY
from services.mesh.c_library import LibraryError, load

ffi: Final[Any] = declared.ffi  # typeshed knows no fields of structs

LIMITS: Final[dict[str, int]] = {name: int(value) for name, value in ffi.typeof("pi_limit").relements.items()}
STATUSES: Final[dict[str, int]] = {name: int(value) for name, value in ffi.typeof("pi_status").relements.items()}
WAIT: Final = STATUSES["PI_WAIT"]
FULL: Final = STATUSES["PI_FULL"]
_STRUCTS: Final = ("pi_picture", "pi_line", "pi_lie", "pi_placed", "pi_bucket", "pi_connection", "pi_engine")

Connection = Any
"""A ``pi_connection``. cffi's objects have no types of their own."""


def load_kernel(path: Path) -> Any:
    """The library at ``path``. Raises `LibraryError`."""
    return load(ffi, path, "pi_facts", _STRUCTS)


@cache
def find_kernel() -> Any | str:
    """The kernel that was built with this installation, or why there is none."""
    if sys.platform != "linux":
        return f"{sys.platform} has no epoll"
    if not LIBRARY.exists():
        return "it was not built: there was no C compiler when this was installed"
    try:
        return load_kernel(LIBRARY)
    except LibraryError as error:
        return str(error)
