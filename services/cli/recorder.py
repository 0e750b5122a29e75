"""``pantau recorder``."""

import gc
import sys
from pathlib import Path

import click

from services.cli.config import config_option, load


@click.command()
@click.option(
    "--processes",
    type=click.IntRange(1, 64),
    help="Run so many processes over the same directories.  [default: PANTAU_RECORDER_PROCESSES, else 1]",
)
@click.option("--process", metavar="K/N", hidden=True, help="Run one of several processes.")
@config_option
def recorder(processes: int | None, process: str | None, config_path: Path | None) -> None:
    """Run a recorder: keeps frames on disk, and answers with timelines, clips and playback.

    Several may run against the same NATS, each with a data folder of its own; the registry spreads the cameras. One
    process records about 200 cameras; several over the same directories (--processes) are one recorder to the registry.
    """
    from services.mesh import lifecycle
    from services.recorder import app
    from services.recorder.archive.settings import ArchiveSettings
    from services.recorder.settings import RecorderSettings
    from services.recorder.storage.share import WHOLE, Share

    config = load(config_path)
    settings, archive = config.section(RecorderSettings), config.section(ArchiveSettings)
    count = processes or settings.processes
    if process is None and count > 1:
        from services.recorder import processes as parent

        sys.exit(
            lifecycle.main("recorder", config.mesh, lambda service: parent.run(service, settings, count, config.path))
        )
    gc.set_threshold(*lifecycle.SELDOM)
    share = Share.parse(process) if process is not None else WHOLE
    sys.exit(lifecycle.main("recorder", config.mesh, lambda service: app.run(service, settings, archive, share)))
