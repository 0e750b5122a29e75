"""A reader process's side of its link to a service, and to the one that comes after it."""

import asyncio
from collections.abc import Callable
from enum import Enum, auto
from pathlib import Path
from typing import Final

from services.ingest import control

SUCCESSOR_SECONDS: Final = 10.0
"""How long a process that its service has left behind waits for the next one."""


class Over(Enum):
    """How a service is over."""

    TOLD_TO_END = auto()
    LEFT_BEHIND = auto()


class Link:
    """The socket to a service. What it says goes to ``take``, once that is set, and is kept until then."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self._reader = reader
        self._said: dict[type, control.Message] = {}
        self._take: Callable[[control.Message], None] = lambda message: self._said.update({type(message): message})

    async def message(self) -> control.Message | None:
        """The next message by itself; before `run`."""
        return await control.read(self._reader)

    async def run(self) -> Over:
        """Listens until the service is over."""
        while (message := await control.read(self._reader)) is not None:
            if isinstance(message, control.End):
                return Over.TOLD_TO_END
            self._take(message)
        return Over.LEFT_BEHIND

    def hand_to(self, take: Callable[[control.Message], None]) -> None:
        """Hands on what was said, and all that comes."""
        self._take = take
        for message in self._said.values():
            take(message)


class Successors:
    """Where a process listens for the service that shall take it over."""

    def __init__(self) -> None:
        self._server: asyncio.Server | None = None
        self._path: Path | None = None
        self._came: asyncio.Queue[Link] = asyncio.Queue(1)
        self._waiting = False

    async def listen(self, path: Path) -> None:
        """Listens at ``path``; raises ``OSError``."""
        self._path = path
        self._server = await asyncio.start_unix_server(self._take, path)

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._waiting and not self._came.full():
            self._came.put_nowait(Link(reader, writer))
        else:
            writer.close()  # it has a service

    async def next(self) -> Link | None:
        """The next service's link; None where there is none within `SUCCESSOR_SECONDS`."""
        if self._server is None:
            return None
        self._waiting = True
        try:
            async with asyncio.timeout(SUCCESSOR_SECONDS):
                return await self._came.get()
        except TimeoutError:
            return None
        finally:
            self._waiting = False

    def close(self) -> None:
        """Stops listening."""
        if self._server is not None and self._path is not None:
            self._server.close()
            self._path.unlink(missing_ok=True)
