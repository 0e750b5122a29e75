"""The band in the picture: legible at any scale and after compression, and never read where it is not."""

import subprocess
import textwrap
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import playwright
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from services.sim.pictures import marker
from services.sim.pictures.marker import Marker
from services.sim.pictures.scene import Scene

NODE = Path(playwright.__file__).parent / "driver" / "node"
NUMBERS = st.integers(0, 0xFFF)


def street(seed: int, width: int = 640, height: int = 360) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    return (
        np.random.default_rng(seed).integers(16, 236, (height // 20, width // 20), np.uint8).repeat(20, 0).repeat(20, 1)
    )


@given(NUMBERS, NUMBERS, st.integers(100, 1400), st.integers(0, 5))
def test_a_marker_is_read_back_from_a_picture_of_any_width(camera: int, frame: int, width: int, seed: int) -> None:
    picture = street(seed)
    marker.paint(picture, camera, frame)
    scaled = Image.fromarray(picture).resize((width, width * 9 // 16), Image.Resampling.BILINEAR)
    assert marker.read(np.asarray(scaled)) == Marker(camera, frame)
    assert marker.read(np.asarray(scaled.convert("RGBA"))) == Marker(camera, frame)


@given(st.integers(0, 1000))
def test_a_picture_without_a_band_has_no_marker(seed: int) -> None:
    assert marker.read(street(seed)) is None


@pytest.mark.parametrize("level", [0, 16, 128, 255])
def test_a_flat_picture_has_no_marker(level: int) -> None:
    assert marker.read(np.full((360, 640), level, np.uint8)) is None
    assert marker.read(np.full((20, 30), level, np.uint8)) is None


@given(NUMBERS, NUMBERS, st.integers(0, 31))
def test_one_wrong_cell_is_noticed(camera: int, frame: int, cell: int) -> None:
    picture = street(0)
    marker.paint(picture, camera, frame)
    row, column = divmod(cell, 16)
    y, x = 312 + 16 * row, 32 * (2 + column)
    region = picture[y : y + 16, x : x + 32]
    region[:] = 251 - region
    assert marker.read(picture) is None


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="12 bits"):
        marker.paint(street(0), 0x1000, 0)


@pytest.mark.parametrize("tile_width", [1280, 320, 200, 128])
def test_a_marker_survives_compression_and_a_tile(tile_width: int) -> None:
    scene = Scene(5, "CAM-005", 640, 360)
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 640, 360, "yuv420p"
    encoder.time_base, encoder.framerate, encoder.bit_rate = Fraction(1, 15), Fraction(15), 300_000
    encoder.options = {"preset": "ultrafast", "tune": "zerolatency", "maxrate": "300000", "bufsize": "150000"}
    decoder = av.CodecContext.create("h264", "r")
    seen = []
    for index in range(30):
        planes = scene.frame(index, 120, 15)
        packed = np.concatenate((planes.y.ravel(), planes.u.ravel(), planes.v.ravel())).reshape(540, 640)
        picture = av.VideoFrame.from_ndarray(packed, format="yuv420p")
        picture.pts = index
        for packet in encoder.encode(picture):
            for decoded in decoder.decode(packet):
                scaled = decoded.reformat(width=tile_width, height=tile_width * 9 // 16, format="rgb24")
                seen.append(marker.read(scaled.to_ndarray()))
    assert len(seen) > 20
    assert seen == [Marker(5, index) for index in range(len(seen))]


@pytest.mark.skipif(not NODE.exists(), reason="Playwright's Node is not there")
@pytest.mark.parametrize(("width", "camera", "frame"), [(1280, 17, 199), (320, 4095, 0), (200, 0, 4095)])
def test_the_javascript_in_the_description_reads_the_same(width: int, camera: int, frame: int) -> None:
    assert marker.__doc__ is not None
    sample = textwrap.dedent(marker.__doc__.partition("::\n\n")[2])
    picture = street(3)
    marker.paint(picture, camera, frame)
    pixels = Image.fromarray(picture).resize((width, width * 9 // 16)).convert("RGBA")
    script = (
        f"const W = {pixels.width}, H = {pixels.height}; const data = require('fs').readFileSync(0);\n{sample}\n"
        "console.log(word[0] >> 4, frame, crc === (word[1] & 255), cell(0, 0) > middle && cell(1, 0) < middle);"
    )
    result = subprocess.run([NODE, "-e", script], input=pixels.tobytes(), capture_output=True, check=True, timeout=30)
    assert result.stdout.decode().split() == [str(camera), str(frame), "true", "true"]


def test_a_scene_without_the_marker_is_street_to_the_lower_edge() -> None:
    marked, plain = Scene(5, "CAM-005", 640, 360), Scene(5, "CAM-005", 640, 360, marked=False)
    before = plain.frame(7, 250, 25).y
    assert marker.read(before) is None
    band = slice(round(marker.BAND_TOP * 360), round(marker.BAND_BOTTOM * 360))
    assert before[band].min() > 16, "nothing is as black as the band"
    assert (marked.frame(7, 250, 25).y[band] != before[band]).any()
