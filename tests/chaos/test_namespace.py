"""Runs beside each other do not meet in the network, and one that was killed leaves nothing to the next."""

import os
import select
import subprocess
import sys

import pytest

from tests.chaos.namespace import severable_network

pytestmark = pytest.mark.chaos

OWNER = """
import subprocess
from tests.chaos.namespace import severable_network
with severable_network() as network:
    within = subprocess.Popen([*network.command, "sleep", "inf"])
    print(network.name, within.pid, flush=True)
    within.wait()
"""


def names() -> str:
    return subprocess.run(["ip", "netns", "list"], check=True, capture_output=True, text=True).stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="a network namespace needs root")
def test_a_run_has_a_network_beside_others_and_ends_what_killed_ones_left() -> None:
    with subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        other, within = owner.stdout.readline().split()
        with severable_network() as network:
            assert other in names()
            assert network.name in names()
            network.cut()
            network.mend()
        assert network.name not in names()
        assert other in names()
        sleeping = os.pidfd_open(int(within))
        owner.kill()
    with severable_network():
        assert other not in names()
    ended = select.poll()  # select() takes no descriptor from 1024 on
    ended.register(sleeping, select.POLLIN)
    assert ended.poll(60_000), "what ran within has not ended"
    os.close(sleeping)
