"""Child processes that end with their parent, even where it was killed with kill -9."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from typing import Final

_PR_SET_PDEATHSIG: Final = 1


def end_with_parent(number: signal.Signals = signal.SIGTERM) -> Callable[[], None] | None:
    """A ``preexec_fn`` after which the kernel sends ``number`` to the child when the thread that started it ends.

    Start children from the main thread: the signal comes when the *thread* is gone (``PR_SET_PDEATHSIG`` of prctl(2)).
    None where the system has no such thing (it is Linux's); a parent that dies in order stops its children anyway.
    """
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def arm() -> None:
        prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
        if os.getppid() != parent:  # the parent died before the line above
            os.kill(os.getpid(), number)

    return arm
