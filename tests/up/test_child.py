"""A supervised child: back when it was killed, gone with its parent, never left behind."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from services.mesh.lifecycle import EXIT_REFUSED
from services.up.child import Child
from services.up.errors import ChildRefusedError

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


async def eventually(holds: Callable[[], bool], timeout_seconds: float = 30.0) -> None:
    async with asyncio.timeout(timeout_seconds):
        while not holds():
            await asyncio.sleep(0.01)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


async def test_a_killed_child_is_back_within_two_seconds() -> None:
    child = Child("sleeper", SLEEP, os.environ)
    keeping = asyncio.create_task(child.keep())
    await eventually(lambda: child.pid is not None)
    first = child.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await eventually(lambda: child.pid not in (None, first), 2)
    child.stop()
    await asyncio.wait_for(keeping, 30)
    assert child.ended.is_set()
    assert child.pid is None
    assert child.starts == 2


async def test_what_a_killed_child_had_started_goes_with_it(tmp_path: Path) -> None:
    note = tmp_path / "grandchild"
    code = (
        "import subprocess, sys, time; from pathlib import Path; "
        "grandchild = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); "
        f"Path({str(note)!r}).write_text(str(grandchild.pid)); time.sleep(60)"
    )
    child = Child("parent", [sys.executable, "-c", code], os.environ)
    keeping = asyncio.create_task(child.keep())
    await eventually(lambda: note.exists() and note.read_text() != "")
    grandchild = int(note.read_text())
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    await eventually(lambda: not alive(grandchild), 2)
    child.stop()
    await asyncio.wait_for(keeping, 30)


async def test_a_child_that_does_not_listen_is_killed() -> None:
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"
    child = Child("deaf", [sys.executable, "-c", deaf], os.environ)
    keeping = asyncio.create_task(child.keep())
    await eventually(lambda: child.pid is not None)
    await asyncio.sleep(0.5)
    child.stop()
    with suppress(TimeoutError):
        await asyncio.wait_for(asyncio.shield(keeping), 0.3)
    assert child.pid is not None
    child.kill()
    await asyncio.wait_for(keeping, 30)
    assert child.pid is None


async def test_a_child_that_refuses_before_it_was_ready_is_not_started_again() -> None:
    child = Child("refuser", [sys.executable, "-c", f"import sys; sys.exit({EXIT_REFUSED})"], os.environ)
    with pytest.raises(ChildRefusedError, match="refuser refuses to start"):
        await asyncio.wait_for(child.keep(), 5)
    assert child.starts == 1
    assert child.ended.is_set()


async def test_only_the_childs_own_word_makes_it_ready() -> None:
    child = Child("sleeper", SLEEP, os.environ)
    keeping = asyncio.create_task(child.keep())
    await eventually(lambda: child.pid is not None)
    assert child.pid is not None
    child.notified(child.pid + 1, "READY", "1")
    child.notified(child.pid, "STATUS", "1")
    before = child.ready.is_set()
    child.notified(child.pid, "READY", "1")
    assert (before, child.ready.is_set()) == (False, True)
    child.stop()
    await asyncio.wait_for(keeping, 30)


async def test_a_child_stopped_before_it_ran_never_runs() -> None:
    child = Child("late", SLEEP, os.environ)
    child.stop()
    await asyncio.wait_for(child.keep(), 1)
    assert child.starts == 0


async def test_a_child_ends_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    code = (
        "import asyncio, os, sys\n"
        "from services.mesh.log import configure\n"
        "from services.up.child import Child\n"
        "configure('test')\n"
        "async def main():\n"
        "    child = Child('sleeper', [sys.executable, '-c', 'import time; time.sleep(60)'], os.environ)\n"
        "    task = asyncio.create_task(child.keep())\n"
        "    while child.pid is None: await asyncio.sleep(0.01)\n"
        "    print(child.pid, flush=True)\n"
        "    await task\n"
        "asyncio.run(main())\n"
    )
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    assert parent.stdout is not None
    child = int(await parent.stdout.readline())
    parent.kill()
    await parent.wait()
    await eventually(lambda: not alive(child), 2)
