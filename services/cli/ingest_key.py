"""``pantau ingest-key``: the key that opens cameras' credentials."""

from collections.abc import Callable
from pathlib import Path

import click

from services.cli.config import config_option, load


def _with_file(command: Callable[..., None]) -> Callable[..., None]:
    file = click.option(
        "--file", "path", type=click.Path(path_type=Path, dir_okay=False),
        help="The key file; default: PANTAU_INGEST_SECRETS_KEY, else ingest-secrets.key in PANTAU_DATA.",
    )  # fmt: skip
    return config_option(file(command))


@click.group("ingest-key")
def ingest_key() -> None:
    """Show, keep and change the key that opens cameras' credentials on this machine.

    Credentials are sealed to the key of each ingest machine; a copy of NATS's files without such a key gives nothing.
    Where all these keys are lost, the credentials have to be given again: keep a backup of one of them.
    """


@ingest_key.command()
@_with_file
def show(path: Path | None, config_path: Path | None) -> None:
    """Print the names of the machine's public keys, the one in use first."""
    from services.mesh.sealing import load_keys

    found = _existing(path, config_path)
    for number, key in enumerate(load_keys(found).keys):
        click.echo(f"{key.id}{' (before; opens what is not sealed anew yet)' if number else ''}")


@ingest_key.command()
@click.argument("copy", type=click.Path(path_type=Path))
@_with_file
def backup(copy: Path, path: Path | None, config_path: Path | None) -> None:
    """Copy the key file to COPY, which must not exist. Keep it apart from the copies of NATS's files."""
    from services.contracts.errors import ConflictError
    from services.mesh.authority import write_secret
    from services.mesh.sealing import load_keys

    found = _existing(path, config_path)
    load_keys(found)
    if copy.exists():
        raise ConflictError(f"{copy} exists already; name a new file")
    write_secret(copy, found.read_text())
    click.echo(f"{copy}: put it in the place of {found} to use it again")


@ingest_key.command()
@_with_file
def rotate(path: Path | None, config_path: Path | None) -> None:
    """Make a new key. A running ingest seals all credentials to it within seconds and then forgets the old one."""
    from services.mesh.sealing import rotate_keys

    found = _existing(path, config_path)
    click.echo(f"now sealing to {rotate_keys(found).current.id}; {found} keeps the old key until nothing needs it")


def _existing(path: Path | None, config_path: Path | None) -> Path:
    from services.contracts.errors import NotFoundError
    from services.ingest.settings import KEY_FILE, IngestSettings

    if path is None:
        config = load(config_path)
        path = config.section(IngestSettings).secrets_key or config.mesh.data / KEY_FILE
    if not path.exists():
        raise NotFoundError(
            f"there is no key file {path}: ingest makes it at its first start; name another with --file"
        )
    return path
