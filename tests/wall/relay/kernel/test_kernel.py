"""The send kernel against its twin in Python: the same packets, the same state."""

import asyncio
import os
import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any

import _cffi_backend
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.contracts.frames import Codec
from services.media.nal import BitstreamError, check_length_prefixed
from services.media.rtp import abs_send_time
from services.mesh.c_library import LibraryError
from services.wall.relay.engine import kernel_batch
from services.wall.relay.engine.kernel_batch import StreamArray, usable_kernel
from services.wall.relay.engine.sdp import ABS_SEND_TIME, PLAYOUT_DELAY
from services.wall.relay.engine.send_batch import probe_offload
from services.wall.relay.engine.template import PacketLayout
from services.wall.relay.kernel import library, structs
from services.wall.relay.kernel.structs import LOOK, SENT, SLOW, ffi
from services.wall.relay.sending.frame import Frame, lay_out_by_python
from services.wall.relay.sending.history import PACKETS_SECONDS, SentLayouts
from services.wall.relay.sending.timeline import MAX_JUMP_TICKS
from tests.wall.relay.kernel.built import SANITIZERS, kernel, needs_compiler, sanitizer_runtime
from tests.wall.relay.kernel.built import library as built_library
from tests.wall.relay.kernel.twins import Step, Twin, access_unit, described, play, twins, unit_of

pytestmark = needs_compiler

FRAME = 3600
OFFLOAD = not probe_offload()
SHAPES = st.sampled_from([(0, 16), (8, 16), (12, 16), (8, 10)])
CODECS = st.sampled_from([Codec.H264, Codec.HEVC])


UNITS = st.lists(
    st.builds(
        unit_of,
        st.one_of(st.integers(0, 5), st.integers(1180, 1200), st.integers(0, 4000), st.integers(30_000, 60_000)),
        st.integers(0, 255),
        st.integers(0, 255),
    ),
    max_size=12,
)


@given(UNITS, CODECS, SHAPES)
def test_c_lays_out_the_packets_that_python_does(units: list[bytes], codec: Codec, shape: tuple[int, int]) -> None:
    payload = access_unit(units, 0).payload
    made = kernel().lay_out(codec is Codec.HEVC, payload, *shape)
    assert made is not None
    mine, theirs = PacketLayout.of_kernel(made, *shape), lay_out_by_python(codec, payload, shape)
    assert described(mine) == described(theirs)
    assert (mine.cost_bytes, mine.run_count) == (theirs.cost_bytes, theirs.run_count)
    assert [mine.run_cost_bytes(n) for n in range(mine.run_count)] == [run.cost_bytes for run in theirs.runs]
    serial, taken = mine.serial, mine.runs
    mine.release()
    assert [bytes(run.image) for run in taken] == [bytes(run.image) for run in mine.runs]  # they outlive it
    assert (mine.serial, made.frame.serial) == (serial, serial)
    assert described(mine) == described(theirs)


def test_packets_that_c_made_are_let_go_of_soon_and_made_again_for_who_asks_late() -> None:
    payload = access_unit([unit_of(5000, 1, 2)], 0).payload
    layouts, others = SentLayouts(), []
    made = kernel().lay_out(False, payload, 8, 16)
    assert made is not None
    layout = PacketLayout.of_kernel(made, 8, 16)
    layouts.keep(layout, 0.0)
    packet, held = layout.runs[0].payload(0), weakref.ref(made._memory)
    for at in (PACKETS_SECONDS - 0.01, PACKETS_SECONDS + 0.01):
        others.append(PacketLayout(lay_out_by_python(Codec.H264, payload, (8, 16)).runs))
        layouts.keep(others[-1], at)
        assert (held() is not None) == (at < PACKETS_SECONDS)
    found = layouts.find(layout.serial)
    assert found is layout
    assert found.runs[0].payload(0) == packet
    layouts.keep(layout, 2 * PACKETS_SECONDS)
    assert made.frame.serial == layout.serial


@given(st.binary(max_size=80), CODECS)
def test_c_refuses_lengths_that_python_refuses(payload: bytes, codec: Codec) -> None:
    try:
        check_length_prefixed(payload)
    except BitstreamError:
        assert kernel().lay_out(codec is Codec.HEVC, payload, 8, 16) is None
    else:
        made = kernel().lay_out(codec is Codec.HEVC, payload, 8, 16)
        assert made is not None
        assert described(PacketLayout.of_kernel(made, 8, 16)) == described(lay_out_by_python(codec, payload, (8, 16)))


STEPS = st.lists(
    st.builds(
        Step,
        st.sampled_from([1500, 1600, 8000, 40_000]),
        st.sampled_from([3600, 3600, 3600, 1, 0, -90_000, 10**6, MAX_JUMP_TICKS, MAX_JUMP_TICKS + 1]),
        st.sampled_from([0, 0, 3600, -1800]),
        st.booleans(),
        st.sampled_from([0.0, 0.001, 0.04, 0.04, 2.5]),
        st.sampled_from(["live", "live", "live", "live", "replay", "serve", "nack", "drop"]),
    ),
    min_size=1,
    max_size=40,
)


NOTHING_SENT = [
    Step(2, FRAME, 0, True, 0.0, "replay"),
    Step(2, FRAME, 0, False, 2.5, "serve"),
    Step(500, FRAME, 0, False, 0.04, "live"),
]
"""A replay of NAL units that are too short to be sent: the clock runs, and no payload type is known."""


@settings(max_examples=60)
@example(steps=NOTHING_SENT, offload=False, codec=Codec.HEVC, seed=1)
@given(STEPS, st.booleans(), CODECS, st.integers(0, 1 << 20))
def test_both_send_the_same_datagrams_and_remember_the_same(
    steps: list[Step], offload: bool, codec: Codec, seed: int
) -> None:
    async def compare() -> None:
        with twins(kernel(), offload=offload and OFFLOAD, seed=seed) as (mine, theirs):
            for twin in (mine, theirs):
                play(twin, steps, codec)
            assert mine.received() == theirs.received()
            assert mine.state() == theirs.state()

    asyncio.run(compare())


@pytest.mark.parametrize("extensions", [{}, {ABS_SEND_TIME: 3}, {PLAYOUT_DELAY: 5}])
async def test_header_extensions_are_those_that_the_viewer_negotiated(extensions: dict[str, int]) -> None:
    with twins(kernel(), offload=OFFLOAD, extensions=extensions) as (mine, theirs):
        for twin in (mine, theirs):
            for n in range(4):
                frame = Frame(access_unit([unit_of(3000, 0x41, n)], n * 3600, key=n == 2))
                status = twin.show(frame, n / 25, abs_send_time(n / 25))
                assert status == (SLOW if n == 0 or twin is theirs else SENT)
        assert mine.received() == theirs.received()
        assert len(mine.sent) == 12


def running(twin: Twin) -> float:
    """Sends a first frame; returns the time of the next."""
    twin.show(Frame(access_unit([unit_of(500, 0x65, 1)], 0, key=True)), 1.0, 0)
    return 1.04


async def test_what_c_cannot_decide_it_leaves_untouched() -> None:
    with twins(kernel(), offload=OFFLOAD) as (twin, _):
        now = running(twin)
        frame = Frame(access_unit([unit_of(5000, 0x41, 1)], 3600))
        layout, batch = twin.track.layout(frame), twin.kernel_batch
        assert batch is not None

        def refused() -> bool:
            before = twin.state()
            others = batch.send_frame(layout, twin.array, now, 3600, 0, 0, keyframe=False)
            return others == [0] and twin.track.stream.status == SLOW and twin.state() == before

        for owner, field, value in (
            (twin.peer, "waiting", 1),
            (twin.peer, "tokens", -1e9),
            (twin.peer, "srtp", ffi.NULL),
            (twin.track.stream, "has_offset", 0),
            (twin.track.stream, "started", 0),
            (twin.track.stream, "payload_type", 0),
            (twin.track.stream, "decode", 1 << 50),
            (twin.track.stream, "decode", -(1 << 50)),
        ):
            good = getattr(owner, field)
            setattr(owner, field, value)
            assert refused(), field
            setattr(owner, field, good)
        stream = twin.track.stream
        for number in range(200):  # a ring full of runs that may yet be asked for
            stream.past[number & stream.past_mask].at = now
        stream.past_count += 200
        assert refused(), "history"
        stream.past_count -= 200
        assert batch.send_frame(layout, twin.array, now, 3600, 0, 0, keyframe=False) == []


async def test_the_slot_is_told_when_it_wanted_to_look() -> None:
    with twins(kernel(), offload=OFFLOAD) as (twin, _):
        now = running(twin)
        twin.track.look_at(now + 0.02)
        for n, status in enumerate((SENT, LOOK)):
            frame = Frame(access_unit([unit_of(500, 0x41, 1)], 3600 * (n + 1)))
            assert twin.show(frame, now + n / 25, 0) == status
            assert twin.track.stamp_sent(frame) == twin.track.stream.last & 0xFFFFFFFF


async def test_a_packet_that_libsrtp_refuses_ends_that_viewer_and_no_number_is_used_twice() -> None:
    with twins(kernel(), offload=OFFLOAD) as (mine, _):
        now = running(mine)
        frame = Frame(access_unit([unit_of(5000, 0x41, 1)], 3600))
        layout, batch = mine.track.layout(frame), mine.kernel_batch
        assert batch is not None
        calls: list[int] = []

        def protect(_context: object, packet: object, length: Any) -> int:
            calls.append(int.from_bytes(ffi.buffer(packet, 4)[2:], "big"))
            length[0] += 16
            return int(len(calls) == 2)

        callback = ffi.callback("int (*)(void *, void *, int *)", protect)
        batch._out.protect = callback
        first = int(mine.track.stream.sequence) & 0xFFFF
        array = StreamArray([mine.track.stream, mine.track.stream])
        assert batch.send_frame(layout, array, now, 3600, 0, 0, keyframe=False) == [0, 1]
        assert calls == [first, first + 1]
        assert mine.track.stream.status == SLOW, "the second time nothing was tried"
        assert mine.peer.srtp == ffi.NULL
        assert mine.track.stream.sequence & 0xFFFF == first + 2, "the refused number is used up"
        mine.received()
        assert len(mine.sent) == 1, "nothing of a run that was refused leaves"


async def test_numbers_are_used_up_where_the_socket_takes_nothing() -> None:
    with twins(kernel(), offload=OFFLOAD) as (twin, _):
        now = running(twin)
        batch = twin.kernel_batch
        assert batch is not None
        good, batch._out.fd = batch._out.fd, -1  # EBADF for every message
        failed = kernel_batch.SEND_ERRORS._value.get()
        first = int(twin.track.stream.sequence)
        twin.show(Frame(access_unit([unit_of(5000, 0x41, 1)], 3600)), now, 0)
        batch._out.fd = good
        assert twin.track.stream.sequence == first + 5
        assert kernel_batch.SEND_ERRORS._value.get() > failed
        twin.show(Frame(access_unit([unit_of(500, 0x41, 1)], 7200)), now + 0.04, 0)
        numbers = [int.from_bytes(packet[2:4], "big") for packet in twin.received()]
        assert numbers == [first - 1 & 0xFFFF, first + 5 & 0xFFFF]


async def test_more_streams_than_one_call_takes_are_all_sent_to() -> None:
    with twins(kernel(), offload=OFFLOAD) as (twin, _):
        now = running(twin)
        streams = [twin.track.stream]
        for n in range(150):
            copy = structs.new_stream()
            ffi.memmove(copy, twin.track.stream, ffi.sizeof("pk_stream"))
            copy.ssrc = n
            streams.append(copy)
        twin.peer.burst_bytes = twin.peer.tokens = 1e9
        frame = Frame(access_unit([unit_of(500, 0x41, 1)], 3600))
        assert twin.kernel_batch is not None
        streams[100].started = 0
        others = twin.kernel_batch.send_frame(
            twin.track.layout(frame), StreamArray(streams), now, 3600, 0, 0, keyframe=False
        )
        assert others == [100]
        assert len(twin.received()) == 1 + 150


def test_a_library_of_another_header_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    path = built_library()
    monkeypatch.setattr(library, "STRUCTS", structs.STRUCTS[:-1])
    with pytest.raises(LibraryError, match="another header"):
        library.SendKernel(path)
    with pytest.raises(LibraryError, match="cannot be loaded"):
        library.SendKernel(path.with_name("missing.so"))
    with pytest.raises(LibraryError, match="another library"):
        library.SendKernel(Path(_cffi_backend.__file__))


def test_another_libsrtp_or_other_limits_leave_sending_to_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_batch, "find_kernel", kernel)
    assert usable_kernel() is kernel()
    monkeypatch.setattr(kernel_batch, "MAX_RUN_PACKETS", 25)
    assert usable_kernel() == "PK_RUN_PACKETS is 24, not 25"
    monkeypatch.setattr(kernel_batch, "protect_address", lambda: "srtp_protect is another")
    assert usable_kernel() == "srtp_protect is another"
    monkeypatch.setattr(kernel_batch, "find_kernel", lambda: "it was not built")
    assert usable_kernel() == "it was not built"


@pytest.mark.timeout(300)
def test_the_sanitizers_find_nothing() -> None:
    """AddressSanitizer and UndefinedBehaviorSanitizer, in a process that has loaded them before Python."""
    runtime = sanitizer_runtime()
    if runtime is None:
        pytest.skip("this compiler comes without AddressSanitizer's library (Debian: libasan, a part of gcc)")
    environment = {**os.environ, "LD_PRELOAD": str(runtime), "ASAN_OPTIONS": "detect_leaks=0"}  # Python's are many
    command = [sys.executable, "-m", "tests.wall.relay.kernel.exercise", str(built_library(*SANITIZERS)), "1", "8"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.timeout(300)
def test_the_sanitizers_would_find_a_write_behind_the_memory(tmp_path: Path) -> None:
    runtime = sanitizer_runtime()
    if runtime is None:
        pytest.skip("this compiler comes without AddressSanitizer's library (Debian: libasan, a part of gcc)")
    environment = {**os.environ, "LD_PRELOAD": str(runtime), "ASAN_OPTIONS": "detect_leaks=0"}
    program = (
        "import sys; from pathlib import Path; from services.wall.relay.kernel.structs import ffi\n"
        "from services.wall.relay.kernel.library import SendKernel\n"
        "unit = b'\\0\\0\\0\\x64' + bytes(100); memory = ffi.new('uint64_t[]', 16)\n"
        "SendKernel(Path(sys.argv[1])).lib.pk_lay_out(0, unit, 104, 12, 16, 1, ffi.cast('pk_frame *', memory))\n"
    )
    command = [sys.executable, "-c", program, str(built_library(*SANITIZERS))]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert "heap-buffer-overflow" in done.stderr, done.stderr[-3000:]
