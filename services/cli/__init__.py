"""The `pantau` command: one click group whose commands' modules are imported only when they run.

A command named ``x-y`` is the click command or group ``x_y`` of the module that `COMMANDS` names, so that a container
of one service never imports the dependencies of another.
"""

import importlib
import sys
from typing import Final, NamedTuple

import click

import services
from services.contracts.errors import PantauError


class Entry(NamedTuple):
    """A command's module, and its line in ``pantau --help``, which does not import it."""

    module: str
    help: str


COMMANDS: Final = {
    "up": Entry("services.cli.up", "Run everything on this machine."),
    "registry": Entry("services.cli.registry", "Run the registry: catalogue, observed state, assignments."),
    "ingest": Entry("services.cli.ingest", "Run an ingest worker: cameras onto the bus."),
    "recorder": Entry("services.cli.recorder", "Run a recorder: frames to disk, timeline, clips, playback."),
    "wall": Entry("services.cli.wall", "Run the wall: web app, API and WebRTC."),
    "sim": Entry("services.cli.sim", "Run simulated RTSP cameras."),
    "cameras": Entry("services.cli.cameras", "List, add, remove and import cameras."),
    "workers": Entry("services.cli.workers", "List, drain and retire ingest workers and recorders."),
    "accounts": Entry("services.cli.accounts", "Manage the people who may sign in."),
    "export": Entry("services.cli.export", "Export a clip or an evidence bundle."),
    "exports": Entry("services.cli.exports", "List, get and delete exports."),
    "coverage": Entry("services.cli.coverage", "Tell how much is recorded, and why the rest is not."),
    "audit": Entry("services.cli.audit", "Export who saw what, and check it against the signed digests."),
    "verify": Entry("services.cli.verify", "Check an evidence bundle offline."),
    "recorder-key": Entry("services.cli.recorder_key", "Keep, restore and change the key that a recorder signs with."),
    "agency": Entry("services.cli.agency", "Give partner agencies events, and take them away."),
    "site": Entry("services.cli.site", "Join the cameras of another owner, who stays their owner."),
    "nats": Entry("services.cli.nats", "Make the keys, users and configuration of a nats-server."),
    "ca": Entry("services.cli.ca", "Make certificates for the first day."),
    "ingest-key": Entry("services.cli.sealing_keys", "Keep and change the key that opens cameras' credentials."),
    "registry-key": Entry("services.cli.sealing_keys", "Keep and change the key that opens second factors."),
    "fsck": Entry("services.cli.fsck", "Hold the recordings on disk against the index."),
}


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports one when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command, in the order of `COMMANDS`."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports the command's module; None where there is no such command."""
        del ctx
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        command = getattr(importlib.import_module(entry.module), cmd_name.replace("-", "_"))
        if not isinstance(command, click.Command):
            raise TypeError(f"{entry.module}.{cmd_name} is no click command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Lists the commands without importing any."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(services.__version__, prog_name="pantau", message="%(prog)s %(version)s")
def pantau() -> None:
    """Pantau: an open, self-hosted video mesh for city command centres.

    Settings are PANTAU_* environment variables over an optional TOML file (--config); docs/ref/settings.md lists all.
    """


def main() -> None:
    """The console script: runs `pantau`, and prints an expected failure as one line with exit status 1."""
    try:
        pantau(prog_name="pantau")
    except PantauError as error:
        click.echo(f"pantau: {error.message}", err=True)
        sys.exit(1)
