"""``pantau export``: a clip or an evidence bundle into a file, through the wall's HTTP API."""

from datetime import datetime
from pathlib import Path

import click

from services.cli.client import Client, client_command
from services.cli.exports import fetch


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
@click.option("--incident", metavar="ID", help="The incident that it belongs to.")
@click.option(
    "--burn-in", is_flag=True,
    help="Write the camera's name and the time into a clip's pictures. They are encoded anew, and the file says so.",
)  # fmt: skip
@click.option("--no-wait", is_flag=True, help="Print the export's ID; 'pantau exports get' downloads it.")
@client_command
async def export(
    client: Client,
    cameras: tuple[str, ...],
    from_: datetime,
    to: datetime,
    output: Path,
    reason: str,
    incident: str | None,
    burn_in: bool,
    no_wait: bool,
) -> None:
    """Export footage: a clip (.mp4) or an evidence bundle (.zip), as FILE's ending says.

    The wall makes it as a job. Where this command ends before, 'pantau exports get' goes on with it.

    Exit status: 0 done, 1 refused or broken off, 2 the command line is wrong, 3 no wall answers.
    """
    ending = output.suffix.lower()
    if ending not in (".mp4", ".zip"):
        raise click.BadParameter("FILE ends in .mp4 (a clip) or .zip (an evidence bundle)", param_hint="-o")
    if to <= from_:
        raise click.BadParameter("must be later than --from", param_hint="--to")
    if ending == ".mp4" and len(cameras) > 1:
        raise click.BadParameter("a clip is of one camera; a .zip takes several", param_hint="--camera")
    if ending == ".zip" and burn_in:
        raise click.BadParameter("a bundle holds footage as it was recorded", param_hint="--burn-in")
    wanted = {
        "kind": "clip" if ending == ".mp4" else "bundle",
        "cameras": cameras,
        "from": from_.isoformat(),
        "to": to.isoformat(),
        "reason": reason,
        "incident": incident,
        "burn_in": burn_in,
    }
    job = await client.call("POST", "/exports", json=wanted)
    if no_wait:
        click.echo(job["id"])
        return
    await fetch(client, job["id"], output)
