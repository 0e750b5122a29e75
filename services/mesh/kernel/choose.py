"""Which inbox a process has: one that C fills, where that was built, or Python's."""

from functools import cache
from typing import Any

from services.contracts.frames import PictureInbox
from services.mesh.log import get_logger

log = get_logger()


def new_inbox() -> PictureInbox:
    """An inbox that C fills, where the kernel was built; else Python's, which comes to the same."""
    kernel = _kernel()
    if kernel is None:
        return PictureInbox()
    from services.mesh.kernel.inbox import KernelInbox  # it needs cffi

    return KernelInbox(kernel)


@cache
def _kernel() -> Any | None:
    try:
        from services.mesh.kernel.library import find_kernel
    except ImportError as error:
        found: Any = f"{error.name} is not installed"
    else:
        found = find_kernel()
    if isinstance(found, str):
        log.info("media.kernel_missing", because=found, consequence="pictures are taken apart in Python, at more cost")
        return None
    return found
