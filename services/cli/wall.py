"""``pantau wall``."""

import sys
from pathlib import Path

import click

from services.cli.config import config_option, load


@click.command()
@click.option(
    "--role",
    type=click.Choice(["all", "front", "relay"]),
    default="all",
    show_default=True,
    help="front: web app and API. relay: WebRTC, one process on one UDP port. all: a front, and a relay per core.",
)
@config_option
def wall(role: str, config_path: Path | None) -> None:
    """Run the wall: the operators' web app, the HTTP API, and WebRTC.

    Several fronts and relays may run against the same NATS; a session goes to the least loaded relay.
    """
    from services.wall import app

    sys.exit(app.main(role, load(config_path)))
