"""Reads with a given library for a while, as a process: under AddressSanitizer this must be a Python of its own.

    python -m tests.mesh.kernel.exercise LIBRARY SEED ROUNDS

Compares with Python as the tests do. Status 0 where nothing was found; 0 rounds: until it is stopped.
"""

import itertools
import random
import sys
from pathlib import Path

from services.mesh.kernel.library import ffi, load_kernel
from tests.mesh.kernel.twins import play, stream


def main(path: str, seed: str, rounds: str) -> None:
    """See the module."""
    kernel = load_kernel(Path(path))
    first, count = int(seed), int(rounds)
    for number in itertools.count(first) if not count else range(first, first + count):
        play(kernel, number, 200)
        cut(kernel, number)


def cut(kernel: object, seed: int) -> None:
    """Shows C a buffer that ends anywhere, and bytes at random: it reads none behind the end."""
    chance = random.Random(seed)
    data = bytearray(b"".join(stream(chance, 3)))
    for _ in range(chance.randrange(4)):
        data[chance.randrange(len(data))] = chance.randrange(256)
    inbox, inboxes, payloads = ffi.new("mk_inbox *"), ffi.new("mk_inbox *[]", 71), ffi.new("uint8_t[]", 400)
    inbox.payloads, inbox.payloads_room = payloads, 400
    inboxes[3] = inboxes[70] = inbox
    for _ in range(50):
        end = chance.randrange(min(len(data), 1000))
        whole = ffi.new("uint8_t[]", bytes(data[:end]) or b"\0")
        view = ffi.new("mk_stream *", (whole, 0, end, inboxes, len(inboxes)))
        inbox.count = inbox.payloads_bytes = 0
        kernel.mk_split(view)  # type: ignore[attr-defined]  # cffi's functions have no types
        assert view.begin <= end
        kernel.mk_put(inbox, whole, end)  # type: ignore[attr-defined]  # the same
        assert inbox.payloads_bytes <= inbox.payloads_room


if __name__ == "__main__":
    main(*sys.argv[1:])
