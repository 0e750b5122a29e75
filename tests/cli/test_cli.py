"""The `pantau` command: complete help, quick start, one line for an expected failure."""

import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import services
from services.cli import COMMANDS, pantau
from services.cli.config import all_sections

PROMISED = {"up", "registry", "ingest", "recorder", "wall", "sim", "cameras", "export", "verify", "fsck", "agency"}


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "services.cli", *arguments],
        env={"PATH": "/usr/bin:/bin", **environ}, capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip


def test_every_promised_command_is_there() -> None:
    assert set(COMMANDS) >= PROMISED


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_and_each_of_its_options(name: str) -> None:
    result = CliRunner().invoke(pantau, [name, "--help"])
    assert result.exit_code == 0, result.output
    context = click.Context(pantau)
    command = pantau.get_command(context, name)
    assert command is not None
    assert command.help
    commands = list(command.commands.values()) if isinstance(command, click.Group) else [command]
    for each in commands:
        assert each.help, each.name
        for option in each.params:
            if isinstance(option, click.Option):
                assert option.help, f"{name} {each.name} {option.name}"


def test_the_version_is_the_packages() -> None:
    assert run("--version").stdout == f"pantau {services.__version__}\n"


def test_the_list_of_commands_imports_none_of_them() -> None:
    code = (
        "import sys; sys.argv = ['pantau', '--help']\n"
        "from services.cli import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print(sorted(name for name in ('pydantic', 'av', 'aiohttp', 'nats', 'aiortc') if name in sys.modules))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.endswith("[]\n")


@pytest.mark.parametrize("service", ["registry", "ingest", "recorder", "wall"])
def test_an_unknown_setting_is_refused_by_name_whatever_the_service(service: str, tmp_path: Path) -> None:
    result = run(service, PANTAU_RECORDER_DIRECTORY="/x")
    assert result.returncode == 1
    assert result.stderr.startswith("pantau: unknown settings: PANTAU_RECORDER_DIRECTORY;")
    file = tmp_path / "pantau.toml"
    file.write_text("[wal]\nhttp = 'x'\n")
    assert "unknown settings: [wal]" in run(service, "--config", str(file)).stderr
    assert "unknown settings: [wal]" in run(service, PANTAU_CONFIG=str(file)).stderr


def test_no_two_sections_disagree_about_a_shared_setting() -> None:
    defaults: dict[str, object] = {}
    for section in all_sections():
        for variable, name in section.variables().items():
            default = section.model_fields[name].get_default(call_default_factory=True, validated_data={})
            assert defaults.setdefault(variable, default) == default, variable


def test_settings_can_be_read_where_only_the_core_is_installed() -> None:
    code = (
        "import sys\n"
        "class Extras:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in {'av', 'numpy', 'PIL', 'aiortc', 'aioice', 'pylibsrtp', 'obstore'}:\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Extras())\n"
        "from services.cli.config import all_sections\n"
        "print(len(all_sections()))"
    )
    assert int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout) >= 6
