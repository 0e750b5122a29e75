"""Progress on standard error: one line that changes on a terminal, a line now and then elsewhere."""

import sys
import time
from typing import Final

import click

_TERMINAL_SECONDS: Final = 0.2
_LOG_SECONDS: Final = 5.0
"""Between lines where there is no terminal: a log should not fill with them."""


class ProgressLine:
    """How far something is."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._shown = float("-inf")
        self._terminal = sys.stderr.isatty()
        self._width = 0

    def show_bytes(self, done_bytes: int, total_bytes: int | None) -> None:
        """Of a download."""
        share = f" of {size_text(total_bytes)} ({done_bytes / total_bytes:.0%})" if total_bytes else ""
        rate = done_bytes / max(time.monotonic() - self._begun, 1e-3)
        self._show(f"{size_text(done_bytes)}{share}, {size_text(rate)}/s")

    def show_share(self, doing: str, share: float, detail: str = "") -> None:
        """Of work whose end is known."""
        self._show(f"{doing} {share:.0%}{f' ({detail})' if detail else ''}")

    def clear(self) -> None:
        """Takes the line away."""
        if self._width:
            click.echo(f"\r{'':<{self._width}}\r", nl=False, err=True)
        self._width = 0
        self._begun = time.monotonic()

    def _show(self, text: str) -> None:
        now = time.monotonic()
        if now - self._shown < (_TERMINAL_SECONDS if self._terminal else _LOG_SECONDS):
            return
        self._shown = now
        if not self._terminal:
            click.echo(text, err=True)
            return
        click.echo(f"\r{text:<{self._width}}", nl=False, err=True)
        self._width = max(self._width, len(text))


def size_text(size_bytes: float) -> str:
    """``1.5 GB``, ``300 bytes``."""
    for unit, length in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size_bytes >= length:
            return f"{size_bytes / length:.1f} {unit}"
    return f"{size_bytes:.0f} bytes"
