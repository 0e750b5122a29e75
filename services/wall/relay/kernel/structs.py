"""The structs that Python and C share, as cffi declares them from ``kernel.h`` (`tools.declared`).

They hold what is to be sent next, whether the library was built or not: the one truth for C and for Python. A struct
lives as long as what `new_peer` or `new_stream` returned is held. C keeps no pointer to them from one call to the next,
but those in a ``pk_feed``, which are used while it is lent (`services.wall.relay.engine.kernel_feed`).
"""

from typing import Any, Final

from services.wall.relay.kernel import declared

ffi: Final[Any] = declared.ffi  # typeshed knows no fields of structs

LIMITS: Final[dict[str, int]] = {name: int(value) for name, value in ffi.typeof("pk_limit").relements.items()}
STATUSES: Final[dict[str, int]] = {name: int(value) for name, value in ffi.typeof("pk_status").relements.items()}
SENT: Final = STATUSES["PK_SENT"]
LOOK: Final = STATUSES["PK_LOOK"]
SLOW: Final = STATUSES["PK_SLOW"]
DEAD: Final = STATUSES["PK_DEAD"]
_TAKING: Final[dict[str, int]] = {name: int(value) for name, value in ffi.typeof("pk_taking").relements.items()}
NOT_TAKEN: Final = _TAKING["PK_NOT_TAKEN"]
TAKEN_LOOK: Final = _TAKING["PK_TAKEN_LOOK"]
FIRST_PAST_RUNS: Final = 128
"""Runs that a stream remembers at first: those of a main in two seconds."""
STRUCTS: Final = ("pk_run", "pk_frame", "pk_peer", "pk_past", "pk_stream", "pk_out", "pk_call", "pk_feed")
TAKEN_SERIALS: Final = 1 << 31
"""The serial numbers of frames that C took from the bus are from here on, those of layouts below."""

Peer = Any
"""A ``pk_peer``. cffi's objects have no types of their own."""
Stream = Any
"""A ``pk_stream``."""


def new_peer() -> Peer:
    """A viewer that nothing can be sent to yet."""
    return ffi.new("pk_peer *")


def new_past(runs: int) -> Any:
    """A ring for so many runs, a power of two."""
    return ffi.new("pk_past[]", runs)


def new_stream() -> Stream:
    """A stream without peer or history: it must be given both before C is shown it."""
    return ffi.new("pk_stream *")


def set_address(peer: Peer, sockaddr: bytes) -> None:
    """Where the viewer's packets go."""
    ffi.memmove(peer.to, sockaddr, len(sockaddr))
    peer.to_bytes = len(sockaddr)
