"""Reads the settings for the commands: the environment over the file of ``--config``."""

import importlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from services.mesh.settings import MeshSettings, Section, read_file, refuse_unknown

S = TypeVar("S", bound=Section)
F = TypeVar("F", bound=Callable[..., Any])

SECTION_MODULES: Final = (
    "services.registry.settings",
    "services.ingest.settings",
    "services.recorder.settings",
    "services.recorder.archive.settings",
    "services.wall.settings",
    "services.wall.relay.settings",
    "services.sim.settings",
    "services.up.settings",
)
"""Their `Section` subclasses are all settings. These modules import the core's dependencies only, so every command can
read all settings."""


def all_sections() -> tuple[type[Section], ...]:
    """The mesh's section, then each service's."""
    sections: list[type[Section]] = [MeshSettings]
    for name in SECTION_MODULES:
        module = importlib.import_module(name)
        sections += [
            value
            for value in vars(module).values()
            if isinstance(value, type) and issubclass(value, Section) and value.__module__ == name
        ]
    return tuple(sections)


@dataclass(frozen=True)
class Config:
    """The environment and the parsed file; `load` has refused unknown names in both."""

    environ: Mapping[str, str]
    file: Mapping[str, Any]
    path: Path | None

    def section(self, cls: type[S]) -> S:
        """One section; raises `SettingsError` that names each invalid value."""
        return cls.load(self.environ, self.file)

    @property
    def mesh(self) -> MeshSettings:
        """The settings that every service needs."""
        return self.section(MeshSettings)


def load(path: Path | None) -> Config:
    """Reads the settings; raises `SettingsError` that names every unknown one."""
    config = Config(os.environ, read_file(path), path)
    refuse_unknown(all_sections(), config.environ, config.file)
    return config


def config_option(command: F) -> F:
    """Adds ``--config FILE`` (``PANTAU_CONFIG``), handed on as ``config_path``."""
    return click.option(
        "--config",
        "config_path",
        envvar="PANTAU_CONFIG",
        type=click.Path(path_type=Path, dir_okay=False),
        help="TOML file with settings; PANTAU_* environment variables go before it.  [env: PANTAU_CONFIG]",
    )(command)
