"""Sixteen recordings that play together, by the times at which their pictures arrive at a viewer."""

import time

from bench.check.bus import own_mesh
from bench.check.promise import Promise
from tests.integration.recorded_playback import FPS, PATIENCE_SECONDS, Playing, playing, rests
from tests.integration.recorders import until
from tests.wall.relay.viewer import Received

CAMERAS = 16


async def measure(*, quick: bool) -> list[Promise]:
    """The one promise."""
    together: list[float] = []
    async with own_mesh() as mesh, playing(mesh.bus, mesh.settings, mesh.folder, CAMERAS) as wall:
        for attempt in range(1 if quick else 4):
            together += await spreads(wall, 10 + 50 * attempt)
    return [Promise("between sixteen recordings' pictures of one moment", "s", together, 0.040)]


async def spreads(wall: Playing, begin: int) -> list[float]:
    """Two seconds of pictures from one on: of each the seconds between the first camera's and the last one's."""
    viewer = wall.viewer
    arrived: list[list[float]] = [[] for _ in range(CAMERAS)]
    slots = {ssrc: slot for slot, ssrc in enumerate(viewer.ssrcs)}

    def note(packet: Received) -> None:
        """When the last packet of each picture came."""
        if packet.header.marker and packet.header.ssrc in slots:
            arrived[slots[packet.header.ssrc]].append(time.monotonic())

    await wall.control(action="seek", at_us=wall.at(begin))
    for slot in range(CAMERAS):
        await wall.stands(slot, begin)
    await rests(viewer)  # what leads on to the moment comes later to a viewer that does not say what it has seen
    viewer.on_packet = note
    await wall.control(action="play", rate=1.0)
    await until(lambda: min(map(len, arrived)) > 2 * FPS, PATIENCE_SECONDS)
    viewer.on_packet = lambda _: None
    await wall.control(action="pause")
    # The n-th picture after the sought one is the same moment in all.
    return [max(at) - min(at) for at in zip(*(times[: 2 * FPS] for times in arrived), strict=True)]
