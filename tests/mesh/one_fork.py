"""For a template in tests: the first process is forked, and then the system gives no more."""

import errno
import os

fork = os.fork


def one_fork() -> int:
    """The first."""
    os.fork = refused
    return fork()


def refused() -> int:
    """As fork(2) where there are as many processes as there may be."""
    raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))


os.fork = one_fork
