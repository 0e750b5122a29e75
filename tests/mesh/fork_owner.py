"""A process for tests that forks a template of itself: prints as JSON what became of it and of one that it started."""

import asyncio
import json
import os
import signal
import sys

from services.mesh.fork_server import ForkServer
from services.mesh.forker import Template, fork_template
from tests.processes import children, command_line

LONG = [sys.executable, "-m", "tests.mesh.sleeper", "5", "-" * 300]


async def tell(template: Template) -> None:
    read, write = os.pipe()
    server = ForkServer(("json",), keep_open=(write,), template=template)
    first = await server.start(LONG, {})
    second = await server.start(LONG, {"SLEEPER": "7"})
    os.close(write)
    os.set_blocking(read, False)
    told = {
        "template": command_line(template.pid).split()[1:3],
        "parent is the template": first.pid in children(template.pid),
        "command line": command_line(first.pid).rstrip(),
        "status": await second.wait(),
        "holds what it inherits": still_open(read),
    }
    first.terminate()
    await first.wait()
    told["the template holds it too"] = still_open(read)
    server.close()
    while template.pid in children(os.getpid()):
        await asyncio.sleep(0.01)
    sys.stdout.write(json.dumps(told))


def still_open(read: int) -> bool:
    """Whether another process holds the other end of this pipe."""
    try:
        return os.read(read, 1) != b""
    except BlockingIOError:
        return True


if __name__ == "__main__":
    forked = fork_template(("json",), signal.SIGTERM)
    assert forked is not None
    asyncio.run(tell(forked))
