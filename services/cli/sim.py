"""``pantau sim``."""

import sys
from pathlib import Path
from typing import Any

import click

from services.cli.config import config_option, load
from services.mesh.settings import SettingsError
from services.sim.faults import Fault
from services.sim.settings import SimSettings
from services.sim.specs import PRESETS


@click.command()
@click.option("--cameras", type=int, metavar="N", help="How many: cam-001, cam-002, …  [default: 16]")
@click.option("--profile", type=click.Choice(list(PRESETS)), help="What they send.  [default: city]")
@click.option(
    "--scenes", type=int, metavar="N", help="Share N scenes' clips between all cameras: for hundreds of them."
)
@click.option(
    "--marker/--no-marker",
    default=None,
    help="Paint a band into the pictures that tells camera and frame number: tests read it.  [default: painted]",
)
@click.option("--host", help="Where RTSP listens.  [default: 127.0.0.1]")
@click.option("--port", type=int, help="The RTSP port; 0: any free one.  [default: 8554]")
@click.option("--own-ports", is_flag=True, default=None, help="A port for each camera, counting up from --port.")
@click.option(
    "--auth", type=click.Choice(["none", "basic", "digest", "both"]), help="What is asked for.  [default: none]"
)
@click.option("--username", help="Who may watch; the password is PANTAU_SIM_PASSWORD.  [default: operator]")
@click.option("--cache", type=click.Path(path_type=Path, file_okay=False), help="Where clips are kept once encoded.")
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="CAMERA[/main|sub]=FAULT[:VALUE]",
    help=f"Begin with a fault; CAMERA may be *. Faults: {', '.join(Fault)}.",
)
@click.option(
    "--catalogue",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the cameras to this file (JSON, with their credentials) when they can be reached.",
)
@config_option
def sim(config_path: Path | None, catalogue: Path | None, **options: Any) -> None:
    """Run simulated RTSP cameras: rtsp://HOST:PORT/cam-001/main and /sub, and so on.

    Pictures are encoded at the first start (about a second and a half per camera) and kept in a cache. Prints one JSON
    line when it listens; faults can be switched at run time on the admin port (POST /cameras/CAMERA/faults).
    """
    from pydantic import ValidationError

    from services.sim import app

    config = load(config_path)
    given = {name: value for name, value in options.items() if value not in (None, ())}
    base = config.section(SimSettings)
    try:
        settings = SimSettings.model_validate({**base.model_dump(), **given})
    except ValidationError as error:
        raise SettingsError("; ".join(f"--{each['loc'][0]}: {each['msg']}" for each in error.errors())) from error
    sys.exit(app.main(config.mesh, settings, catalogue))
