"""What a registry that tells figures knows of them: what it said itself, without reading its own messages."""

from typing import Any, cast

import pytest

from services.contracts.models import CameraFigures, CameraState, ProfileReport, Status
from services.mesh.bus import Bus, BusMessage
from services.mesh.states import StateFeed


def state(frames: int) -> CameraState:
    profile = ProfileReport(status="online", frames=frames)
    return CameraState(camera="gate", site="city", status=Status.ONLINE, since_us=1, profiles={"main": profile})


class Message:
    subject = "pantau.v1.city.figures"

    def __init__(self, data: bytes) -> None:
        self.data = data


@pytest.mark.parametrize("tells", [False, True])
async def test_figures_are_read_from_the_bus_unless_this_process_tells_them(tells: bool) -> None:
    feed = StateFeed(cast("Bus", None), "city", figures=True)
    feed.tells = tells
    feed.know([state(1)])
    message: Any = Message(CameraFigures(states=(state(2),)).pack())
    await feed._take_figures(cast("BusMessage", message))
    known = feed.newer("gate", None)
    assert known is not None
    assert known.profiles["main"].frames == (1 if tells else 2)
