"""A control group (cgroups(7), version 1) in which others' load on the machine does not hold a trial up, as root."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

GROUPS: Final = Path("/sys/fs/cgroup/cpu")
SHARES: Final = 20 * 1024
"""A group weighs as much as one process otherwise."""


def has_groups() -> bool:
    """Whether this process may make some."""
    return not os.geteuid() and (GROUPS / "cpu.shares").exists()


def move(group: Path, pid: int) -> None:
    """Puts a process into a group. Those that it starts are in it too."""
    (group / "cgroup.procs").write_text(str(pid))


@contextmanager
def group(name: str, shares: int = SHARES) -> Iterator[Path]:
    """A group that weighs as much as ``shares`` / 1024 processes; empty again at the end."""
    made = GROUPS / f"pantau-bench-{os.getpid()}-{name}"
    made.mkdir()
    try:
        (made / "cpu.shares").write_text(str(shares))
        yield made
    finally:
        made.rmdir()


@contextmanager
def undisturbed() -> Iterator[None]:
    """This process and those that it starts, in a group of their own, where there can be one."""
    if not has_groups():
        yield
        return
    with group("trial") as made:
        move(made, os.getpid())
        try:
            yield
        finally:
            move(GROUPS, os.getpid())
