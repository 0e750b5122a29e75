"""How many files a process may have open: raised at start as far as the system allows; told where it is little."""

import resource
from typing import Final

from services.mesh.log import get_logger

log = get_logger()

WANTED: Final = 65_536
"""Connections to cameras and open segments: a few for each camera, and several hundred cameras a process."""
LITTLE: Final = 4096
"""With fewer a process of a thousand cameras may run out of them."""


def raise_file_limit() -> int:
    """Raises the soft limit (setrlimit(2), ``RLIMIT_NOFILE``), which child processes inherit; returns it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED if hard == resource.RLIM_INFINITY else min(WANTED, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    if soft != resource.RLIM_INFINITY and soft < LITTLE:
        log.warning(
            "service.few_files",
            limit=soft,
            wanted=LITTLE,
            remedy="raise the hard limit: LimitNOFILE= of systemd, --ulimit nofile= of a container, ulimit -Hn",
        )
    return soft
