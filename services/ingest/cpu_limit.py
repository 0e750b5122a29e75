"""How much CPU a container leaves this process: the quota of cgroups(7), of version 1 (CFS bandwidth) or 2."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

CGROUPS: Final = Path("/sys/fs/cgroup")
OWN: Final = Path("/proc/self/cgroup")


def cpu_limit(cgroups: Path = CGROUPS, own: Path = OWN) -> float:
    """In CPUs, the least of this process's group and all above it; infinite where there is no quota."""
    try:
        lines = own.read_text(errors="surrogateescape").split("\n")
    except OSError:  # no Linux
        return float("inf")
    return min((quota for line in lines for quota in _quotas(cgroups, line)), default=float("inf"))


def _quotas(cgroups: Path, line: str) -> Iterator[float]:
    """``line``: hierarchy, controllers, path; of version 2 there are no controllers."""
    _, controllers, path = [*line.split(":", 2), "", "", ""][:3]
    if not path or (controllers and "cpu" not in controllers.split(",")):
        return
    mounts = [cgroups / "cpu"] if controllers else [cgroups, cgroups / "unified"]
    for mount in mounts:
        group = mount / path.lstrip("/")
        for folder in (group, *group.parents):  # within a container its own group is the mount itself
            yield from _quota(folder, version_1=bool(controllers))
            if folder == mount:
                break


def _quota(folder: Path, *, version_1: bool) -> Iterator[float]:
    try:
        if version_1:
            words = [(folder / name).read_text() for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us")]
        else:
            words = (folder / "cpu.max").read_text().split()
        quota, period = map(int, words)
    except (OSError, ValueError):  # not there, or "max"
        return
    if quota > 0 and period > 0:
        yield quota / period
