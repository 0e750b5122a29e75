"""``pantau fsck``."""

import sqlite3
import sys
from collections.abc import Mapping
from pathlib import Path

import click

from services.cli.config import config_option, load

CLEAN, DIRTY, UNREADABLE = 0, 1, 2


@click.command()
@config_option
@click.option("--data", type=click.Path(path_type=Path), help="Data directory; default: those of the settings.")
@click.option("--repair", is_flag=True, help="Bring the index to what the files say. The recorder must not run.")
@click.option("--verify", is_flag=True, help="Hold every byte against the seals, too; takes as long as reading.")
def fsck(config_path: Path | None, data: Path | None, repair: bool, verify: bool) -> None:
    """Hold the recordings on disk against the index, both ways, and against their recorder's signatures.

    Without --repair nothing is changed, and a recorder may run. Exit status: 0 all is in order (or was repaired),
    1 something is not, 2 the recordings cannot be read.
    """
    from services.contracts.errors import PantauError
    from services.recorder.settings import RecorderSettings
    from services.recorder.storage.fsck import NoRecordingsError, check

    config = load(config_path)
    directories = (data,) if data else config.section(RecorderSettings).directories or (config.mesh.data,)
    status = CLEAN
    for directory in directories:
        try:
            report = check(directory, repair=repair, verify=verify)
        except (NoRecordingsError, PantauError, OSError, sqlite3.Error) as error:
            click.echo(f"{directory}: {error}", err=True)
            status = UNREADABLE
            continue
        for finding in report.findings:
            state = " (repaired)" if finding.repaired else ""
            click.echo(f"{directory}: {finding.kind}: {finding.path}: {finding.detail}{state}")
        running = "; a recorder is at work, what it has open was left out" if report.running else ""
        verdict = "in order" if report.clean else "NOT in order"
        click.echo(f"{directory}: {report.segments} segments{_signatures(report.signed)}, {verdict}{running}")
        if not report.clean:
            status = max(status, DIRTY)
    sys.exit(status)


def _signatures(signed: Mapping[str, int]) -> str:
    parts = [f"{count} signed by {key}" for key, count in sorted(signed.items()) if key]
    if unsigned := signed.get("", 0):
        parts.append(f"{unsigned} not signed yet")
    return f" ({', '.join(parts)})" if parts else ""
