"""``pantau ca``: certificates for the first day."""

from pathlib import Path

import click


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--host", "hosts", multiple=True, metavar="NAME",
    help="A name or an address that people and services reach this machine by; may be given several times. localhost, "
    "127.0.0.1 and the machine's own name are added.",
)  # fmt: skip
def ca(folder: Path, hosts: tuple[str, ...]) -> None:
    """Make a certificate for this machine in FOLDER, signed by a CA that is made there, too.

    For the first day, until you have certificates of a public or of the city's own CA. Install FOLDER/ca.pem in the
    browsers that open the wall; keep FOLDER/ca.key to yourself. Call it again (in a year at the latest) for a new
    certificate of the same CA: a running wall takes it by itself, nats-server after a restart.

    \b
    pantau ca /srv/pantau/tls --host wall.malang.example --host 192.0.2.10
    PANTAU_WALL_HTTPS_CERT=/srv/pantau/tls/server.pem PANTAU_WALL_HTTPS_KEY=/srv/pantau/tls/server.key   # HTTPS
    PANTAU_UP_NATS_CERT=… PANTAU_UP_NATS_KEY=… PANTAU_NATS_CA=/srv/pantau/tls/ca.pem                      # NATS of 'up'
    """
    from services.mesh.certificates import issue

    issued = issue(folder, hosts)
    click.echo(f"{issued.certificate} is good for {', '.join(issued.names)} until {issued.until:%Y-%m-%d}")
    click.echo(f"its key is {issued.key}; clients need {issued.ca}", err=True)
