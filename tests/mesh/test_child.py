"""Child processes: back when they were killed, gone with their parent, never left behind."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.mesh.child import (
    EARN_SECONDS,
    QUICK_RESTARTS,
    SLOW_PAUSES_SECONDS,
    Child,
    ChildProcess,
    ChildRefusedError,
    RestartPolicy,
    end_with_parent,
    keep_running,
)
from services.mesh.lifecycle import EXIT_REFUSED
from tests.eventually import eventually
from tests.processes import runs

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]
LONGEST_SECONDS = SLOW_PAUSES_SECONDS[1]


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def deaf(armed: Path) -> list[str]:
    """Does not end at SIGTERM, once ``armed`` is there."""
    return python(
        "import pathlib, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        f"pathlib.Path({str(armed)!r}).touch(); time.sleep(60)"
    )


def child(name: str, arguments: list[str], grace_seconds: float = 10.0) -> Child:
    return Child(name, arguments, os.environ, grace_seconds=grace_seconds, own_group=True)


def test_the_first_five_deaths_in_a_minute_cost_half_a_second_at_most() -> None:
    policy = RestartPolicy()
    assert [policy.pause_seconds(0) for _ in range(5)] == [0.0, 0.1, 0.25, 0.5, 0.5]
    assert policy.pause_seconds(0) >= SLOW_PAUSES_SECONDS[0] / 2


def test_a_child_that_dies_five_times_a_minute_is_always_back_at_once() -> None:
    policy = RestartPolicy()
    assert max(policy.pause_seconds(EARN_SECONDS) for _ in range(1000)) == 0.0


def test_a_child_that_always_dies_at_once_is_started_ever_later() -> None:
    policy = RestartPolicy()
    pauses = [policy.pause_seconds(0.1) for _ in range(20)]
    assert all(LONGEST_SECONDS / 2 <= pause <= LONGEST_SECONDS for pause in pauses[12:])


def test_after_a_good_minute_it_is_back_at_once_as_at_first() -> None:
    policy = RestartPolicy()
    for _ in range(20):
        policy.pause_seconds(0)
    assert [policy.pause_seconds(QUICK_RESTARTS * EARN_SECONDS), policy.pause_seconds(0)] == [0.0, 0.1]


@given(st.lists(st.floats(0, 100), max_size=2000))
def test_no_history_makes_it_wait_longer_than_the_longest_pause(lives: list[float]) -> None:
    policy = RestartPolicy()
    assert all(0 <= policy.pause_seconds(lived) <= LONGEST_SECONDS for lived in lives)


async def test_what_runs_is_run_again_until_it_is_stopped() -> None:
    stopping = asyncio.Event()
    runs = 0

    async def run_once() -> int:
        nonlocal runs
        runs += 1
        if runs == 3:
            stopping.set()
        return 1

    await asyncio.wait_for(keep_running("thing", run_once, stopping), 30)
    assert runs == 3


async def test_a_pause_ends_when_it_is_stopped() -> None:
    class Patient(RestartPolicy):
        def pause_seconds(self, lived_seconds: float) -> float:
            return 3600 + lived_seconds

    async def run_once() -> int:
        return 1

    stopping = asyncio.Event()
    keeping = asyncio.create_task(keep_running("thing", run_once, stopping, Patient()))
    await asyncio.sleep(0.01)
    assert not keeping.done()
    stopping.set()
    await asyncio.wait_for(keeping, 30)


async def test_a_killed_child_is_replaced() -> None:
    sleeper = child("sleeper", SLEEP)
    keeping = asyncio.create_task(sleeper.keep())
    await eventually(lambda: sleeper.pid is not None)
    first = sleeper.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await eventually(lambda: sleeper.pid not in (None, first))
    sleeper.stop()
    await asyncio.wait_for(keeping, 30)
    assert sleeper.ended.is_set()
    assert sleeper.pid is None
    assert sleeper.starts == 2


async def test_a_child_that_was_well_and_hangs_is_killed_and_replaced() -> None:
    class AtOnce:
        """Starts what says that it is well as soon as it runs, and never again."""

        async def start(self, arguments: Sequence[str], environ: Mapping[str, str]) -> ChildProcess:
            process = await ChildProcess.start(arguments, environ=environ, own_group=True)
            asyncio.get_running_loop().call_soon(sleeper.note_well)
            return process

    sleeper = Child("sleeper", SLEEP, os.environ, grace_seconds=10.0, starter=AtOnce())
    keeping = asyncio.create_task(sleeper.keep())
    await eventually(lambda: sleeper.pid is not None)
    first = sleeper.pid
    await eventually(lambda: sleeper.starts == 2)
    assert sleeper.pid != first
    sleeper.stop()
    await keeping


async def test_what_a_killed_child_had_started_goes_with_it(tmp_path: Path) -> None:
    note = tmp_path / "grandchild"
    parent = child(
        "parent",
        python(
            "import subprocess, sys, time; from pathlib import Path; "
            "grandchild = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); "
            f"Path({str(note)!r}).write_text(str(grandchild.pid)); time.sleep(60)"
        ),
    )
    keeping = asyncio.create_task(parent.keep())
    await eventually(lambda: note.exists() and note.read_text() != "")
    grandchild = int(note.read_text())
    assert parent.pid is not None
    os.kill(parent.pid, signal.SIGKILL)
    await eventually(lambda: not runs(grandchild))
    parent.stop()
    await asyncio.wait_for(keeping, 30)


async def test_a_child_that_does_not_listen_is_killed_after_its_grace(tmp_path: Path) -> None:
    armed = tmp_path / "armed"
    stubborn = child("stubborn", deaf(armed), grace_seconds=0.2)
    keeping = asyncio.create_task(stubborn.keep())
    await eventually(armed.exists)
    stubborn.stop()
    assert stubborn.pid is not None
    await asyncio.wait_for(keeping, 30)
    assert stubborn.pid is None


async def test_a_child_can_be_killed_before_its_grace_is_over(tmp_path: Path) -> None:
    armed = tmp_path / "armed"
    stubborn = child("stubborn", deaf(armed), grace_seconds=3600)
    keeping = asyncio.create_task(stubborn.keep())
    await eventually(armed.exists)
    stubborn.stop()
    stubborn.kill()
    await asyncio.wait_for(keeping, 30)
    assert stubborn.pid is None


async def test_a_child_whose_keeping_is_cancelled_is_killed() -> None:
    sleeper = child("sleeper", SLEEP)
    keeping = asyncio.create_task(sleeper.keep())
    await eventually(lambda: sleeper.pid is not None)
    pid = sleeper.pid
    assert pid is not None
    keeping.cancel()
    await asyncio.wait((keeping,))
    await eventually(lambda: not runs(pid))


async def test_a_child_that_refuses_at_its_first_start_is_not_started_again() -> None:
    refuser = child("refuser", python(f"raise SystemExit({EXIT_REFUSED})"))
    with pytest.raises(ChildRefusedError, match="refuser refuses to start"):
        await asyncio.wait_for(refuser.keep(), 30)
    assert refuser.starts == 1
    assert refuser.ended.is_set()


async def test_a_child_that_ran_once_may_refuse_later_and_is_tried_again(tmp_path: Path) -> None:
    """A port may be taken for a moment by what its predecessor left behind."""
    # passes if nothing raises
    starts = tmp_path / "starts"
    code = (
        f"import pathlib; p = pathlib.Path({str(starts)!r}); n = len(p.read_text()) if p.exists() else 0; "
        f"p.write_text('x' * (n + 1)); raise SystemExit({EXIT_REFUSED} if n else 1)"
    )
    refuser = child("refuser", python(code))
    keeping = asyncio.create_task(refuser.keep())
    await eventually(lambda: refuser.starts >= 3)
    refuser.stop()
    await asyncio.wait_for(keeping, 30)


async def test_a_child_stopped_before_it_ran_never_runs() -> None:
    late = child("late", SLEEP)
    late.stop()
    assert late.ended.is_set()
    await asyncio.wait_for(late.keep(), 30)
    assert late.starts == 0


async def test_a_child_stopped_while_it_is_being_started_ends() -> None:
    sleeper = child("sleeper", SLEEP)
    keeping = asyncio.create_task(sleeper.keep())
    await asyncio.sleep(0)  # the process is being made
    sleeper._stopping.set()
    await asyncio.wait_for(keeping, 30)
    assert sleeper.pid is None


async def test_a_child_ends_with_a_parent_that_is_killed() -> None:
    code = (
        "import asyncio, os, sys\n"
        "from services.mesh.log import configure\n"
        "from services.mesh.child import Child\n"
        "configure('test')\n"
        "async def main():\n"
        "    sleep = [sys.executable, '-c', 'import time; time.sleep(60)']\n"
        "    child = Child('sleeper', sleep, os.environ, grace_seconds=1)\n"
        "    task = asyncio.create_task(child.keep())\n"
        "    while child.pid is None: await asyncio.sleep(0.01)\n"
        "    print(child.pid, flush=True)\n"
        "    await task\n"
        "asyncio.run(main())\n"
    )
    parent = await asyncio.create_subprocess_exec(*python(code), stdout=asyncio.subprocess.PIPE)
    assert parent.stdout is not None
    pid = int(await parent.stdout.readline())
    parent.kill()
    await parent.wait()
    await eventually(lambda: not runs(pid))


async def test_a_process_that_ends_when_asked_is_not_killed() -> None:
    echo = await ChildProcess.start(
        python("import sys; sys.stdin.read(); sys.exit(7)"), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert await echo.end(30, ask=echo.stdin.close) == 7
    assert await echo.end(30) == 7


async def test_a_process_that_does_not_end_when_asked_is_killed() -> None:
    sleeper = await ChildProcess.start(SLEEP)
    assert await sleeper.end(0.05, ask=lambda: None) == -signal.SIGKILL
    assert not sleeper.running


async def test_ending_a_process_may_be_cancelled_and_kills_it_then(tmp_path: Path) -> None:
    armed = tmp_path / "armed"
    stubborn = await ChildProcess.start(deaf(armed))
    await eventually(armed.exists)
    ending = asyncio.create_task(stubborn.end(3600))
    await asyncio.sleep(0.01)
    ending.cancel()
    await asyncio.wait((ending,))
    assert ending.cancelled()
    assert not stubborn.running


async def test_a_descriptor_that_is_kept_open_reaches_the_child() -> None:
    ours, theirs = os.pipe()
    try:
        writer = await ChildProcess.start(python(f"import os; os.write({theirs}, b'here')"), keep_open=(theirs,))
        assert await writer.wait() == 0
        assert os.read(ours, 10) == b"here"
    finally:
        os.close(ours)
        os.close(theirs)


async def test_a_process_without_a_parents_signal_outlives_the_thread_that_started_it() -> None:
    code = (
        "import asyncio, sys\n"
        "from services.mesh.child import ChildProcess\n"
        "async def main():\n"
        "    child = await ChildProcess.start([sys.executable, '-c', 'import time; time.sleep(60)'],\n"
        "                                     stdout=sys.stderr, with_parent=None, own_group=True)\n"
        "    print(child.pid, flush=True)\n"
        "    await child.wait()\n"
        "asyncio.run(main())\n"
    )
    parent = await asyncio.create_subprocess_exec(*python(code), stdout=asyncio.subprocess.PIPE)
    assert parent.stdout is not None
    pid = int(await parent.stdout.readline())
    parent.kill()
    await parent.wait()
    await asyncio.sleep(0.1)
    assert runs(pid)
    os.kill(pid, signal.SIGKILL)


def test_a_child_gets_the_signal_that_was_asked_for_when_its_parent_goes() -> None:
    children: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        children.append(subprocess.Popen(SLEEP, preexec_fn=end_with_parent(signal.SIGTERM)))

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert children[0].wait(30) == -signal.SIGTERM
