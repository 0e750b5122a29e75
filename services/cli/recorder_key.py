"""``pantau recorder-key``: the key that a recorder signs with."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click

from services.cli.config import config_option, load


def _with_directories(command: Callable[..., None]) -> Callable[..., None]:
    """Options that name the data directories; the first one has the key."""
    data = click.option(
        "--data", type=click.Path(path_type=Path), multiple=True,
        help="Data directory, the first one first; default: those of the settings.",
    )  # fmt: skip
    return config_option(data(command))


@click.group("recorder-key")
def recorder_key() -> None:
    """Keep, restore and change the key that a recorder signs its footage with.

    The commands that change it need the recorder to be stopped. Exit status: 0 done, 1 refused.
    """


@recorder_key.command()
@_with_directories
def show(config_path: Path | None, data: tuple[Path, ...]) -> None:
    """Print the public key, and those before it; each line can be given to pantau verify --key."""
    from services.recorder.storage.key import read_key, read_keys

    with _told():
        first = _directories(config_path, data)[0]
        signer = read_key(first)
        now = signer.public if signer else ""
        for public in ([now] if now else []) + sorted(read_keys(first) - {now}):
            click.echo(f"{public}{'' if public == now else ' (before)'}")


@recorder_key.command()
@click.argument("file", type=click.Path(path_type=Path))
@_with_directories
def backup(file: Path, config_path: Path | None, data: tuple[Path, ...]) -> None:
    """Copy the private key to FILE, which must not exist. Keep it where no recording is, and nobody else reads it."""
    from services.recorder.storage.key import back_up

    with _told():
        click.echo(f"{file}: the key {back_up(_directories(config_path, data)[0], file).public}")


@recorder_key.command()
@click.argument("file", type=click.Path(path_type=Path))
@_with_directories
def restore(file: Path, config_path: Path | None, data: tuple[Path, ...]) -> None:
    """Use the key in FILE again, which `backup` wrote."""
    from services.recorder.storage import key

    with _told(), _stopped(_directories(config_path, data)) as directories:
        click.echo(f"now signing with {key.restore(directories, file).public}")


@recorder_key.command()
@_with_directories
def rotate(config_path: Path | None, data: tuple[Path, ...]) -> None:
    """Make a new key. What the old one signed stays verifiable; the old private key is gone."""
    from services.recorder.storage import key

    with _told(), _stopped(_directories(config_path, data)) as directories:
        click.echo(f"now signing with {key.rotate(directories).public}")


@recorder_key.command()
@_with_directories
def lost(config_path: Path | None, data: tuple[Path, ...]) -> None:
    """Make a new key for one that is gone or damaged, and of which there is no backup."""
    from services.recorder.storage import key

    with _told(), _stopped(_directories(config_path, data)) as directories:
        click.echo(f"now signing with {key.replace_lost(directories).public}")


@recorder_key.command()
@click.argument("public")
@_with_directories
def trust(public: str, config_path: Path | None, data: tuple[Path, ...]) -> None:
    """Take the public key PUBLIC for one that this recorder had, where its data folder does not know that any more."""
    from services.recorder.storage.key import remember_keys

    if len(public) != 64 or not set(public.lower()) <= set("0123456789abcdef"):
        raise click.BadParameter("is not 64 hexadecimal digits", param_hint="PUBLIC")
    with _told():
        for directory in _directories(config_path, data):
            remember_keys(directory, public.lower(), strict=True)


def _directories(config_path: Path | None, data: tuple[Path, ...]) -> Sequence[Path]:
    from services.recorder.settings import RecorderSettings

    if data:
        return data
    config = load(config_path)
    return config.section(RecorderSettings).directories or (config.mesh.data,)


@contextmanager
def _stopped(directories: Sequence[Path]) -> Iterator[Sequence[Path]]:
    """The directories, while no recorder can start on them."""
    import os

    from services.recorder.storage.identity import lock

    with ExitStack() as stack:
        for directory in directories:
            stack.callback(os.close, lock(directory))
        yield directories


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        click.echo(f"pantau: {error}", err=True)
        sys.exit(1)
