"""``pantau ingest``."""

import sys
from pathlib import Path

import click

from services.cli.config import config_option, load


@click.command()
@config_option
def ingest(config_path: Path | None) -> None:
    """Run an ingest worker: takes the streams of its cameras and publishes their frames.

    Several may run against the same NATS; the registry spreads the cameras over them.
    """
    from services.ingest import app
    from services.ingest.settings import IngestSettings
    from services.mesh import lifecycle

    config = load(config_path)
    settings = config.section(IngestSettings)
    sys.exit(lifecycle.main("ingest", config.mesh, lambda service: app.run(service, settings)))
