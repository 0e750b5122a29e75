"""What the bootstrap's steps share: saying, running, and stamps that make the second time quick."""

import os
import shlex
import subprocess
import sys
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
    arguments: Sequence[str], *, cwd: Path = ROOT, env: Mapping[str, str] | None = None, quietly: bool = False
) -> None:
    """Runs a program; raises `Stop` when it fails. What it prints is seen at once, or ``quietly`` only then."""
    done = subprocess.run(
        arguments,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if quietly else None,
        stderr=subprocess.STDOUT if quietly else None,
        check=False,
    )
    if done.returncode:
        if quietly:
            sys.stdout.write(done.stdout.decode(errors="replace"))
        raise Stop(f"this failed with status {done.returncode}: {shlex.join(arguments)}")


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
