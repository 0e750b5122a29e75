"""A network namespace of this process's own, which can be cut off from the rest. It needs root."""

import ipaddress
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

_PREFIX: Final = "pantau-cut-"
_NETWORK: Final = ipaddress.ip_network("198.18.0.0/15")
"""No machine has an address there but in tests (RFC 2544, C.2.2)."""


class SeverableNetwork:
    """Made by `severable_network`."""

    def __init__(self, owner: int) -> None:
        """``owner``: the process that uses it."""
        self.name = f"{_PREFIX}{owner}"
        self.command = ["ip", "netns", "exec", self.name]
        """Runs what follows it within."""
        self._ends = f"cut{owner}o", f"cut{owner}i"  # at most 15 characters
        first = int(_NETWORK[0]) + owner * 4 % _NETWORK.num_addresses
        self.host, self._address = (str(ipaddress.ip_address(first + number)) for number in (1, 2))
        """``host``: the address of the rest, as it is reached from within."""

    def cut(self) -> None:
        """Nothing passes any more, and nobody is told."""
        _ip("-n", self.name, "link", "set", self._ends[1], "down")

    def mend(self) -> None:
        """All passes again."""
        _ip("-n", self.name, "link", "set", self._ends[1], "up")

    def make(self) -> None:
        """The namespace and its link."""
        outside, inside = self._ends
        _ip("netns", "add", self.name)
        _ip("link", "add", outside, "type", "veth", "peer", "name", inside, "netns", self.name)
        _ip("addr", "add", f"{self.host}/30", "dev", outside)
        _ip("link", "set", outside, "up")
        _ip("-n", self.name, "addr", "add", f"{self._address}/30", "dev", inside)
        self.mend()
        _ip("-n", self.name, "link", "set", "lo", "up")

    def remove(self) -> None:
        """All that is there of it, with the processes in it."""
        for pid in _ip("netns", "pids", self.name, check=False).split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        _ip("link", "del", self._ends[0], check=False)
        _ip("netns", "del", self.name, check=False)


@contextmanager
def severable_network() -> Iterator[SeverableNetwork]:
    """One for this process. Those of processes that were killed are removed first."""
    for owner in map(int, re.findall(rf"^{_PREFIX}(\d+)", _ip("netns", "list"), re.MULTILINE)):
        if owner == os.getpid() or not Path(f"/proc/{owner}").exists():
            SeverableNetwork(owner).remove()
    network = SeverableNetwork(os.getpid())
    try:
        network.make()
        yield network
    finally:
        network.remove()


def _ip(*arguments: str, check: bool = True) -> str:
    """What ip(8) says."""
    return subprocess.run(["ip", *arguments], check=check, capture_output=True, text=True).stdout
