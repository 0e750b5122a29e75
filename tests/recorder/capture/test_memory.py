"""What a camera takes in a recorder: the fragment that grows, held by what Python has allocated."""

import gc
import tracemalloc

from services.contracts.frames import Codec, decode, encode
from services.recorder.capture.assembler import SegmentAssembler
from services.recorder.storage.segment import SegmentFragment
from tests.recorder.units import pictures

CAMERA_BYTES = 800_000
"""Of 2 Mbit/s: a fragment of 2 s, and what stands around it. With a worker's (docs/ingest.md) it makes 3 MB."""
KEYFRAME_BYTES, OTHER_BYTES = 75_000, 8_700


def test_a_camera_of_two_megabits_takes_less_than_a_megabyte_beside_what_waits_for_a_disk() -> None:
    messages = []
    for unit in pictures(Codec.H264, count=200, gop=50):
        size = KEYFRAME_BYTES if unit.keyframe else OTHER_BYTES
        filler = b"\xa5" * (size - len(unit.payload) - 4)
        # A second slice: nobody looks into it.
        padded = unit.payload + (len(filler) + 1).to_bytes(4, "big") + b"\x41" + filler
        messages.append(encode(unit._replace(payload=padded)))
    gc.collect()
    tracemalloc.start()
    try:
        assembler = SegmentAssembler()
        most, written = 0, 0
        for message in messages:
            unit = decode(bytes(memoryview(message)))
            written += sum(
                step.size_bytes
                for step in assembler.add_picture(unit, unit.capture_us, 0.0)
                if isinstance(step, SegmentFragment)
            )
            most = max(most, tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert written > 1_400_000
    assert most < CAMERA_BYTES, f"{most / 1e6:.2f} MB a camera"
