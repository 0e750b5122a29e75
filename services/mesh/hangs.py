"""Whether a process hangs: one that a signal stopped, or whose event loop does not run any more. Pure but for /proc.

One that only waits for a CPU or its disk does not: to kill it would cost the machine more than it lacks already.
"""

from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

LOOK_SECONDS: Final = 0.25
"""Between two looks."""
HANG_SECONDS: Final = 2.0
"""A process that gave no sign for so long hangs, if it has not used the CPU meanwhile either, nor waits for one…"""
BUSY_SECONDS: Final = 10.0
"""…and after so long in any case."""


class ProcessTimes(NamedTuple):
    """What /proc tells of a process."""

    cpu_ticks: int
    """CPU time in clock ticks."""
    waits_for_disk: bool
    """It is in uninterruptible sleep: it uses no CPU, and a kill would come when the disk answers."""
    pid: int = 0

    def wants_cpu(self) -> bool:
        """Whether one of its threads would run, if a CPU was free."""
        for thread in Path(f"/proc/{self.pid}/task").glob("*/stat"):
            with suppress(OSError, IndexError):
                if thread.read_bytes().rpartition(b")")[2].split()[0] == b"R":
                    return True
        return False


NO_TIMES: Final = ProcessTimes(0, False)


def process_times(pid: int) -> ProcessTimes:
    """Of proc(5), ``stat``: fields 3, 14 and 15; zero where the system does not tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return ProcessTimes(int(fields[11]) + int(fields[12]), fields[0] == b"D", pid)
    except (OSError, IndexError, ValueError):
        return NO_TIMES


class HangWatch:
    """Counts looks and no seconds: the process that looks may have been stopped as well."""

    def __init__(self) -> None:
        self._sign: object = None
        self._unchanged = 0
        """Looks in a row at which the sign was the same…"""
        self._idle = 0
        """…and at which the process had used no CPU since the look before."""
        self._cpu_ticks = 0

    def look(self, sign: object, times: ProcessTimes) -> bool:
        """Whether the process hangs. ``sign`` changes while it is well; None: it has not given one yet."""
        before, self._cpu_ticks = self._cpu_ticks, times.cpu_ticks
        if sign is None or sign != self._sign:
            self._sign, self._unchanged, self._idle = sign, 0, 0
            return False
        self._unchanged += 1
        self._idle = self._idle + 1 if times.cpu_ticks == before and not times.waits_for_disk else 0
        if self._unchanged * LOOK_SECONDS < BUSY_SECONDS:
            if self._idle * LOOK_SECONDS < HANG_SECONDS:
                return False
            if times.wants_cpu():
                self._idle = 0
                return False
        self._sign, self._unchanged, self._idle = None, 0, 0
        return True
