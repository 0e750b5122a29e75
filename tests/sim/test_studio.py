"""Clips from the cache or from worker processes."""

import asyncio
from pathlib import Path

import pytest

from services.sim.clip import ClipKey
from services.sim.specs import AudioSpec, VideoSpec
from services.sim.studio import ClipMakingError, Studio


def key(number: int) -> ClipKey:
    return ClipKey(number, "", AudioSpec("pcm_alaw"))


async def test_a_clip_is_made_once_and_found_in_the_cache_afterwards(tmp_path: Path) -> None:
    async with Studio.open(tmp_path, 2) as studio:
        first, second, other = await asyncio.gather(
            studio.get_reel(key(1)), studio.get_reel(key(1)), studio.get_reel(key(2))
        )
        assert first is second
        assert first is not other
        assert studio.made == 2
    async with Studio.open(tmp_path, 1) as studio:
        assert (await studio.get_reel(key(1))).clip == first.clip
        assert studio.made == 0


async def test_a_corrupt_file_is_made_again(tmp_path: Path) -> None:
    async with Studio.open(tmp_path, 1) as studio:
        whole = (await studio.get_reel(key(1))).clip
    path = tmp_path / key(1).file_name
    path.write_bytes(path.read_bytes()[:-40])
    async with Studio.open(tmp_path, 1) as studio:
        assert (await studio.get_reel(key(1))).clip == whole
        assert studio.made == 1


async def test_a_clip_that_cannot_be_made_is_an_error_and_the_next_one_is_made(tmp_path: Path) -> None:
    impossible = ClipKey(1, "", VideoSpec(width_px=3, height_px=3))
    async with Studio.open(tmp_path, 1) as studio:
        with pytest.raises(ClipMakingError):
            await studio.get_reel(impossible)
        await studio.get_reel(key(1))


async def test_a_cancelled_wait_leaves_a_worker_that_answers_the_right_job(tmp_path: Path) -> None:
    async with Studio.open(tmp_path, 1) as studio:
        waiting = asyncio.create_task(studio.get_reel(key(1)))
        await asyncio.sleep(0.05)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await studio.get_reel(key(2))
        assert (tmp_path / key(2).file_name).exists()
