"""A source that stands still behind its first picture: a dead one is noticed, one that answers may be a slow camera."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.contracts.models import Reason
from tests.integration.ingest_rig import Rig, environment
from tests.support.scripted_camera import Asked, ScriptedCamera, packets

pytestmark = pytest.mark.integration


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with environment(tmp_path) as (rig, _):
        yield rig


def one_picture(*, answers: bool) -> ScriptedCamera:
    """Sends one keyframe and then nothing; it answers what it is asked while it plays, or not."""

    def kept(camera: ScriptedCamera, asked: Asked) -> bytes | None:
        return camera.good(asked) if answers or not asked.header("session") else None

    sends = [packet for packet in packets() if packet.picture == 0]
    return ScriptedCamera(
        sends=sends, ends=False, script=dict.fromkeys(("GET_PARAMETER", "OPTIONS", "SET_PARAMETER"), kept)
    )


async def test_a_dead_camera_is_given_up_while_one_that_answers_is_left_open(rig: Rig) -> None:
    async with one_picture(answers=False) as dead, one_picture(answers=True) as slow, rig.worker() as worker:
        await worker.ready()
        for name, camera in (("slow", slow), ("dead", dead)):
            await rig.camera(name, {"main": camera.url})
            await rig.assign(name, worker.name)
        await rig.until_online("slow")
        await rig.until_online("dead")
        await rig.until(lambda: rig.profile("dead").reason is Reason.STALLED)
        report = rig.profile("slow")
        assert report.status == "online"
        assert slow.connections == 1
        await rig.until(lambda: "may be a slow camera" in rig.profile("slow").detail)
        await rig.until(lambda: rig.profile("slow").reason is Reason.STALLED)
