"""``pantau recorder``."""

import sys
from pathlib import Path

import click

from services.cli.config import config_option, load


@click.command()
@config_option
def recorder(config_path: Path | None) -> None:
    """Run a recorder: keeps frames on disk, and answers with timelines, clips and playback.

    Several may run against the same NATS, each with a data folder of its own; the registry spreads the cameras.
    """
    from services.mesh import lifecycle
    from services.recorder import app
    from services.recorder.archive.settings import ArchiveSettings
    from services.recorder.settings import RecorderSettings

    config = load(config_path)
    settings, archive = config.section(RecorderSettings), config.section(ArchiveSettings)
    sys.exit(lifecycle.main("recorder", config.mesh, lambda service: app.run(service, settings, archive)))
