"""``pantau agency``: partners that receive events."""

import asyncio
import datetime as dt
import time
from pathlib import Path

import click

from services.cli.keys import keys_option, open_keys
from services.mesh.agencies import DEFAULT_LIMITS, KINDS, Agencies, Agency, AgencyLimits


@click.group()
def agency() -> None:
    """Give partner agencies the events of this mesh, and take them away again.

    Each has an account of its own on nats-server with limits, an end, one creds file, and a stream that keeps events
    while it is away. It works on a running nats-server, without restarting it: that of 'pantau up', or one that
    PANTAU_NATS_URL names and 'pantau nats init' made the configuration of. docs/guide/agencies.md is for the partner.
    """


@agency.command()
@click.argument("name")
@click.option("--events", required=True, metavar="KINDS", help=f"The kinds of events, with commas: {', '.join(KINDS)}.")
@click.option(
    "--until", required=True, type=click.DateTime(["%Y-%m-%d"]), metavar="DATE",
    help="The last day, as in 2027-12-31; at its end (UTC) nats-server closes the connections.",
)  # fmt: skip
@click.option(
    "--output", "-o", type=click.Path(path_type=Path, dir_okay=False), help="The creds file.  [default: NAME.creds]"
)
@click.option(
    "--connections", default=DEFAULT_LIMITS.connections, show_default=True, type=click.IntRange(1, 1000),
    help="How many connections it may have at once.",
)  # fmt: skip
@click.option(
    "--subscriptions", default=DEFAULT_LIMITS.subscriptions, show_default=True, type=click.IntRange(1, 10000),
    help="How many subscriptions all of them may have.",
)  # fmt: skip
@click.option(
    "--payload-kilobytes", default=DEFAULT_LIMITS.payload_bytes // 1024, show_default=True,
    type=click.IntRange(1, 8192), help="The largest message that it may send.",
)  # fmt: skip
@click.option(
    "--megabytes", default=DEFAULT_LIMITS.stream_bytes // 1000**2, show_default=True, type=click.IntRange(1, 1000000),
    help="What its stream keeps; above it the oldest events go.",
)  # fmt: skip
@click.option("--replace", is_flag=True, help="Renew an agency: its stream stays, its creds of before end.")
@keys_option
def add(
    name: str,
    events: str,
    until: dt.datetime,
    output: Path | None,
    connections: int,
    subscriptions: int,
    payload_kilobytes: int,
    megabytes: int,
    replace: bool,
    authority: Path | None,
    config_path: Path | None,
) -> None:
    """Add the agency NAME, and write the creds file to hand to it.

    \b
    pantau agency add police --events camera,incident --until 2027-12-31
    """
    from services.contracts.errors import ConflictError
    from services.mesh.authority import write_secret

    path = output or Path(f"{name}.creds")
    if path.exists() and not replace:
        raise ConflictError(f"{path} exists already: name another file with --output")
    kinds = tuple(dict.fromkeys(kind.strip() for kind in events.split(",") if kind.strip()))
    limits = AgencyLimits(connections, subscriptions, payload_kilobytes * 1024, megabytes * 1000**2)
    agencies = _agencies(authority, config_path)
    creds = asyncio.run(agencies.add(Agency(name, kinds, until.date()), limits, replace=replace))
    write_secret(path, creds)
    click.echo(
        f"{name} receives {', '.join(kinds)} until {until.date()}. Hand over {path} (a secret: who has it is {name}), "
        "the address of nats-server, its CA where that is your own, and docs/guide/agencies.md."
    )


@agency.command("list")
@keys_option
def list_agencies(authority: Path | None, config_path: Path | None) -> None:
    """List the agencies: name, events, last day."""
    now = time.time()
    for each in _agencies(authority, config_path).all():
        click.echo(f"{each.name}\t{','.join(each.events)}\t{each.until}{' (over)' if each.has_ended(now) else ''}")


@agency.command()
@click.argument("name")
@keys_option
def revoke(name: str, authority: Path | None, config_path: Path | None) -> None:
    """End the agency NAME: its connections close at once, its creds are worth nothing, its stream is removed."""
    asyncio.run(_agencies(authority, config_path).revoke(name))
    click.echo(f"{name} receives nothing any more")


agency.add_command(click.Command("remove", params=revoke.params, callback=revoke.callback, help="The same as revoke."))


def _agencies(folder: Path | None, config_path: Path | None) -> Agencies:
    return Agencies(*open_keys("agency", folder, config_path))
