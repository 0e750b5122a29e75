"""``pantau exports``: export jobs from a shell; `services.cli.export` makes them."""

import asyncio
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from services.cli.client import BrokenOffError, Client, RefusedError, UnreachableError, client_command
from services.cli.progress import ProgressLine, size_text
from services.cli.table import echo_table

_HEADERS = ("ID", "STATUS", "DONE", "KIND", "CAMERAS", "FROM", "TO", "BY", "SIZE", "EXPIRES", "DETAIL")
_LOOK_SECONDS = 0.5
_AGAIN_SECONDS = 1.0
_TRIES = 30
"""In a row without an answer, or with one that broke off without a byte more."""


@click.group()
def exports() -> None:
    """List, get and delete exports; 'pantau export' makes them."""


@exports.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print what the API answers.")
@client_command
async def list_(client: Client, as_json: bool) -> None:
    """List your exports; a supervisor sees all.

    On a terminal a table, elsewhere lines of cells separated by tabs; newest first.
    """
    answer = await client.call("GET", "/exports")
    if as_json:
        click.echo(json.dumps(answer, indent=2, ensure_ascii=False))
    else:
        echo_table(_HEADERS, [_row(job) for job in answer["exports"]])


@exports.command("get")
@click.argument("export_id", metavar="ID")
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="Default: the name that the export has. It appears when it is complete.",
)  # fmt: skip
@client_command
async def get(client: Client, export_id: str, output: Path | None) -> None:
    """Wait until an export is done, and download its file; goes on where a download broke off.

    Exit status: 0 done, 1 refused or failed, 2 the command line is wrong, 3 no wall answers.
    """
    await fetch(client, export_id, output)


@exports.command("delete")
@click.argument("export_ids", metavar="ID...", nargs=-1, required=True)
@client_command
async def delete(client: Client, export_ids: tuple[str, ...]) -> None:
    """Cancel exports that are not done; forget those that are, with their files."""
    for export_id in export_ids:
        await client.call("DELETE", _path(export_id))


async def fetch(client: Client, export_id: str, output: Path | None) -> Path:
    """Waits for a job, then downloads its file; returns where it is. Raises `PantauError`, ``click.FileError``.

    A wall that does not answer for a while is asked again.
    """
    line = ProgressLine()
    try:
        job = await _until_done(client, export_id, line)
        target = output or Path(job["file"]["name"])
        line.clear()
        for _ in range(_TRIES):
            try:
                await client.download(
                    f"{_path(export_id)}/file", target, progress=line.show_bytes, etag=f'"{job["file"]["sha256"]}"'
                )
                break
            except (BrokenOffError, UnreachableError):
                await asyncio.sleep(_AGAIN_SECONDS)
            except RefusedError as error:
                if error.http_status != 503:
                    raise
                await asyncio.sleep(_AGAIN_SECONDS)
        else:
            raise BrokenOffError(f"the download breaks off; 'pantau exports get {export_id}' goes on with it")
    except OSError as error:
        raise click.FileError(str(output or export_id), error.strerror or str(error)) from error
    finally:
        line.clear()
    click.echo(f"{target}: {size_text(job['file']['size_bytes'])}{_notes(job, target)}", err=True)
    return target


async def _until_done(client: Client, export_id: str, line: ProgressLine) -> dict[str, Any]:
    silent = 0
    while True:
        try:
            job: dict[str, Any] = await client.call("GET", _path(export_id))
            silent = 0
        except UnreachableError:
            silent += 1
            if silent >= _TRIES:
                raise
            await asyncio.sleep(_AGAIN_SECONDS)
            continue
        if job["status"] == "done":
            return job
        if job["status"] in ("failed", "cancelled"):
            raise RefusedError(f"the export {job['status']}: {job['detail'] or 'it was ended'}", status=409)
        line.show_share(job["status"], float(job["progress"]), str(job["detail"]))
        await asyncio.sleep(_LOOK_SECONDS)


def _notes(job: dict[str, Any], target: Path) -> str:
    notes = [job["detail"]] if job["detail"] else []
    if job["conversion"]:
        notes.append(job["conversion"])
    if job["made_up"]:
        notes.append("MADE UP for a demo, in part or whole: no camera took these pictures at that time")
    if job["kind"] == "bundle":
        notes.append(f"check it with: pantau verify {target}")
    return "".join(f"; {note}" for note in notes)


def _path(export_id: str) -> str:
    return f"/exports/{quote(export_id, safe='')}"


def _row(job: dict[str, Any]) -> tuple[str, ...]:
    file = job["file"]
    return (
        str(job["id"]),
        str(job["status"]),
        f"{int(job['progress'] * 100)} %",
        str(job["kind"]),
        ",".join(camera["camera"] for camera in job["cameras"]),
        str(job["from"])[:19],
        str(job["to"])[:19],
        str(job["actor"]),
        size_text(file["size_bytes"]) if file else "",
        str(job["expires"])[:16],
        str(job["detail"]),
    )
