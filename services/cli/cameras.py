"""``pantau cameras``: the catalogue from a shell, through the wall's HTTP API."""

import json
import sys
import time
from pathlib import Path
from typing import Any, BinaryIO, Final, get_args
from urllib.parse import quote

import click

from services.cli.client import EXIT_REFUSED, Client, RefusedError, all_pages, client_command
from services.cli.progress import size_text
from services.cli.table import echo_table
from services.contracts.models import ReaderName, Transport

_COLOURS: Final = {
    "online": "green",
    "degraded": "yellow",
    "connecting": "yellow",
    "offline": "red",
    "disabled": "bright_black",
    "added": "green",
    "updated": "cyan",
    "unchanged": "bright_black",
    "refused": "red",
}

_json_option = click.option("--json", "as_json", is_flag=True, help="Print what the API answers.")


@click.group()
def cameras() -> None:
    """List, add, remove and import cameras, through the wall's HTTP API.

    Exit status: 0 done, 1 refused (wholly or in part), 2 the command line is wrong, 3 no wall answers.
    """


@cameras.command("list")
@click.option("--site", help="Only cameras of this site.")
@click.option("--tag", help="Only cameras with this tag.")
@click.option("--text", help="Only cameras with this in their id, name, address or tags.")
@_json_option
@client_command
async def list_cameras(client: Client, site: str | None, tag: str | None, text: str | None, as_json: bool) -> None:
    """List the cameras with their observed states.

    On a terminal a table, elsewhere lines of cells separated by tabs.
    """
    given = {"site": site, "tag": tag, "text": text}
    params = {name: value for name, value in given.items() if value}
    found = [camera async for camera in all_pages(client, "/cameras", "cameras", params)]
    if as_json:
        click.echo(json.dumps({"cameras": found}, indent=2, ensure_ascii=False))
        return
    headers = ("ID", "SITE", "STATE", "SINCE", "VIDEO", "NAME")
    echo_table(headers, [_camera_row(camera) for camera in found], style=_colour)
    if sys.stdout.isatty():
        click.echo(f"{len(found)} cameras", err=True)


@cameras.command("removed")
@click.option("--site", help="Only cameras of this site.")
@_json_option
@client_command
async def removed_cameras(client: Client, site: str | None, as_json: bool) -> None:
    """List cameras that were removed and have footage, with their owner and the footage's range.

    An id that another site has now is listed with the site that had it: 'site=' of the HTTP API names that one.
    """
    params = {"removed": "true"} | ({"site": site} if site else {})
    answer = await client.call("GET", "/history", params=params)
    if as_json:
        click.echo(json.dumps(answer, indent=2, ensure_ascii=False))
        return
    headers = ("ID", "SITE", "FROM", "TO", "SIZE")
    rows = [
        (item["camera"], item["site"], item["from"][:19], item["to"][:19], size_text(item["size_bytes"]))
        for item in answer["cameras"]
    ]
    echo_table(headers, rows)


def _camera_row(camera: dict[str, Any]) -> tuple[str, ...]:
    state = camera.get("state") or {}
    status = str(state.get("status", "unknown"))
    reason = str(state.get("reason", "none"))
    shown = status if reason in ("none", status) else f"{status} ({reason})"
    since = _ago(time.time() - state["since_us"] / 1e6) if state.get("since_us") else ""
    main = (state.get("profiles") or {}).get("main") or {}
    video = f"{main['codec']} {main['width_px']}×{main['height_px']}" if main.get("codec") else ""
    if video and main.get("frame_rate"):
        video += f" {main['frame_rate']:.0f}/s"
    return str(camera["id"]), str(camera["site"]), shown, since, video, str(camera["name"])


def _ago(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def _colour(_column: int, cell: str) -> dict[str, str]:
    colour = _COLOURS.get(cell.partition(" ")[0])
    return {"fg": colour} if colour else {}


@cameras.command("add")
@click.argument("name")
@click.argument("main_url", metavar="URL")
@click.option("--sub-url", help="The small stream, for walls of many tiles.")
@click.option("--id", "camera_id", help="Default: made of the name.")
@click.option("--site", help="Who owns it. Default: the mesh's own site.")
@click.option("--username", help="The camera's user; or give it in the URL.")
@click.option(
    "--password-file", type=click.File("r"), help="File with its password, - for stdin; asked for on a terminal."
)
@click.option("--latitude", type=click.FloatRange(-90, 90), help="Where it stands, in degrees.")
@click.option("--longitude", type=click.FloatRange(-180, 180), help="Where it stands, in degrees.")
@click.option("--address", default="", help="Where it stands, for people.")
@click.option("--tag", "tags", multiple=True, help="May be given several times.")
@click.option("--transport", type=click.Choice(get_args(Transport)), default="auto", show_default=True, help="Of RTSP.")
@click.option(
    "--reader", type=click.Choice(get_args(ReaderName)), default="auto", show_default=True, help="What reads it."
)
@click.option("--audio", is_flag=True, help="Take its sound too.")
@click.option("--no-record", is_flag=True, help="Show it, but do not record it.")
@click.option("--disabled", is_flag=True, help="Only take it into the catalogue.")
@click.option("--copies", type=click.IntRange(1, 2), default=1, show_default=True, help="Recorders that keep it.")
@click.option("--retention", help="Its own retention ladder.")
@_json_option
@client_command
async def add_camera(
    client: Client,
    name: str,
    main_url: str,
    sub_url: str | None,
    camera_id: str | None,
    site: str | None,
    username: str | None,
    password_file: Any,
    latitude: float | None,
    longitude: float | None,
    address: str,
    tags: tuple[str, ...],
    transport: str,
    reader: str,
    audio: bool,
    no_record: bool,
    disabled: bool,
    copies: int,
    retention: str | None,
    as_json: bool,
) -> None:
    """Add a camera called NAME whose main stream is at URL.

    A user and password in the URL are taken out of it and kept apart; the API never gives them back.
    """
    profiles = {"main": {"url": main_url, "transport": transport, "reader": reader}}
    if sub_url:
        profiles["sub"] = {"url": sub_url, "transport": transport, "reader": reader}
    body: dict[str, Any] = {
        "name": name,
        "profiles": profiles,
        "location": {"latitude": latitude, "longitude": longitude, "address": address},
        "tags": tags,
        "audio": audio,
        "record": not no_record,
        "enabled": not disabled,
        "copies": copies,
        "retention": retention,
    }
    body |= {key: value for key, value in (("id", camera_id), ("site", site)) if value}
    if username is not None:
        body["credentials"] = {"username": username, "password": _password(password_file, username)}
    elif password_file is not None:
        raise click.UsageError("--password-file needs --username")
    camera = await client.call("POST", "/cameras", json=body)
    if as_json:
        click.echo(json.dumps(camera, indent=2, ensure_ascii=False))
    else:
        click.echo(camera["id"])


def _password(file: Any, username: str) -> str:
    if file is not None:
        return str(file.read()).rstrip("\r\n")
    if sys.stdin.isatty():
        return str(click.prompt(f"Password of {username}", hide_input=True, default="", show_default=False, err=True))
    raise click.UsageError("there is no terminal to ask for the password on: give it with --password-file")


@cameras.command("remove")
@click.argument("ids", nargs=-1, required=True, metavar="ID…")
@click.option("--yes", is_flag=True, help="Do not ask.")
@client_command
async def remove_cameras(client: Client, ids: tuple[str, ...], yes: bool) -> int:
    """Take cameras out of the catalogue. Their recordings stay until retention takes them."""
    if not yes and sys.stdin.isatty():
        click.confirm(f"Remove {', '.join(ids)}?", abort=True, err=True)
    status = 0
    for camera in ids:
        try:
            await client.call("DELETE", f"/cameras/{quote(camera, safe='')}")
            click.echo(camera)
        except RefusedError as error:
            click.echo(f"pantau: {camera}: {error.message}", err=True)
            status = EXIT_REFUSED
    return status


@cameras.command("import")
@click.argument("file", type=click.File("rb"))
@click.option("--format", "kind", type=click.Choice(["csv", "json"]), help="Default: by the file's name, else csv.")
@click.option("--dry-run", is_flag=True, help="Only say what would happen.")
@click.option("--all", "show_all", is_flag=True, help="List every row, also those that changed nothing.")
@_json_option
@client_command
async def import_cameras(
    client: Client, file: BinaryIO, kind: str | None, dry_run: bool, show_all: bool, as_json: bool
) -> int:
    """Add and change cameras as FILE says (CSV or JSON; - for stdin), and report row by row.

    The first line of a CSV file names its columns: name and main_url at least; id, site, sub_url, username, password,
    latitude, longitude, address, tags, audio, record, enabled, copies, retention as needed. A row with a known id
    (made of the name if it has none) changes that camera; an empty cell changes nothing. A refused row does not stop
    the others; the exit status is 1 then.
    """
    body = file.read()
    kind = kind or ("json" if Path(file.name).suffix.lower() == ".json" or body.lstrip()[:1] in (b"[", b"{") else "csv")
    if sys.stderr.isatty():
        click.echo(f"sending {len(body)} bytes …", err=True)
    report = await client.call(
        "POST",
        "/cameras/import",
        params={"dry_run": "true"} if dry_run else {},
        body=body,
        content_type="text/csv" if kind == "csv" else "application/json",
    )
    if as_json:
        click.echo(json.dumps(report, indent=2, ensure_ascii=False))
    else:
        rows = [row for row in report["rows"] if show_all or row["result"] != "unchanged"]
        table = [(str(row["row"]), row["result"], row["id"], row["detail"]) for row in rows]
        if table:
            echo_table(("ROW", "RESULT", "ID", "DETAIL"), table, style=_colour)
        for note in report["notes"]:
            click.echo(f"note: {note}", err=True)
        counts = ", ".join(f"{report[name]} {name}" for name in ("added", "updated", "unchanged", "refused"))
        click.echo(f"{'would be: ' if dry_run else ''}{counts}", err=True)
    return EXIT_REFUSED if report["refused"] else 0
