"""``pantau ingest``."""

import sys
from pathlib import Path

import click

from services.cli.config import config_option, load


@click.command()
@click.option("--worker-of", metavar="NAME", hidden=True, help="Run one worker below the parent of this name.")
@config_option
def ingest(worker_of: str | None, config_path: Path | None) -> None:
    """Run ingest workers: each takes the streams of its cameras and publishes their frames.

    Several may run against the same NATS; the registry spreads the cameras over them.
    """
    from services.ingest.settings import IngestSettings
    from services.mesh import lifecycle

    config = load(config_path)
    settings = config.section(IngestSettings)
    if worker_of is not None:
        from services.ingest import worker

        sys.exit(lifecycle.main("ingest", config.mesh, lambda service: worker.run(service, settings, worker_of)))
    from services.ingest import app

    sys.exit(lifecycle.main("ingest", config.mesh, lambda service: app.run(service, settings, config.path)))
