"""``pantau up``."""

import ipaddress
import signal
import socket
from pathlib import Path

import click

from services.cli.config import Config, all_sections, config_option, load
from services.mesh.admin import PortTakenError
from services.mesh.forker import fork_template
from services.mesh.settings import SettingsError
from services.up.settings import UpSettings
from services.wall.children import RELAY_MODULES, relay_ports
from services.wall.relay.settings import RelaySettings
from services.wall.settings import HostPort, WallSettings, split_host_port

DEMO_CAMERAS = 16


@click.command()
@click.option(
    "--demo",
    is_flag=False,
    flag_value=DEMO_CAMERAS,
    default=0,
    type=click.IntRange(0, 2000),
    metavar="[N]",
    help=f"Add N simulated RTSP cameras ({DEMO_CAMERAS} where no number is given) and register them.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for recordings and state.  [default: PANTAU_DATA, else ~/.local/share/pantau (XDG_DATA_HOME)]",
)
@click.option(
    "--http",
    metavar="HOST:PORT",
    help="Where the wall listens; port 0: any free one.  [default: PANTAU_WALL_HTTP, else 127.0.0.1:8080]",
)
@config_option
def up(demo: int, data: Path | None, http: str | None, config_path: Path | None) -> None:
    """Run everything on this machine: nats-server, registry, ingest, recorder and wall, under one supervisor.

    Prints one line when the wall answers: its URL. Ctrl-C or SIGTERM stops all within five seconds, losing nothing
    recorded. With PANTAU_NATS_URL set, that nats-server is used and none is started here.

    Without accounts every user of this machine is the wall's administrator; addresses other than loopback need accounts
    (PANTAU_WALL_ACCOUNTS_FILE).
    """
    config = load(config_path)
    for section in all_sections():  # an error that a child would report is reported once, here, before anything starts
        config.section(section)
    listen = _listen(config, http)
    refuse_one_services_settings(config)
    from services.mesh.file_limit import raise_file_limit
    from services.mesh.log import configure

    raise_file_limit()
    configure("up", level=config.mesh.log_level, format=config.mesh.log_format)
    template = fork_template(RELAY_MODULES, signal.SIGTERM)  # before what this process alone needs
    from services.up.app import UpPlan, serve
    from services.up.folder import default_data

    mesh = config.mesh
    folder = data or (mesh.data if "data" in mesh.model_fields_set else default_data(config.environ))
    own = config.section(UpSettings)
    plan = UpPlan(
        settings=mesh.model_copy(update={"data": folder.absolute()}),
        embedded_nats="nats_url" not in mesh.model_fields_set,
        nats_host=own.nats_host,
        nats_port=own.nats_port,
        nats_certificate=own.nats_certificate,
        http_host=listen.host,
        http_port=listen.port,
        https=config.section(WallSettings).https is not None,
        relay_ports=relay_ports(config.section(WallSettings).relays, config.section(RelaySettings).udp_port),
        demo_cameras=demo,
        demo_story=own.demo_story,
        config=config_path,
        forked_modules=RELAY_MODULES,
    )
    serve(plan, template)


def _listen(config: Config, http: str | None) -> HostPort:
    """Where the wall shall listen, tried out; raises `SettingsError` or `PortTakenError` that says what to change."""
    wall = config.section(WallSettings)
    try:
        listen = split_host_port(http) if http else wall.listen
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--http") from error
    if not _is_loopback(listen.host) and wall.accounts_file is None:
        raise SettingsError(
            f"without accounts the wall listens on loopback only, and {listen.host} is not: "
            "make accounts with 'pantau accounts add' and name their file with PANTAU_WALL_ACCOUNTS_FILE, "
            "or leave --http at 127.0.0.1"
        )
    return HostPort(listen.host, _try_port(listen.host, listen.port))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _try_port(host: str, port: int) -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError as error:
            raise PortTakenError(
                f"cannot listen on {host}:{port}: {(error.strerror or str(error)).lower()}; "
                "stop the program that listens there, or choose another port with --http"
            ) from error
        return int(probe.getsockname()[1])


def refuse_one_services_settings(config: Config) -> None:
    """Raises `SettingsError` for settings that only one process can have."""
    for name, variable in (("admin_port", "PANTAU_ADMIN_PORT"), ("worker", "PANTAU_WORKER")):
        if name in config.mesh.model_fields_set:
            raise SettingsError(f"{name} ({variable}) is for one service by itself; pantau up gives each its own")
