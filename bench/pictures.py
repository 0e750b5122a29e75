"""The two kinds of stream that walls show, as real encodings."""

from typing import Any, Final, NamedTuple


class Kind(NamedTuple):
    """How `tests.wall.relay.camera.clip` makes it."""

    encoding: dict[str, Any]
    text: str


KINDS: Final = {
    "main": Kind(
        {"size": (1280, 720), "fps": 25, "gop": 50, "gops": 1, "bitrate_bps": 2_000_000},
        "1280×720, 25 frames/s, 2 Mbit/s",
    ),
    "sub": Kind(
        {"size": (640, 360), "fps": 15, "gop": 30, "gops": 1, "bitrate_bps": 500_000},
        "640×360, 15 frames/s, 0.5 Mbit/s",
    ),
}
