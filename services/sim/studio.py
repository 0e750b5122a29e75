"""Gets clips from the cache, or has worker processes make them, in the order of the requests."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgpack

from services.mesh.log import get_logger
from services.sim import clip
from services.sim.clip import ClipError, ClipKey
from services.sim.packetize import Reel

log = get_logger()


class ClipMakingError(Exception):
    """A worker process died twice while it made a clip."""


def default_cache() -> Path:
    """The user's cache directory (XDG)."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "pantau" / "sim"


class Studio:
    """Keeps at most ``workers`` processes busy. Clips with equal keys are made and loaded once."""

    def __init__(self, cache: Path, workers: int) -> None:
        self._cache = cache
        self._idle: asyncio.Queue[_Worker] = asyncio.Queue(workers)
        self._workers = workers
        self._reels: dict[ClipKey, asyncio.Future[Reel]] = {}
        self.made = 0
        """Clips that were not in the cache."""

    @classmethod
    @asynccontextmanager
    async def open(cls, cache: Path, workers: int | None = None) -> AsyncIterator["Studio"]:
        """A studio whose worker processes (default: one a core) are stopped when the context ends."""
        studio = cls(cache, workers or os.cpu_count() or 1)
        started = [_Worker() for _ in range(studio._workers)]
        for worker in started:
            studio._idle.put_nowait(worker)
        try:
            yield studio
        finally:
            for worker in started:
                await worker.stop()

    async def get_reel(self, key: ClipKey) -> Reel:
        """The clip for ``key``, packetized.

        Raises `ClipMakingError` where it cannot be made, OSError where the cache cannot be used.
        """
        known = self._reels.get(key)
        if known is not None:
            return await asyncio.shield(known)
        future: asyncio.Future[Reel] = asyncio.get_running_loop().create_future()
        self._reels[key] = future
        try:
            made = await self._load_or_make(key)
        except BaseException as error:
            del self._reels[key]
            if isinstance(error, asyncio.CancelledError):
                future.cancel()
            else:
                future.set_exception(error)
                future.exception()  # marks it as retrieved: there may be no other waiter
            raise
        future.set_result(made)
        return made

    async def _load_or_make(self, key: ClipKey) -> Reel:
        path = self._cache / key.file_name
        if path.exists():
            try:
                return await asyncio.to_thread(_load, path)
            except ClipError as error:
                log.warning("clip.corrupt", error=str(error))
        worker = await self._idle.get()
        try:
            seconds = await worker.make(key, path)
        finally:
            self._idle.put_nowait(worker)
        self.made += 1
        log.info("clip.made", scene=key.scene, track=type(key.track).__name__, codec=key.track.codec, seconds=seconds)
        return await asyncio.to_thread(_load, path)


def _load(path: Path) -> Reel:
    return Reel(clip.load(path))


class _Worker:
    """One process of `services.sim.clipmaker`, started with its first job."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None

    async def make(self, key: ClipKey, path: Path) -> float:
        job = msgpack.packb((key.pack(), str(path)))
        for _ in range(2):
            process = await self._start()
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                process.stdin.write(len(job).to_bytes(4, "big") + job)
                await process.stdin.drain()
                if answer := await process.stdout.readline():
                    return float(answer)
            except ConnectionError:
                pass
            except asyncio.CancelledError:
                await self.stop()  # otherwise its answer would be taken for the next job's
                raise
            await self.stop()
        raise ClipMakingError(f"scene {key.scene}: the clip maker ended twice; its message is on standard error")

    async def _start(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "services.sim.clipmaker",
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            )  # fmt: skip
        return self._process

    async def stop(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.kill()
            await process.wait()
