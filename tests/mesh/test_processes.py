"""Children that end with the thread that started them."""

import asyncio
import subprocess
import sys
import threading

from services.mesh.processes import end_with_parent


def test_a_child_gets_the_signal_that_was_asked_for_when_its_parent_goes() -> None:
    children: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        children.append(
            subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], preexec_fn=end_with_parent())
        )

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert children[0].wait(5) == -15


async def test_it_works_through_asyncio_and_leaves_a_living_parents_child_alone() -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "import time; time.sleep(0.2)", preexec_fn=end_with_parent()
    )
    assert await child.wait() == 0
