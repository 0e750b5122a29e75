"""Installs what a ``make`` target needs, and only what is missing: the first thing that runs on a fresh machine.

Needs Python 3.11 and nothing else; says each step that takes time. The second time it only compares stamps.
"""

import hashlib
import os
import sys
import tomllib
from collections.abc import Iterable

from services.ingest.kernel import build as receive_kernel
from services.mesh.kernel import build as media_kernel
from services.wall.relay.kernel import build as send_kernel
from tools import debian, node
from tools.steps import ROOT, VENV, Stamp, Stop, run, say

TARGETS = {
    "run": ("python", "kernel", "web"),
    "web": ("web",),
    "lint": ("python", "dev", "node_modules"),
    "test": ("python", "dev", "web", "packages", "kernel"),
    "bench": ("python", "dev", "web", "packages", "kernel"),
}


def make_venv() -> None:
    """The virtual environment at the repository's root."""
    if (VENV / "bin" / "python").exists():
        return
    debian.ensure_ensurepip()
    say(f"making {VENV.name} with {sys.executable}")
    run([sys.executable, "-m", "venv", str(VENV)])


def install_python(group: str | None) -> None:
    """Pantau itself with all extras, or one of its dependency groups, into the virtual environment."""
    make_venv()
    pyproject = (ROOT / "pyproject.toml").read_bytes()
    stamp = Stamp(f"python-{group or 'all'}", hashlib.sha256(pyproject + sys.version.encode()))
    if stamp.fresh() and (VENV / "bin" / "pantau").exists():
        return
    pip = [str(VENV / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if group is None:
        say("installing Pantau and the Python packages it needs")
        run([*pip, "--editable", f"{ROOT}[all]"])
    else:
        say(f"installing the Python packages of the group '{group}'")
        run([*pip, *tomllib.loads(pyproject.decode())["dependency-groups"][group]])
    stamp.write()


def build_kernels() -> None:
    """The kernels, where there is a C compiler; without them Python does the same."""
    for kernel, name, loss in (
        (send_kernel, "the relay's send kernel", "relays will take twice the CPU time"),
        (receive_kernel, "ingest's receive kernel", "ingest will take twice the CPU time"),
        (media_kernel, "the media kernel", "recorders will take a tenth more CPU time"),
    ):
        if kernel.is_fresh():
            continue
        say(f"building {name}")
        if trouble := kernel.try_build():
            print(f"pantau: {loss}: {trouble}", flush=True)


def bootstrap(steps: Iterable[str]) -> None:
    """Carries out ``steps`` in order."""
    for step in steps:
        match step:
            case "python":
                install_python(None)
            case "dev":
                install_python("dev")
            case "packages":
                debian.install_test_packages()
            case "kernel":
                build_kernels()
            case "node_modules":
                make_venv()
                node.install_modules()
            case "web":
                make_venv()
                node.build_app()


def main() -> int:
    """Returns the exit status."""
    if len(sys.argv) != 2 or sys.argv[1] not in TARGETS:
        return _stop(f"usage: bootstrap.py {'|'.join(TARGETS)}")
    os.chdir(ROOT)
    try:
        bootstrap(TARGETS[sys.argv[1]])
    except Stop as stop:
        return _stop(str(stop))
    except KeyboardInterrupt:
        return 130
    return 0


def _stop(message: str) -> int:
    print(f"pantau: {message}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
