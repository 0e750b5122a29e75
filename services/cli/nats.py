"""``pantau nats``: the keys and the configuration of a nats-server that is not pantau up's own."""

import os
from pathlib import Path

import click

from services.cli.config import config_option, load


@click.group()
def nats() -> None:
    """Make the keys, the users and the configuration of a nats-server for this mesh.

    'pantau up' does the same for its own nats-server at every start, in nats/authority of its data folder.
    """


@nats.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--store", default="/data", show_default=True, help="Where nats-server keeps its data, as it sees it.")
@click.option("--host", default="0.0.0.0", show_default=True, help="Where nats-server listens.")  # noqa: S104 (in a container)
@click.option("--port", default=4222, show_default=True, type=click.IntRange(1, 65535), help="Its port.")
@click.option("--cert", type=click.Path(path_type=Path), help="Its certificate (PEM), as nats-server sees the file.")
@click.option("--key", type=click.Path(path_type=Path), help="The certificate's private key.")
@click.option(
    "--owner", type=click.IntRange(0), metavar="UID",
    help="Give the creds files to this user: in the shipped images 10001. Takes root.",
)  # fmt: skip
@click.option(
    "--adopt", type=click.Path(path_type=Path, file_okay=False, exists=True), metavar="DIR",
    help="JetStream's folder of a mesh that had one password (it has jetstream/CITY or jetstream/$G): what is kept "
    "there becomes this mesh's. Stop nats-server first.",
)  # fmt: skip
@config_option
def init(
    folder: Path,
    store: str,
    host: str,
    port: int,
    cert: Path | None,
    key: Path | None,
    owner: int | None,
    adopt: Path | None,
    config_path: Path | None,
) -> None:
    """Make in FOLDER the keys of a mesh, a creds file for each service, and nats.conf.

    \b
    FOLDER/nats.conf              start nats-server with it; no secret stands in it
    FOLDER/creds/<service>.creds  give each service its own: PANTAU_NATS_CREDS=…/recorder.creds
    FOLDER/creds/admin.creds      for a person with the nats command (--inbox-prefix _INBOX.admin)
    FOLDER/operator.nk, accounts/ the keys; keep them off nats-server's machine, and keep a copy

    Call it again after every update of Pantau: keys stay, and creds and nats.conf are made as the new version needs
    them. Then hand out the creds, and restart nats-server and the services.
    """
    from services.mesh.authority import CITY, Authority, write_secret
    from services.mesh.nats_server import adopt_store, config

    if (cert is None) != (key is None):
        raise click.UsageError("--cert and --key go together")
    settings = load(config_path).mesh
    authority = Authority.open(folder, settings.site)
    text = config(
        Path(store) / "jetstream",
        host=host,
        port=port,
        monitoring="127.0.0.1:8222",
        certificate=(cert, key) if cert and key else None,
        more=authority.server_lines(str(Path(store) / "accounts")),
    )
    write_secret(folder / "nats.conf", text)
    (folder / "nats.conf").chmod(0o644)
    if "nats_url" in settings.model_fields_set:
        authority.note_server(settings.nats_url, settings.nats_ca)
    if adopt is not None and adopt_store(adopt, authority.account_key(CITY).public):
        click.echo(f"what {adopt} keeps is this mesh's now")
    if owner is not None:
        for path in (folder / "creds").glob("*.creds"):
            os.chown(path, owner, -1)
    click.echo(f"{folder / 'nats.conf'} and the creds in {folder / 'creds'} are for the site {settings.site}")
