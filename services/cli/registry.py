"""``pantau registry``."""

import gc
import sys
from pathlib import Path

import click

from services.cli.config import config_option, load


@click.command()
@config_option
def registry(config_path: Path | None) -> None:
    """Run the registry: the catalogue, the observed state of each camera, and who ingests and records what.

    Several may run against the same NATS: one leads, the others stand by.
    """
    from services.mesh import lifecycle
    from services.registry import app
    from services.registry.settings import RegistrySettings

    gc.set_threshold(*lifecycle.SELDOM)
    config = load(config_path)
    settings = config.section(RegistrySettings)
    sys.exit(lifecycle.main("registry", config.mesh, lambda service: app.run(service, settings)))
