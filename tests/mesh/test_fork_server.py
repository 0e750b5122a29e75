"""Processes that are forked from one that has done their imports."""

import asyncio
import gc
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest

from services.mesh.child import Child
from services.mesh.fork_server import ForkServer
from services.mesh.forker import fork_template
from tests.mesh.fork_owner import LONG
from tests.processes import children, command_line, runs

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="pidfds and prctl are Linux's")

SLEEP = [sys.executable, "-m", "tests.mesh.sleeper", "600"]


@pytest.fixture
async def server() -> AsyncIterator[ForkServer]:
    server = ForkServer(("json",))
    yield server
    server.close()
    await no_template()


async def no_template() -> None:
    """Returns when the killed template has ended: the next test looks for the only one."""
    async with asyncio.timeout(60):
        while any("services.mesh.forker" in command_line(pid) for pid in children(os.getpid())):
            await asyncio.sleep(0.01)


async def gone(pid: int) -> None:
    async with asyncio.timeout(20):
        while runs(pid):
            await asyncio.sleep(0.02)


async def test_a_forked_process_has_its_own_command_line_environment_and_group(server: ForkServer) -> None:
    assert await (await server.start(SLEEP, {"SLEEPER": "7"})).wait() == 7
    process = await server.start(SLEEP, {})
    assert command_line(process.pid).startswith(" ".join(SLEEP))
    assert os.getpgid(process.pid) == process.pid
    assert process.running
    process.terminate()
    assert await process.wait() == -signal.SIGTERM
    assert not process.running


async def test_all_are_forked_from_one_process_and_a_killed_one_is_told(server: ForkServer) -> None:
    first, second = await server.start(SLEEP, {}), await server.start(SLEEP, {})
    (template,) = [pid for pid in children(os.getpid()) if "services.mesh.forker" in command_line(pid)]
    assert set(children(template)) == {first.pid, second.pid}
    first.kill()
    assert await first.wait() == -signal.SIGKILL
    assert second.running


async def test_the_end_of_the_template_ends_its_processes_and_the_next_start_has_another(server: ForkServer) -> None:
    process = await server.start(SLEEP, {})
    (template,) = [pid for pid in children(os.getpid()) if "services.mesh.forker" in command_line(pid)]
    os.kill(template, signal.SIGKILL)
    await process.wait()
    await gone(process.pid)
    process = await server.start(SLEEP, {})
    assert runs(process.pid)


async def test_where_the_template_hangs_a_process_is_started_without_it_and_the_others_live_on(
    server: ForkServer,
) -> None:
    process = await server.start(SLEEP, {})
    (template,) = [pid for pid in children(os.getpid()) if "services.mesh.forker" in command_line(pid)]
    os.kill(template, signal.SIGSTOP)
    own = await server.start([sys.executable, "-c", "raise SystemExit(5)"], dict(os.environ))
    assert await own.wait() == 5
    assert runs(process.pid)


async def test_a_child_that_is_forked_is_started_again(server: ForkServer) -> None:
    child = Child("sleeper", SLEEP, {}, grace_seconds=5, starter=server)
    keeping = asyncio.create_task(child.keep())
    async with asyncio.timeout(30):
        while child.pid is None:
            await asyncio.sleep(0.02)
        first = child.pid
        os.kill(first, signal.SIGKILL)
        while child.pid in (None, first):
            await asyncio.sleep(0.02)
        child.stop()
        await keeping
    assert child.starts == 2


async def test_where_the_system_gives_no_more_processes_those_that_there_are_live_on() -> None:
    server = ForkServer(("tests.mesh.one_fork",))
    first = await server.start(SLEEP, {})
    own = await server.start([sys.executable, "-c", "raise SystemExit(5)"], dict(os.environ))
    assert await own.wait() == 5
    assert first.running
    assert runs(first.pid)
    server.close()
    await no_template()


async def test_a_template_that_cannot_say_why_it_ends_does_not_go_on_as_its_owner() -> None:
    owner = (
        "import os, signal, sys\n"
        "from services.mesh.forker import fork_template\n"
        "try:\n"
        "    template = fork_template(('no.such.module',), signal.SIGTERM)\n"
        "finally:\n"
        "    os.write(int(sys.argv[1]), b'.')\n"
        "os.waitpid(template.pid, 0)\n"
    )
    told, tell = os.pipe()
    closed, broken = os.pipe()
    os.close(closed)
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", owner, str(tell), stderr=broken, pass_fds=(tell,), env=buffered
    )
    os.close(tell)
    os.close(broken)
    assert await process.wait() == 0
    assert os.read(told, 10) == b"."
    os.close(told)


def test_an_owner_that_cannot_be_forked_has_no_template(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused() -> int:
        raise BlockingIOError

    monkeypatch.setattr(os, "fork", refused)
    try:
        assert fork_template(("json",), signal.SIGTERM) is None
    finally:
        gc.unfreeze()


async def test_what_cannot_be_forked_is_started_from_its_command_line() -> None:
    server = ForkServer(("no.such.module",))
    process = await server.start([sys.executable, "-c", "raise SystemExit(5)"], dict(os.environ))
    assert await process.wait() == 5
    server.close()


async def test_a_template_that_its_owner_was_forked_into_serves_like_one_that_was_started() -> None:
    owner = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.mesh.fork_owner", stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
    )
    async with asyncio.timeout(60):
        printed, _ = await owner.communicate()
    assert json.loads(printed) == {
        "template": ["-m", "services.mesh.forker"],
        "parent is the template": True,
        "command line": " ".join(LONG),
        "status": 7,
        "holds what it inherits": True,
        "the template holds it too": False,
    }
