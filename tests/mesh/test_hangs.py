"""When a process counts as hanging."""

import os
import signal
import subprocess
import sys
import time
from itertools import count

from services.mesh.hangs import BUSY_SECONDS, HANG_SECONDS, LOOK_SECONDS, HangWatch, ProcessTimes, process_times

HANG_LOOKS = round(HANG_SECONDS / LOOK_SECONDS)
BUSY_LOOKS = round(BUSY_SECONDS / LOOK_SECONDS)


def looks_until_it_hangs(*, busy: bool = False, waits_for_disk: bool = False) -> int:
    watch, ticks = HangWatch(), count(100)
    times = ProcessTimes(next(ticks), waits_for_disk)
    for looks in range(2 * BUSY_LOOKS):
        if watch.look("as before", times):
            return looks
        if busy:
            times = ProcessTimes(next(ticks), waits_for_disk)
    raise AssertionError("it never hangs")


def test_a_process_that_gives_no_sign_and_does_nothing_hangs() -> None:
    assert looks_until_it_hangs() == HANG_LOOKS


def test_one_that_works_or_waits_for_its_disk_has_more_time() -> None:
    assert looks_until_it_hangs(busy=True) == BUSY_LOOKS
    assert looks_until_it_hangs(waits_for_disk=True) == BUSY_LOOKS


def test_one_that_waits_for_a_cpu_has_more_time() -> None:
    watch, starved = HangWatch(), ProcessTimes(100, False, os.getpid())  # this thread runs, and so is in state R
    looks = [watch.look("as before", starved) for _ in range(BUSY_LOOKS + 1)]
    assert looks.index(True) == BUSY_LOOKS


def test_a_process_wants_a_cpu_until_it_is_stopped() -> None:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        try:
            while not process_times(busy.pid).wants_cpu():
                time.sleep(0.01)
            busy.send_signal(signal.SIGSTOP)
            while process_times(busy.pid).wants_cpu():
                time.sleep(0.01)
        finally:
            busy.kill()
    assert not process_times(busy.pid).wants_cpu()


def test_one_that_gives_signs_or_has_not_begun_to_is_well() -> None:
    watch, idle = HangWatch(), ProcessTimes(100, False)
    assert not any(watch.look(sign, idle) for sign in range(3 * BUSY_LOOKS))
    assert not any(HangWatch().look(None, idle) for _ in range(3 * BUSY_LOOKS))


def test_its_successor_is_judged_anew() -> None:
    watch, idle = HangWatch(), ProcessTimes(100, False)
    assert [watch.look("as before", idle) for _ in range(2 * HANG_LOOKS + 1)].count(True) == 1


def test_the_times_of_a_process_are_read_and_those_of_none_are_zero() -> None:
    before = process_times(os.getpid())
    while process_times(os.getpid()).cpu_ticks <= before.cpu_ticks:
        sum(range(10_000))
    assert process_times(2**22 + 1) == ProcessTimes(0, False)
