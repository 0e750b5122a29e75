"""``pantau site``: owners who join a hub with their own mesh, and stay owners."""

import asyncio
import datetime as dt
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from services.cli.keys import keys_option, open_keys

F = TypeVar("F", bound=Callable[..., Any])
if TYPE_CHECKING:
    from services.mesh.hub_grants import Granted

INVITED_DAYS = 365
RIGHTS = ("live", "playback", "clip", "evidence")


def _rights_option(text: str) -> Callable[[F], F]:
    return click.option("--right", "rights", multiple=True, type=click.Choice(RIGHTS), help=text)


def _moment(_context: click.Context, parameter: click.Parameter, value: str | None) -> int:
    """Unix time; 0 where nothing is given. Of a day its begin, or for --until its end, in UTC."""
    if value is None:
        return 0
    try:
        moment = dt.datetime.fromisoformat(value)
        if len(value) == len("2027-12-31"):
            moment = moment.replace(tzinfo=dt.UTC) + dt.timedelta(days=parameter.name == "until_s")
    except (ValueError, OverflowError):
        moment = None
    if moment is None or moment.tzinfo is None:
        raise click.BadParameter(
            f"{value!r} is no day (2027-12-31) and no time with its offset (2027-12-31T18:00+07:00)"
        )
    return int(moment.timestamp())


@click.group()
def site() -> None:
    """Join the cameras of another owner: a mall's or an office's mesh to the city's, which is then its hub.

    At the hub: invite, list, revoke. At the owner's: join, grant, withdraw, list, leave. The owner's cameras, footage
    and rights stay the owner's. Both sides run 'pantau up'. docs/guide/sites.md is for both.
    """


@site.command()
@click.argument("name")
@click.option(
    "--address", metavar="HOST[:PORT]",
    help="By which owners reach this machine; the port (7422) must be open to them. Kept for later invitations.",
)  # fmt: skip
@click.option(
    "--until", type=click.DateTime(["%Y-%m-%d"]), metavar="DATE",
    help=f"The last day of the connection, as in 2027-12-31.  [default: in {INVITED_DAYS} days]",
)  # fmt: skip
@click.option(
    "--output", "-o", type=click.Path(path_type=Path, dir_okay=False), help="The file.  [default: NAME.invitation]"
)
@click.option("--replace", is_flag=True, help="Invite an owner anew: what it was given before is worth nothing then.")
@keys_option
def invite(
    name: str,
    address: str | None,
    until: dt.datetime | None,
    output: Path | None,
    replace: bool,
    authority: Path | None,
    config_path: Path | None,
) -> None:
    """At the hub: write the one file with which the owner NAME joins.

    \b
    pantau site invite mall --address hub.malang.example
    """
    from services.contracts.errors import ConflictError, InvalidInputError
    from services.mesh.authority import write_secret
    from services.mesh.leaf_nodes import Listening
    from services.mesh.sites import Sites

    path = output or Path(f"{name}.invitation")
    if path.exists() and not replace:
        raise ConflictError(f"{path} exists already: name another file with --output")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise InvalidInputError(f"--output: there is no folder {path.parent.absolute()} that we may write to")
    last = until.date() if until else dt.datetime.now(dt.UTC).date() + dt.timedelta(days=INVITED_DAYS)
    where = Listening.parse(address) if address else None
    sites = Sites(*open_keys("site", authority, config_path))
    invitation = asyncio.run(sites.invite(name, last, where, replace=replace))
    write_secret(path, invitation.text())
    click.echo(
        f"{name} may join until {last}. Hand over {path} (a secret: who has it is {name}); its owner calls "
        f"'pantau site join {path.name}'. Owners connect to {invitation.address}."
    )


@site.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@keys_option
def join(file: Path, authority: Path | None, config_path: Path | None) -> None:
    """At the owner's: join the hub that wrote FILE.

    The hub sees from then on which cameras of this mesh's own site there are, and how they are. It sees no pictures
    until 'pantau site grant' says of which cameras, and never an address or a password of a camera.
    """
    from services.mesh.hub import Hub
    from services.mesh.sites import Invitation

    invitation = Invitation.read(file)
    asyncio.run(Hub(*open_keys("site", authority, config_path)).join(invitation))
    click.echo(
        f"this mesh is {invitation.site} at {invitation.hub} until {invitation.until}. It may watch nothing yet: "
        "'pantau site grant all', or name cameras"
    )


@site.command()
@click.argument("cameras", nargs=-1, required=True, metavar="all|CAMERA...")
@_rights_option(
    "What it may: live (with sound and stills of now), playback, clip, evidence; repeat it.  [default: live]"
)
@click.option(
    "--from", "from_s", callback=_moment, metavar="WHEN", help="Not before this day or time.  [default: at once]"
)
@click.option(
    "--until", "until_s", callback=_moment, metavar="WHEN",
    help="The last day (UTC), as in 2027-12-31, or the time, as in 2027-12-31T18:00+07:00, when it ends by itself.",
)  # fmt: skip
@click.option("--purpose", default="", help="What for; 'list' and the audit show it.")
@keys_option
def grant(
    cameras: tuple[str, ...],
    rights: tuple[str, ...],
    from_s: int,
    until_s: int,
    purpose: str,
    authority: Path | None,
    config_path: Path | None,
) -> None:
    """At the owner's: let the hub watch cameras, as ids; 'all' is every camera of this mesh's own site.

    Granting the same again gives it the new times.
    """
    from services.contracts.permissions import Right
    from services.mesh.hub import Hub
    from services.mesh.hub_grants import Window

    hub = Hub(*open_keys("site", authority, config_path))
    wanted = [Right(each) for each in rights or (Right.LIVE,)]
    granted = asyncio.run(hub.grant(_ids(cameras), wanted, Window(from_s, until_s), purpose.strip()))
    click.echo(f"the hub may watch {_names(granted)}")


@site.command()
@click.argument("cameras", nargs=-1, required=True, metavar="all|CAMERA...")
@_rights_option("What it may not any more; repeat it.  [default: anything]")
@keys_option
def withdraw(
    cameras: tuple[str, ...], rights: tuple[str, ...], authority: Path | None, config_path: Path | None
) -> None:
    """At the owner's: take from the hub what was granted. What it watches just then ends at once."""
    from services.contracts.permissions import Right
    from services.contracts.sites import GRANTABLE
    from services.mesh.hub import Hub

    hub = Hub(*open_keys("site", authority, config_path))
    granted = asyncio.run(hub.withdraw(_ids(cameras), [Right(each) for each in rights or GRANTABLE]))
    click.echo(f"the hub may watch {_names(granted)}")


@site.command("list")
@keys_option
def list_sites(authority: Path | None, config_path: Path | None) -> None:
    """List the owners that were invited, and the hub that was joined: name, last day, since when linked or away."""
    from services.mesh import leaf_nodes
    from services.mesh.hub import Hub
    from services.mesh.sites import Sites

    keys = open_keys("site", authority, config_path)
    now_us = time.time_ns() // 1000
    for each in asyncio.run(Sites(*keys).all()):
        over = " (over)" if each.until_us <= now_us else ""
        last = dt.datetime.fromtimestamp(each.until_us / 1e6 - 1, dt.UTC).date()
        since = dt.datetime.fromtimestamp(each.since_us / 1e6, dt.UTC).isoformat(timespec="seconds")
        how = "linked since" if each.linked else "away since" if each.heard else "invited"
        click.echo(f"{each.site}\t{last}{over}\t{how} {since}")
    joined = leaf_nodes.joined(keys[0])
    if joined is not None:
        click.echo(f"{joined.hub} (hub)\t{joined.until}\tas {joined.site}; may watch {_names(Hub(*keys).granted)}")


@site.command()
@click.argument("name")
@keys_option
def revoke(name: str, authority: Path | None, config_path: Path | None) -> None:
    """At the hub: end the owner NAME's connection at once, and forget its cameras."""
    from services.mesh.sites import Sites

    asyncio.run(Sites(*open_keys("site", authority, config_path)).revoke(name))
    click.echo(f"{name} is joined no more")


@site.command()
@keys_option
def leave(authority: Path | None, config_path: Path | None) -> None:
    """At the owner's: end the connection to the hub, and all that was granted."""
    from services.mesh.hub import Hub

    asyncio.run(Hub(*open_keys("site", authority, config_path)).leave())
    click.echo("this mesh has left its hub")


def _ids(cameras: tuple[str, ...]) -> list[str]:
    from services.mesh.hub_grants import ALL

    return [ALL if each == "all" else each for each in cameras]


def _names(granted: "Granted") -> str:
    from services.mesh.hub_grants import ALL

    now_s, told = time.time(), dict[str, list[str]]()
    for each in granted:
        over = ", over" if each.window.is_over(now_s) else ""
        told.setdefault("all cameras" if each.camera == ALL else each.camera, []).append(f"{each}{over}")
    return "; ".join(f"{camera}: {', '.join(rights)}" for camera, rights in told.items()) or "no camera"
