"""SIGSTOP of each process in turn: it is killed and replaced, and the state says meanwhile what frames show.

How soon, `bench check` measures.
"""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.chaos.freezes import VICTIMS, freezable, freeze
from tests.chaos.watched import Watched

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

DISAGREE_SECONDS = 30.0
"""Five on a quiet machine (docs/architecture.md, Who watches whom). One that nobody corrects stays wrong."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def watched(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Watched]:
    async with freezable(tmp_path_factory.mktemp("freeze")) as watched:
        yield watched


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("victim", VICTIMS)
async def test_a_frozen_process_is_killed_and_replaced_and_the_state_says_what_frames_show(
    victim: str, watched: Watched
) -> None:
    frozen = await freeze(victim, watched)
    assert VICTIMS[victim](watched.up) != frozen.pid
    assert frozen.disagreed_seconds < DISAGREE_SECONDS, frozen
