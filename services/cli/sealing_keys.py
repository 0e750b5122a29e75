"""``pantau ingest-key`` and ``pantau registry-key``: the keys that open what is kept sealed in NATS."""

from collections.abc import Callable
from pathlib import Path

import click

from services.cli.config import Config, config_option, load

FileOf = Callable[[Config], Path]


def _ingest_file(config: Config) -> Path:
    from services.ingest.settings import KEY_FILE, IngestSettings

    return config.section(IngestSettings).secrets_key or config.mesh.data / KEY_FILE


def _registry_file(config: Config) -> Path:
    from services.registry.second_factors import KEY_FILE

    return config.mesh.data / KEY_FILE


@click.group("ingest-key")
def ingest_key() -> None:
    """Show, keep and change the key that opens cameras' credentials on this machine.

    Credentials are sealed to the key of each ingest machine; a copy of NATS's files without such a key gives nothing.
    Where all these keys are lost, the credentials have to be given again: keep a backup of one of them.
    """


@click.group("registry-key")
def registry_key() -> None:
    """Show, keep and change the key that opens the secrets of second factors on this machine.

    They are sealed to the key of each registry's machine; a copy of NATS's files without such a key gives nothing.
    Where all these keys are lost, people sign in with a recovery code and set their second factor up again: keep a
    backup of one of them.
    """


def _add_commands(group: click.Group, service: str, default: str, file_of: FileOf) -> None:
    """``service`` makes its key file, ``default``, at its first start."""

    def with_file(command: Callable[..., None]) -> Callable[..., None]:
        file = click.option(
            "--file", "path", type=click.Path(path_type=Path, dir_okay=False),
            help=f"The key file; default: {default}.",
        )  # fmt: skip
        return config_option(file(command))

    def existing(path: Path | None, config_path: Path | None) -> Path:
        from services.contracts.errors import NotFoundError

        if path is None:
            path = file_of(load(config_path))
        if not path.exists():
            raise NotFoundError(
                f"there is no key file {path}: {service} makes it at its first start; name another with --file"
            )
        return path

    @group.command()
    @with_file
    def show(path: Path | None, config_path: Path | None) -> None:
        """Print the names of the machine's public keys, the one in use first."""
        from services.mesh.sealing import load_keys

        for number, key in enumerate(load_keys(existing(path, config_path)).keys):
            click.echo(f"{key.id}{' (before; opens what is not sealed anew yet)' if number else ''}")

    @group.command()
    @click.argument("copy", type=click.Path(path_type=Path))
    @with_file
    def backup(copy: Path, path: Path | None, config_path: Path | None) -> None:
        """Copy the key file to COPY, which must not exist. Keep it apart from the copies of NATS's files."""
        from services.contracts.errors import ConflictError
        from services.mesh.authority import write_secret
        from services.mesh.sealing import load_keys

        found = existing(path, config_path)
        load_keys(found)
        if copy.exists():
            raise ConflictError(f"{copy} exists already; name a new file")
        write_secret(copy, found.read_text())
        click.echo(f"{copy}: put it in the place of {found} to use it again")

    @group.command(
        help=f"Make a new key. A running {service} seals everything to it within seconds and then forgets the old one."
    )
    @with_file
    def rotate(path: Path | None, config_path: Path | None) -> None:
        from services.mesh.sealing import rotate_keys

        found = existing(path, config_path)
        click.echo(f"now sealing to {rotate_keys(found).current.id}; {found} keeps the old key until nothing needs it")


_add_commands(ingest_key, "ingest", "PANTAU_INGEST_SECRETS_KEY, else ingest-secrets.key in PANTAU_DATA", _ingest_file)
_add_commands(registry_key, "registry", "registry-secrets.key in PANTAU_DATA", _registry_file)
