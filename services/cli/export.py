"""``pantau export``: a clip or an evidence bundle into a file, through the wall's HTTP API."""

import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Final
from urllib.parse import quote

import click

from services.cli.client import Client, client_command

_PROGRESS_SECONDS: Final = 0.2


def _moment(_context: click.Context, _parameter: click.Parameter, value: str) -> datetime:
    """RFC 3339 with its offset."""
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise click.BadParameter(f"{value!r} is no RFC 3339 time with its offset, as in 2026-03-01T07:00:00+07:00")
    return moment


@click.command()
@click.option("--camera", "cameras", metavar="ID", multiple=True, required=True, help="May be given several times.")
@click.option("--from", "from_", callback=_moment, metavar="T", required=True, help="RFC 3339, with its offset.")
@click.option("--to", callback=_moment, metavar="T", required=True, help="RFC 3339, with its offset.")
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", required=True,
    help="A .mp4 is a clip of one camera, a .zip an evidence bundle. It appears when it is complete.",
)  # fmt: skip
@click.option(
    "--reason", default="pantau export", show_default=True,
    help="Who wants it and what for; stands in the bundle and in the audit trail.",
)  # fmt: skip
@click.option("--incident", metavar="ID", help="The incident that a bundle belongs to.")
@client_command
async def export(
    client: Client,
    cameras: tuple[str, ...],
    from_: datetime,
    to: datetime,
    output: Path,
    reason: str,
    incident: str | None,
) -> None:
    """Export footage: a clip (.mp4) or an evidence bundle (.zip), as FILE's ending says.

    Exit status: 0 done, 1 refused or broken off, 2 the command line is wrong, 3 no wall answers.
    """
    kind = output.suffix.lower()
    if kind not in (".mp4", ".zip"):
        raise click.BadParameter("FILE ends in .mp4 (a clip) or .zip (an evidence bundle)", param_hint="-o")
    if to <= from_:
        raise click.BadParameter("must be later than --from", param_hint="--to")
    span = [("from", from_.isoformat()), ("to", to.isoformat())]
    if kind == ".mp4":
        if len(cameras) > 1:
            raise click.BadParameter("a clip is of one camera; a .zip takes several", param_hint="--camera")
        path, params = f"/cameras/{quote(cameras[0], safe='')}/clip.mp4", span
    else:
        path, params = "/evidence.zip", [*(("camera", camera) for camera in cameras), *span, ("reason", reason)]
        params += [("incident", incident)] if incident else []
    progress = _Progress()
    try:
        size_bytes = await client.download(path, output, params=params, progress=progress.show)
    except OSError as error:
        raise click.FileError(str(output), error.strerror or str(error)) from error
    finally:
        progress.clear()
    check = f"; check it with: pantau verify {output}" if kind == ".zip" else ""
    click.echo(f"{output}: {_size(size_bytes)}{check}", err=True)


class _Progress:
    """One line on a terminal, nothing elsewhere."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._shown = 0.0
        self._wanted = sys.stderr.isatty()
        self._width = 0

    def show(self, done_bytes: int, total_bytes: int | None) -> None:
        """How far it is."""
        now = time.monotonic()
        if not self._wanted or now - self._shown < _PROGRESS_SECONDS:
            return
        self._shown = now
        share = f" of {_size(total_bytes)} ({done_bytes / total_bytes:.0%})" if total_bytes else ""
        rate = done_bytes / max(now - self._begun, 1e-3)
        text = f"{_size(done_bytes)}{share}, {_size(rate)}/s"
        click.echo(f"\r{text:<{self._width}}", nl=False, err=True)
        self._width = max(self._width, len(text))

    def clear(self) -> None:
        """Takes the line away."""
        if self._width:
            click.echo(f"\r{'':<{self._width}}\r", nl=False, err=True)


def _size(size_bytes: float) -> str:
    for unit, length in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size_bytes >= length:
            return f"{size_bytes / length:.1f} {unit}"
    return f"{size_bytes:.0f} bytes"
