"""The receiving end of ``sd_notify(3)``: children report that they are ready and well, as they do to systemd."""

import asyncio
import os
import secrets
import socket
import struct
from collections.abc import Callable
from typing import Final

from services.mesh.child import Child

_CREDENTIALS: Final = struct.Struct("3i")  # struct ucred of unix(7): pid, uid, gid


class NotifySocket:
    """One datagram socket for all children; ``on_state(pid, variable, value)`` is called for each assignment.

    The kernel says which process sent a datagram, so a child's own children are told apart from it.
    """

    def __init__(self, on_state: Callable[[int, str, str], None]) -> None:
        """Begins to listen on the running loop, at an address in the abstract namespace: no file stays behind."""
        self._on_state = on_state
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        name = f"pantau-up-{os.getpid()}-{secrets.token_hex(4)}"
        self._socket.bind(f"\0{name}")
        self.address = f"@{name}"
        """For ``NOTIFY_SOCKET``."""
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._read)

    def _read(self) -> None:
        try:
            data, ancillary, _, _ = self._socket.recvmsg(4096, socket.CMSG_SPACE(_CREDENTIALS.size))
        except BlockingIOError:
            return
        pid = next(
            (
                _CREDENTIALS.unpack(value[: _CREDENTIALS.size])[0]
                for level, kind, value in ancillary
                if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS
            ),
            0,
        )
        for line in data.decode(errors="replace").splitlines():
            variable, _, value = line.partition("=")
            self._on_state(pid, variable, value)

    def close(self) -> None:
        """Stops listening."""
        asyncio.get_running_loop().remove_reader(self._socket.fileno())
        self._socket.close()


class Readiness:
    """Which children have said ``READY=1`` since they were first started; hands on ``WATCHDOG=1``."""

    def __init__(self) -> None:
        self._children: dict[str, tuple[Child, asyncio.Event]] = {}

    def expect(self, child: Child) -> asyncio.Event:
        """Accepts readiness of ``child`` from now on; the event is set by it."""
        ready = asyncio.Event()
        self._children[child.name] = child, ready
        return ready

    def take_assignment(self, pid: int, variable: str, value: str) -> None:
        """What process ``pid`` sent by ``sd_notify(3)``; see `NotifySocket`."""
        for child, ready in self._children.values():
            if pid == child.pid and value == "1":
                if variable == "READY":
                    ready.set()
                elif variable == "WATCHDOG":
                    child.note_well()

    async def wait(self, name: str) -> None:
        """Returns when that child has been ready."""
        await self._children[name][1].wait()
