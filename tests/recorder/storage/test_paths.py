from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.recorder.storage.paths import RecordedStream, parse_path, segment_path

STREAM = RecordedStream("city", "cam-1", "main")


def test_the_path_is_as_promised() -> None:
    assert segment_path(STREAM, 1_700_000_000_123_456) == PurePosixPath(
        "city/cam-1/main/2023/11/14/22/20231114T221320.123Z.mp4"
    )


@given(st.integers(0, 4_102_444_800_000_000))
def test_a_path_says_its_stream_and_start(start_us: int) -> None:
    assert parse_path(segment_path(STREAM, start_us)) == (STREAM, start_us // 1000 * 1000)


@pytest.mark.parametrize(
    "path",
    [
        "city/cam-1/main/2023/11/14/22/20231114T221320.123Z.mp4.new",
        "city/cam-1/main/2023/11/14/23/20231114T221320.123Z.mp4",
        "city/cam-1/main/2023/11/14/22/20231314T221320.123Z.mp4",
        "City/cam-1/main/2023/11/14/22/20231114T221320.123Z.mp4",
        "cam-1/main/2023/11/14/22/20231114T221320.123Z.mp4",
        "index.sqlite3",
    ],
)
def test_what_is_no_segment_is_none(path: str) -> None:
    assert parse_path(PurePosixPath(path)) is None
