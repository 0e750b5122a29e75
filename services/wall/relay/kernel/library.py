"""Loads the send kernel, and lays out frames with it.

A library is used only where every size, offset and limit is what Python believes: a wrong offset would be a wild write.
"""

import itertools
import sys
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

from services.mesh.c_library import LibraryError, load
from services.wall.relay.kernel.structs import LIMITS, STRUCTS, TAKEN_SERIALS, ffi

LIBRARY: Final = Path(__file__).with_name("kernel.native.so")
"""With a dot in its stem: Python would take ``kernel.so`` for a module of its own (``pkgutil.walk_packages``)."""
HEADER_BYTES: Final = 12
_WORDS: Final = ffi.typeof("uint64_t[]")
_FRAME: Final = ffi.typeof("pk_frame *")
_serials: Final = itertools.count(1)


def next_serial() -> int:
    """A number for a layout that no other had lately."""
    return next(_serials) % TAKEN_SERIALS


class KernelLayout:
    """An access unit's packets in one shape, as C laid them out; made when they are first asked for."""

    __slots__ = ("_frame", "_make", "_memory")

    def __init__(self, make: Callable[[], Any]) -> None:
        """``make``: gives the memory at whose beginning a ``pk_frame`` stands, with the same packets each time."""
        self._make = make
        self._memory: Any = None
        self._frame: Any = None

    @property
    def frame(self) -> Any:
        """A ``pk_frame``. Good until `release`."""
        if self._frame is None:
            self._memory = self._make()
            self._frame = ffi.cast(_FRAME, self._memory)
        return self._frame

    @property
    def image(self) -> memoryview:
        """All runs, one behind the other, each behind its packets' lengths. It holds the memory by itself."""
        frame = self.frame
        begin = int(ffi.cast("uintptr_t", frame.image)) - int(ffi.cast("uintptr_t", self._memory))
        return memoryview(ffi.buffer(self._memory))[begin : begin + frame.image_bytes]

    def release(self) -> None:
        """Lets go of the packets; they are made again when they are asked for."""
        self._frame = self._memory = None


class SendKernel:
    """The loaded library. Making one raises `LibraryError`."""

    def __init__(self, path: Path) -> None:
        self.lib: Any = load(ffi, path, "pk_facts", STRUCTS)

    def lay_out(self, h265: bool, unit: bytes, extension_bytes: int, tag_bytes: int) -> KernelLayout | None:
        """The packets of an access unit; None where its NAL units' lengths lead outside of it."""
        room, length = HEADER_BYTES + extension_bytes, len(unit)
        size = self.lib.pk_measure(h265, unit, length, room, tag_bytes)
        if size < 0:
            return None
        return KernelLayout(partial(self._make, h265, unit, room, tag_bytes, next_serial(), (size + 7) // 8))

    def _make(self, h265: bool, unit: bytes, room: int, tag_bytes: int, serial: int, words: int) -> Any:
        memory = ffi.new(_WORDS, words)
        self.lib.pk_lay_out(h265, unit, len(unit), room, tag_bytes, serial, ffi.cast(_FRAME, memory))
        return memory


def limits_differ(limits: dict[str, int]) -> str:
    """Empty where the header's limits are those that Python works with; else the first that is not."""
    differ = (f"{name} is {LIMITS[name]}, not {value}" for name, value in limits.items() if LIMITS[name] != value)
    return next(differ, "")


@cache
def find_kernel() -> SendKernel | str:
    """The kernel that was built with this installation, or why there is none."""
    if sys.platform != "linux":
        return f"{sys.platform} has no sendmmsg"
    if not LIBRARY.exists():
        return "it was not built: there was no C compiler when this was installed"
    try:
        return SendKernel(LIBRARY)
    except LibraryError as error:
        return str(error)
