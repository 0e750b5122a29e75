"""How much CPU and memory a container leaves this process: the limits of cgroups(7), of version 1 or 2."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

CGROUPS: Final = Path("/sys/fs/cgroup")
OWN: Final = Path("/proc/self/cgroup")


class _Controller(NamedTuple):
    """What bounds one thing. ``limit`` has the numbers in its files, which are there and above 0."""

    name: str
    version_1: tuple[str, ...]
    version_2: str
    limit: Callable[..., float]


_CPU: Final = _Controller(
    "cpu", ("cpu.cfs_quota_us", "cpu.cfs_period_us"), "cpu.max", lambda quota, period: quota / period
)
_MEMORY: Final = _Controller("memory", ("memory.limit_in_bytes",), "memory.max", float)


def cpu_limit(cgroups: Path = CGROUPS, own: Path = OWN) -> float:
    """In CPUs, the least of this process's group and all above it; infinite where there is no quota."""
    return _least(_CPU, cgroups, own)


def memory_limit_bytes(cgroups: Path = CGROUPS, own: Path = OWN) -> float:
    """The least of this process's group and all above it; infinite, or more than any machine has, where there is
    none."""
    return _least(_MEMORY, cgroups, own)


def _least(controller: _Controller, cgroups: Path, own: Path) -> float:
    try:
        lines = own.read_text(errors="surrogateescape").split("\n")
    except OSError:  # no Linux
        return float("inf")
    return min((limit for line in lines for limit in _limits(controller, cgroups, line)), default=float("inf"))


def _limits(controller: _Controller, cgroups: Path, line: str) -> Iterator[float]:
    """``line``: hierarchy, controllers, path; of version 2 there are no controllers."""
    _, controllers, path = [*line.split(":", 2), "", "", ""][:3]
    if not path or (controllers and controller.name not in controllers.split(",")):
        return
    mounts = [cgroups / controller.name] if controllers else [cgroups, cgroups / "unified"]
    names = controller.version_1 if controllers else (controller.version_2,)
    for mount in mounts:
        group = mount / path.lstrip("/")
        for folder in (group, *group.parents):  # within a container its own group is the mount itself
            yield from _limit(controller, [folder / name for name in names])
            if folder == mount:
                break


def _limit(controller: _Controller, files: list[Path]) -> Iterator[float]:
    try:
        numbers = [int(word) for file in files for word in file.read_text().split()]
        if min(numbers) > 0:
            yield controller.limit(*numbers)
    except (OSError, ValueError, TypeError):  # not there, "max", or not as described
        return
