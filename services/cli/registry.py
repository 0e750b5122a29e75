"""``pantau registry``."""

import gc
import sys
from pathlib import Path
from typing import Final

import click

from services.cli.config import config_option, load

COLLECT: Final = (50_000, 20, 50)
"""For ``gc.set_threshold``. What a registry knows of 10,000 cameras is half a million objects, which live long and hold
no cycles. With Python's thresholds the collector visits them so often that it takes half of the leader's CPU time."""


@click.command()
@config_option
def registry(config_path: Path | None) -> None:
    """Run the registry: the catalogue, the observed state of each camera, and who ingests and records what.

    Several may run against the same NATS: one leads, the others stand by.
    """
    from services.mesh import lifecycle
    from services.registry import app
    from services.registry.settings import RegistrySettings

    gc.set_threshold(*COLLECT)
    config = load(config_path)
    settings = config.section(RegistrySettings)
    sys.exit(lifecycle.main("registry", config.mesh, lambda service: app.run(service, settings)))
