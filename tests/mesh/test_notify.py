"""Readiness by sd_notify(3): who said it, and what."""

import asyncio
import os
import socket
import sys

from services.mesh.child import Child
from services.mesh.lifecycle import sd_notify
from services.mesh.notify import NotifySocket, Readiness


async def test_a_childs_readiness_arrives_with_its_process_number() -> None:
    heard: list[tuple[int, str, str]] = []
    notify = NotifySocket(lambda pid, variable, value: heard.append((pid, variable, value)))
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from services.mesh.lifecycle import sd_notify; sd_notify('READY=1\\nSTATUS=well')",
        env={**os.environ, "NOTIFY_SOCKET": notify.address},
    )
    await child.wait()
    await asyncio.sleep(0.05)
    notify.close()
    assert heard == [(child.pid, "READY", "1"), (child.pid, "STATUS", "well")]


async def test_garbage_is_nobodys_readiness() -> None:
    heard: list[tuple[int, str, str]] = []
    notify = NotifySocket(lambda pid, variable, value: heard.append((pid, variable, value)))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        for datagram in (b"\xff\x00\n=\n", b"", b"READY"):
            sender.sendto(datagram, "\0" + notify.address[1:])
    await asyncio.sleep(0.05)
    notify.close()
    assert ("READY", "1") not in {(variable, value) for _, variable, value in heard}


async def test_only_the_childs_own_word_makes_it_ready() -> None:
    sleeper = Child("sleeper", [sys.executable, "-c", "import time; time.sleep(60)"], os.environ, grace_seconds=5)
    readiness = Readiness()
    readiness.expect(sleeper)
    keeping = asyncio.create_task(sleeper.keep())
    async with asyncio.timeout(90):
        while (pid := sleeper.pid) is None:
            await asyncio.sleep(0.01)
    waiting = asyncio.create_task(readiness.wait("sleeper"))
    readiness.take_assignment(pid + 1, "READY", "1")
    readiness.take_assignment(pid, "STATUS", "1")
    await asyncio.sleep(0)
    assert not waiting.done()
    readiness.take_assignment(pid, "READY", "1")
    await asyncio.wait_for(waiting, 30)
    sleeper.stop()
    await keeping


def test_nobody_listening_is_no_error() -> None:
    # passes if nothing raises
    os.environ.pop("NOTIFY_SOCKET", None)
    sd_notify("READY=1")
    os.environ["NOTIFY_SOCKET"] = "@nobody-is-there"
    try:
        sd_notify("READY=1")
    finally:
        del os.environ["NOTIFY_SOCKET"]
