"""What commands share that change accounts of nats-server with the keys of NATS."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from services.cli.config import config_option, load

if TYPE_CHECKING:
    from services.mesh.authority import Authority
    from services.mesh.settings import MeshSettings


def keys_option(command: Callable[..., None]) -> Callable[..., None]:
    """Adds ``--authority`` and ``--config``, as ``authority`` and ``config_path``."""
    authority = click.option(
        "--authority", type=click.Path(path_type=Path, file_okay=False),
        help="The folder of NATS's keys.  [default: nats/authority in PANTAU_DATA, or in pantau up's own folder]",
    )  # fmt: skip
    return config_option(authority(command))


def open_keys(command: str, folder: Path | None, config_path: Path | None) -> "tuple[Authority, MeshSettings]":
    """The keys in ``folder``, and the settings with the nats-server that they are for; ``command`` is the log's.

    Raises `AuthorityError`.
    """
    from services.mesh.authority import Authority
    from services.mesh.log import configure
    from services.up.folder import default_data

    config = load(config_path)
    mesh = config.mesh
    configure(command, level="error", format=mesh.log_format)
    if folder is None:
        data = mesh.data if "data" in mesh.model_fields_set else default_data(config.environ)
        folder = data / "nats" / "authority"
    authority = Authority.existing(folder, mesh.site)
    return authority, authority.reach(mesh)
