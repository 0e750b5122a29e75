"""The receive kernel takes what Python takes, byte by byte, and comes to the same state."""

import os
import random
import subprocess
import sys
from pathlib import Path

import _cffi_backend
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.contracts.frames import decode
from services.ingest.kernel import build, library
from services.ingest.kernel.library import LIMITS, ffi
from services.ingest.timing import capture, retiming, wall
from services.mesh.c_library import LibraryError
from services.mesh.clock import ManualClock
from tests.ingest.kernel.built import kernel
from tests.ingest.kernel.built import library as built_library
from tests.ingest.kernel.twins import START_US, Camera, Side, compare, play
from tests.wall.relay.kernel.built import SANITIZERS, needs_compiler, sanitizer_runtime

pytestmark = needs_compiler

USUAL_SEEDS = (71, 96, 95, 81)
"""Cameras of which nothing is unusual: H.264 and H.265, each with packets of one NAL unit and of several."""


@given(st.integers(0, 1 << 32))
@example(500_000)  # the first bytes of a packet come by themselves, behind a picture whose marker is missing
def test_both_make_the_same_messages_and_come_to_the_same_state(seed: int) -> None:
    play(kernel(), seed, 150)


@pytest.mark.parametrize("seed", USUAL_SEEDS)
def test_usual_pictures_and_keyframes_are_the_kernel_s(seed: int) -> None:
    plain, short = play(kernel(), seed, 300)
    assert short.engine is not None
    assert short.engine.engine.pictures > len(plain.messages) // 2
    keyframes = sum(decode(message).keyframe for message in plain.messages)
    assert short.keyframes >= keyframes // 3  # the first pictures, and those with a recovery point, are Python's


def test_pictures_over_whose_packets_the_numbers_wrap_are_the_kernel_s_as_others_are() -> None:
    taken = []
    for first in (100, 65_300):
        clock = ManualClock(START_US)
        plain, short = Side("h264", clock), Side("h264", clock, kernel())
        camera = Camera(random.Random(8), "h264", faults=0.0)
        camera.number = first
        for _ in range(60):
            clock.advance(0.04)
            data = camera.picture(40_000)
            plain.feed(data)
            short.feed(data)
        compare(plain, short)
        assert short.engine is not None
        taken.append(short.engine.engine.pictures)
    assert plain.track.receiver.highest_sequence > 0x10000
    assert taken[1] == taken[0] > 0


@given(st.binary(max_size=400), st.integers(0, 400), st.binary(max_size=40))
def test_no_bytes_lead_out_of_the_buffer(data: bytes, begin: int, sets: bytes) -> None:
    connection, engine = ffi.new("pi_connection *"), ffi.new("pi_engine *")
    buffer = ffi.new("uint8_t[]", data or b"\0")
    connection.buffer, connection.size, connection.end = buffer, len(buffer), len(data)
    connection.begin = min(begin, len(data))
    connection.sets[0 : len(sets)] = sets
    connection.sets_bytes = len(sets)
    connection.lent = 1
    assert kernel().pi_take(engine, connection, 0, 0) in library.STATUSES.values()


def test_limits_are_those_of_the_python_beside_it() -> None:
    assert LIMITS["PI_FRAMES"] == wall.WINDOW_FRAMES
    assert LIMITS["PI_PLACED"] == capture.REORDERED + 1
    assert LIMITS["PI_WAITING"] == retiming.MAX_REORDER + 2


def test_a_library_of_another_header_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    path = built_library()
    monkeypatch.setattr(library, "_STRUCTS", library._STRUCTS[:-1])
    with pytest.raises(LibraryError, match="another header"):
        library.load_kernel(path)
    with pytest.raises(LibraryError, match="cannot be loaded"):
        library.load_kernel(path.with_name("missing.so"))
    with pytest.raises(LibraryError, match="another library"):
        library.load_kernel(Path(_cffi_backend.__file__))


def test_a_library_that_is_missing_or_broken_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(library, "LIBRARY", tmp_path / "kernel.native.so")
    assert "was not built" in str(library.find_kernel.__wrapped__())
    (tmp_path / "kernel.native.so").write_bytes(b"no library")
    assert "cannot be loaded" in str(library.find_kernel.__wrapped__())
    monkeypatch.setattr("sys.platform", "darwin")
    assert library.find_kernel.__wrapped__() == "darwin has no epoll"
    assert build.try_build() == "the receive kernel is for Linux, and this is darwin"


def test_the_sanitizers_find_nothing() -> None:
    runtime = sanitizer_runtime()
    if runtime is None:
        pytest.skip("the compiler has no AddressSanitizer")
    path = built_library(*SANITIZERS)
    environment = {**os.environ, "LD_PRELOAD": str(runtime), "ASAN_OPTIONS": "detect_leaks=0"}
    command = [sys.executable, "-m", "tests.ingest.kernel.exercise", str(path), "1", "6"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


def test_an_error_with_pictures_ends_their_camera_s_short_way_and_no_other_s(monkeypatch: pytest.MonkeyPatch) -> None:
    chance, clock = random.Random(1), ManualClock(START_US)
    side, camera = Side("h264", clock, kernel()), Camera(chance, "h264", faults=0.0)
    short, ended = side.short, []
    assert short is not None

    def end() -> None:
        ended.append(len(side.messages))
        short.close()

    monkeypatch.setattr(side, "read_again", end)
    while not (short.connection and short.connection.pictures_count):
        clock.advance(0.04)
        side.feed(camera.picture(40_000))
    monkeypatch.setattr(side, "take_usual", lambda _pictures: 1 / 0)
    short.fetch()
    assert len(ended) == 1
    assert short.connection is None
