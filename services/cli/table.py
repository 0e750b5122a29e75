"""Tables: aligned on a terminal, separated by tabs elsewhere."""

import shutil
import sys
import unicodedata
from collections.abc import Callable, Sequence

import click

Style = Callable[[int, str], dict[str, str]]
"""Column and cell → how `click.style` shall show it."""


def echo_table(headers: Sequence[str], rows: Sequence[Sequence[str]], *, style: Style | None = None) -> None:
    """Prints a table: aligned and cut to the terminal's width there, separated by tabs where the output goes elsewhere.

    The last column is cut when the terminal is too narrow.
    """
    if not sys.stdout.isatty():
        for row in (headers, *rows):
            click.echo("\t".join(" ".join(cell.split()) for cell in row))
        return
    widths = [max(_width(row[column]) for row in (headers, *rows)) for column in range(len(headers))]
    room = shutil.get_terminal_size().columns - sum(widths[:-1]) - 2 * (len(widths) - 1)
    widths[-1] = max(8, min(widths[-1], room))
    click.echo(
        "  ".join(click.style(_fit(cell, width), bold=True) for cell, width in zip(headers, widths, strict=True))
    )
    for row in rows:
        cells = []
        for column, (cell, width) in enumerate(zip(row, widths, strict=True)):
            text = _fit(cell, width)
            cells.append(click.style(text, **style(column, cell)) if style else text)  # type: ignore[arg-type]  # its many keywords
        click.echo("  ".join(cells).rstrip())


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def _fit(text: str, width: int) -> str:
    """``text`` in exactly ``width`` columns."""
    if _width(text) > width:
        while text and _width(text) > width - 1:
            text = text[:-1]
        text += "…"
    return text + " " * (width - _width(text))
