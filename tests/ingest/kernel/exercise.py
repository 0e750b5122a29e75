"""Reads with a given library for a while, as a process: under AddressSanitizer this must be a Python of its own.

    python -m tests.ingest.kernel.exercise LIBRARY SEED ROUNDS

Compares with Python as the tests do. Status 0 where nothing was found; 0 rounds: until it is stopped.
"""

import itertools
import sys
from pathlib import Path

from services.ingest.kernel.library import load_kernel
from tests.ingest.kernel.twins import play


def main(path: str, seed: str, rounds: str) -> None:
    """See the module."""
    kernel = load_kernel(Path(path))
    first, count = int(seed), int(rounds)
    for number in itertools.count(first) if not count else range(first, first + count):
        play(kernel, number, 300)


if __name__ == "__main__":
    main(*sys.argv[1:])
