"""The worker process that makes clips: reads jobs on standard input, writes each clip to its file, answers a line.

A job is 4 bytes of length, then the packed key and the path as one msgpack array. The answer is the seconds it took.
Run as ``python -m services.sim.clipmaker``; it ends with its standard input.
"""

import os
import sys
from pathlib import Path
from time import perf_counter

import msgpack

from services.sim import clip
from services.sim.pictures import encode


def main() -> None:
    """Works until standard input ends."""
    if hasattr(os, "nice"):
        os.nice(5)  # the cameras that play already come first
    jobs, answers = sys.stdin.buffer, sys.stdout.buffer
    while head := jobs.read(4):
        packed_key, path = msgpack.unpackb(jobs.read(int.from_bytes(head, "big")))
        began = perf_counter()
        clip.save(encode.make(clip.ClipKey.unpack(packed_key)), Path(path))
        answers.write(b"%.2f\n" % (perf_counter() - began))
        answers.flush()


if __name__ == "__main__":
    main()
