"""What the bootstrap's steps share: saying, running, and stamps that make the second time quick."""

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"


class Stop(Exception):  # noqa: N818 (not a bug: a message for the user of make)
    """The bootstrap cannot go on; the message says what to do."""


def say(text: str) -> None:
    """One line about what takes time."""
    print(f"pantau: {text} …", flush=True)


def run(
    arguments: Sequence[str],
    *,
    cwd: Path = ROOT,
    env: Mapping[str, str] | None = None,
    quietly: bool = False,
    told_each_seconds: float = 20,
) -> None:
    """Runs a program; raises `Stop` when it fails. What it prints is seen at once, or ``quietly`` only then.

    While it runs a line tells from time to time how long that has been: installers say nothing for minutes.
    """
    began = time.monotonic()
    with subprocess.Popen(
        arguments,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if quietly else None,
        stderr=subprocess.STDOUT if quietly else None,
    ) as process:
        while True:
            try:
                printed, _ = process.communicate(timeout=told_each_seconds)
                break
            except subprocess.TimeoutExpired:
                print(f"pantau:   since {time.monotonic() - began:.0f} s …", flush=True)
            except BaseException:
                process.kill()
                raise
    if process.returncode:
        if quietly:
            sys.stdout.write(printed.decode(errors="replace"))
        raise Stop(f"this failed with status {process.returncode}: {shlex.join(arguments)}")


class Digest(Protocol):
    """What hashlib gives."""

    def hexdigest(self) -> str:
        """The digest in hex."""


class Stamp:
    """A file in the virtual environment that tells from what something was made."""

    def __init__(self, name: str, digest: Digest) -> None:
        self._path = VENV / "pantau-stamps" / name
        self._digest = digest.hexdigest()

    def fresh(self) -> bool:
        """Whether it was made from the same."""
        try:
            return self._path.read_text() == self._digest
        except OSError:
            return False

    def write(self) -> None:
        """It is made now."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(self._digest)
