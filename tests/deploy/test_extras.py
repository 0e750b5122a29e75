"""An image has one extra installed and nothing else: each service is imported whole with all other packages hidden."""

import asyncio
import importlib.metadata
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from services.contracts.evidence.statement import public_hex
from tests.footage.evidence import made

HIDE = """
    import importlib.metadata, pkgutil, sys

    allowed = set({allowed!r})
    owners = importlib.metadata.packages_distributions()

    class Hide:
        def find_spec(self, name, path=None, target=None):
            top = name.partition(".")[0]
            if top in owners and not {{owner.lower().replace("_", "-") for owner in owners[top]}} & allowed:
                raise ModuleNotFoundError(f"{{name}} is of {{owners[top]}}, which is not installed in this image")

    sys.meta_path.insert(0, Hide())
    for name in {packages!r}:
        package = __import__(name, fromlist=["_"])
        for module in pkgutil.walk_packages(package.__path__, f"{{name}}."):
            __import__(module.name)
    from services.cli import pantau
    pantau({command!r}, standalone_mode=False)
"""


def closure(extra: str) -> set[str]:
    """The distributions that ``pip install 'pantau[extra]'`` gives, by their normalized names."""
    found: set[str] = set()
    waiting = [("pantau", extra)]
    while waiting:
        name, wanted = waiting.pop()
        found.add(name)
        for line in importlib.metadata.requires(name) or ():
            requirement = Requirement(line)
            normalized = requirement.name.lower().replace("_", "-")
            if requirement.marker is not None and not requirement.marker.evaluate({"extra": wanted}):
                continue
            waiting += [(normalized, each) for each in requirement.extras or {""} if normalized not in found]
    return found


@pytest.mark.parametrize(
    ("extra", "packages", "command"),
    [
        ("", ["services.media", "services.contracts", "services.mesh", "services.footage"], ["verify", "--help"]),
        ("registry", ["services.registry"], ["registry", "--help"]),
        ("ingest", ["services.ingest"], ["ingest", "--help"]),
        ("recorder", ["services.recorder"], ["recorder", "--help"]),
        ("wall", ["services.wall"], ["wall", "--help"]),
        ("sim", ["services.sim"], ["sim", "--help"]),
    ],
)
def test_an_extra_brings_all_that_its_service_imports(extra: str, packages: list[str], command: list[str]) -> None:
    script = textwrap.dedent(HIDE.format(allowed=sorted(closure(extra)), packages=packages, command=command))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Usage:" in done.stdout


def test_what_is_hidden_is_missed() -> None:
    """The other way round: without its extra the simulator cannot be imported."""
    script = textwrap.dedent(HIDE.format(allowed=sorted(closure("")), packages=["services.sim"], command=["--help"]))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode != 0
    assert "not installed in this image" in done.stderr


async def test_a_bundle_verifies_where_nothing_but_the_core_is_installed(tmp_path: Path) -> None:
    camera, contents = made.two_segments()
    await made.write(tmp_path / "bundle.zip", [camera], contents)
    command = ["verify", str(tmp_path / "bundle.zip"), "--key", public_hex(made.KEY)]
    script = textwrap.dedent(HIDE.format(allowed=sorted(closure("")), packages=[], command=command))
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, "intact:" in done.stdout) == (0, True), done.stdout + done.stderr
