"""Footage for the tests of playback: nine small cameras, recorded together for half a minute, one of them with a gap.

They are the demo's cameras a second time, recorded from their sub profiles: nine of those a test machine decodes at
their own pace. While tests look at the footage every camera is switched off, so that no others run on the same cores.
"""

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, NamedTuple

from services.sim.pictures.marker import Marker
from services.sim.simulator import phase_seconds
from services.sim.specs import PRESETS
from tests.browser.running_up import Running

CAMERAS = 9
GAP_CAMERA = 4
BEFORE_SECONDS, GAP_SECONDS, AFTER_SECONDS = 12.0, 4.0, 8.0
PATIENCE_SECONDS = 60.0
_VIDEO = PRESETS["city"](1).sub.video
FRAME_SECONDS = 1 / _VIDEO.frame_rate
GOP_SECONDS = _VIDEO.gop_seconds
LOOP_SECONDS = _VIDEO.loop_seconds


class Footage(NamedTuple):
    """What the nine cameras have recorded; Unix seconds."""

    began: float
    """From here on there is footage of all."""
    gap_began: float
    """Of `GAP_CAMERA`, as are the next two."""
    gap_ended: float
    ended: float


def camera(number: int) -> str:
    """Its id; the numbers in its pictures say ``number``."""
    return f"small-{number}"


def moment(seen: Marker) -> float:
    """When a picture was made, in seconds of the simulator's loop."""
    return (seen.frame * FRAME_SECONDS - phase_seconds(seen.camera, LOOP_SECONDS)) % LOOP_SECONDS


def apart(moments: Sequence[float]) -> float:
    """Seconds between the oldest and the newest of some moments of the loop, which lie close together."""
    half = LOOP_SECONDS / 2
    offsets = [(at - moments[0] + half) % LOOP_SECONDS - half for at in moments]
    return max(offsets) - min(offsets)


def frame_at(number: int, loop_moment: float) -> int:
    """The number in the picture that a camera's recording shows at a moment of the loop."""
    frames = (loop_moment + phase_seconds(number, LOOP_SECONDS)) / FRAME_SECONDS
    return math.floor(frames + 1e-6) % _VIDEO.loop_frames


def rfc3339(at: float) -> str:
    """As addresses and the API take it."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@contextmanager
def footage(pantau: Running) -> Iterator[Footage]:
    """Records; while the block runs every camera is off. At its end the cameras are as they were."""
    demo = [each["id"] for each in pantau.api("/cameras")["cameras"]]
    small = [camera(number) for number in range(1, CAMERAS + 1)]
    try:
        _switch(pantau, demo, on=False)
        for number, name in enumerate(small, 1):
            url = pantau.api(f"/cameras/cam-{number:03}")["profiles"]["sub"]["url"]
            added = {"id": name, "name": f"Kecil {number}", "profiles": {"main": {"url": url}}}
            pantau.api("/cameras", "POST", added)
        began = max(_recorded(pantau, name, 2.0)[0][0] for name in small)
        time.sleep(BEFORE_SECONDS)
        holed = camera(GAP_CAMERA)
        _switch(pantau, [holed], on=False)
        _until_off(pantau, holed)
        time.sleep(GAP_SECONDS)
        _switch(pantau, [holed], on=True)
        _recorded(pantau, holed, 2.0, count=2)
        time.sleep(AFTER_SECONDS)
        _switch(pantau, small, on=False)
        time.sleep(2.0)  # what is under way is written
        ended = min(_ranges(pantau, name)[-1][1] for name in small)
        ranges = _ranges(pantau, holed)
        # The longest: a busy machine may have had no time for some pictures elsewhere.
        gap_began, gap_ended = max(
            ((one[1], other[0]) for one, other in pairwise(ranges)), key=lambda gap: gap[1] - gap[0]
        )
        yield Footage(began, gap_began, gap_ended, ended)
    finally:
        known = {each["id"] for each in pantau.api("/cameras")["cameras"]}
        for name in known.intersection(small):
            pantau.api(f"/cameras/{name}", "DELETE")
        _switch(pantau, demo, on=True)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not set(pantau.online()) >= set(demo):
            assert time.monotonic() < deadline, "the demo's cameras did not come back"
            time.sleep(0.5)


def _switch(pantau: Running, cameras: Sequence[str], *, on: bool) -> None:
    for name in cameras:
        pantau.api(f"/cameras/{name}", "PATCH", {"enabled": on})


def _until_off(pantau: Running, name: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while name in pantau.online():
        assert time.monotonic() < deadline, f"{name} is not off"
        time.sleep(0.3)


def _ranges(pantau: Running, name: str) -> list[tuple[float, float]]:
    now = time.time()
    found: Any = pantau.api(f"/cameras/{name}/timeline?from={rfc3339(now - 600)}&to={rfc3339(now)}")
    return [(_seconds(each["from"]), _seconds(each["to"])) for each in found["ranges"]]


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _recorded(pantau: Running, name: str, seconds: float, count: int = 1) -> list[tuple[float, float]]:
    """The camera's ranges, as soon as there are ``count`` and the last one is so long; while they grow it is waited."""
    last: list[tuple[float, float]] = []
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        ranges = _ranges(pantau, name)
        if len(ranges) >= count and ranges[-1][1] - ranges[-1][0] >= seconds:
            return ranges
        if ranges != last:
            last, deadline = ranges, time.monotonic() + PATIENCE_SECONDS
        assert time.monotonic() < deadline, f"{name} is not recorded: {ranges}"
        time.sleep(0.3)
