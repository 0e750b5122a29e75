"""``pantau coverage``: how much is recorded, the causes of gaps, and how long footage lasts, from a shell."""

import json
import sys
from datetime import datetime
from typing import Any, Final

import click

from services.cli.client import Client, client_command
from services.cli.table import echo_table

EXIT_INCOMPLETE: Final = 1
_HEADERS: Final = (
    "ID", "RECORDED", "GAPS", "MOST MISSING", "MISSING", "DAMAGED", "OLDEST", "ARCHIVED", "WHOLE", "THINNED",
    "ARCHIVE", "NAME",
)  # fmt: skip


@click.command()
@click.option("--camera", "cameras", metavar="ID", multiple=True, help="May be given several times; default: all.")
@click.option("--from", "from_", metavar="T", help="RFC 3339, with its offset; default: a day before --to.")
@click.option("--to", metavar="T", help="RFC 3339, with its offset; default: now.")
@click.option("--json", "as_json", is_flag=True, help="Print what the API answers.")
@client_command
async def coverage(
    client: Client, cameras: tuple[str, ...], from_: str | None, to: str | None, as_json: bool
) -> int | None:
    """Tell how much is recorded of each camera, why the rest is not, and how many days the disks give.

    On a terminal a table, elsewhere lines of cells separated by tabs; the least recorded first.

    Exit status: 0 done, 1 refused or a recorder did not answer, 2 the command line is wrong, 3 no wall answers.
    """
    params = [("camera", camera) for camera in cameras]
    params += [(name, value) for name, value in (("from", from_), ("to", to)) if value]
    answer = await client.call("GET", "/coverage", params=params)
    if as_json:
        click.echo(json.dumps(answer, indent=2, ensure_ascii=False))
    else:
        rows = sorted(answer["cameras"], key=lambda item: (not item["recording"], item["percent"], item["camera"]))
        echo_table(_HEADERS, [_row(item) for item in rows])
        if sys.stdout.isatty():
            click.echo(_total(answer), err=True)
    if not answer["complete"]:
        click.echo("pantau: a recorder did not answer; there may be more footage than this", err=True)
        return EXIT_INCOMPLETE
    return None


def _row(item: dict[str, Any]) -> tuple[str, ...]:
    oldest = min(filter(None, (item["oldest_full"], item["oldest_thinned"])), default="")
    archived = min(filter(None, (item["oldest_archived_full"], item["oldest_archived_thinned"])), default="")
    return (
        str(item["camera"]),
        f"{_floor(item['percent'])} %" if item["recording"] or item["removed"] else "off",
        str(len(item["gaps"])),
        _longest(item["gaps"]),
        f"{item['missing_seconds']:.0f} s",
        f"{item['damaged_seconds']:.0f} s",
        str(oldest)[:16],
        str(archived)[:16],
        _days(item["forecast_full_days"]),
        _days(item["forecast_keyframe_days"]),
        _days(item["forecast_archive_days"]),
        f"{item['name']} (removed)" if item["removed"] else str(item["name"]),
    )


def _longest(gaps: list[dict[str, Any]]) -> str:
    """The cause of the longest gap."""

    def length(gap: dict[str, Any]) -> float:
        return (datetime.fromisoformat(gap["to"]) - datetime.fromisoformat(gap["from"])).total_seconds()

    return str(max(gaps, key=length)["cause"]) if gaps else ""


def _floor(percent: float) -> str:
    """Rounded down, so that 100 means complete."""
    return f"{int(percent * 100) / 100:g}"


def _days(days: float | None) -> str:
    return "" if days is None else f"{days:.1f} d" if days < 10 else f"{days:.0f} d"


def _total(answer: dict[str, Any]) -> str:
    total = answer["total"]
    missing = ", ".join(f"{item['cause']} {item['seconds'] / 3600:.1f} h" for item in total["missing"])
    parts = [f"{total['cameras']} cameras, {_floor(total['percent'])} % recorded"]
    if missing:
        parts.append(f"missing: {missing}")
    if total["damaged_seconds"]:
        parts.append(f"recorded with damage: {total['damaged_seconds'] / 3600:.1f} h")
    whole, thinned = _days(total["forecast_full_days"]), _days(total["forecast_keyframe_days"])
    parts.append(f"whole footage lasts {whole or '?'}, thinned {thinned or '?'}")
    if archived := _days(total["forecast_archive_days"]):
        parts.append(f"copies in the archive {archived}")
    return "; ".join(parts)
