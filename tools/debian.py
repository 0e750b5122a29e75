"""What only the system's package manager can bring."""

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

from tools.steps import Stop, run, say

TEST_PACKAGES = (
    "chromium",  # the browser that the tests drive
    "fonts-dejavu-core",  # and letters for it
    "firefox-esr",  # the other browser that control rooms have
    "gcc",  # builds the relay's send kernel
    "libc6-dev",
    "coturn",  # a TURN server, for viewers behind strict firewalls
    "ffmpeg",  # ffprobe, the judge of what is recorded
    "iproute2",  # network namespaces and loss
    "opencv-doc",  # real street footage
    # gst-rtsp-server: an RTSP server that nobody here wrote
    "gir1.2-gst-rtsp-server-1.0",
    "gir1.2-gstreamer-1.0",
    "gstreamer1.0-plugins-bad",
    "gstreamer1.0-plugins-base",
    "gstreamer1.0-plugins-good",
    "gstreamer1.0-plugins-ugly",
    "gstreamer1.0-rtsp",
    "python3-gi",
)


def ensure_ensurepip() -> None:
    """Debian's Python makes no virtual environments without a package of its own."""
    if importlib.util.find_spec("ensurepip") and importlib.util.find_spec("venv"):
        return
    _install([f"python{sys.version_info.major}.{sys.version_info.minor}-venv"], "to make a virtual environment")


def install_test_packages() -> None:
    """Installs those of `TEST_PACKAGES` that are missing."""
    if shutil.which("dpkg-query") is None:
        raise Stop(
            "the tests need programs that this script knows how to install on Debian alone. Install what corresponds "
            f"to {' '.join(TEST_PACKAGES)} and run the tests with: .venv/bin/python -m pytest"
        )
    missing = [name for name in TEST_PACKAGES if not _installed(name)]
    if not missing:
        return
    _install(missing, "for the tests")
    if "coturn" in missing and os.path.isdir("/run/systemd/system"):  # noqa: PTH112 (the test of sd_booted(3))
        say("switching off the coturn service that the package has started: the tests run their own")
        run([*_as_root(), "systemctl", "disable", "--now", "coturn"])


def _installed(package: str) -> bool:
    answer = subprocess.run(
        ["dpkg-query", "--show", "--showformat=${db:Status-Status}", package],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return answer.stdout == "installed"


def _as_root() -> list[str]:
    if os.geteuid() == 0:
        return []
    # With nobody there to type a password sudo must not ask for one.
    asks = sys.stdin is not None and sys.stdin.isatty()
    return ["sudo"] if asks else ["sudo", "--non-interactive"]


def _install(packages: Sequence[str], why: str) -> None:
    by_hand = f"install them as root, then run make again: apt-get install {' '.join(packages)}"
    if shutil.which("apt-get") is None:
        raise Stop(f"needed {why}, and there is no apt-get here; {by_hand}")
    if os.geteuid() != 0 and shutil.which("sudo") is None:
        raise Stop(f"needed {why}: {' '.join(packages)}. You are not root and there is no sudo; {by_hand}")
    say(f"installing {why}, with apt-get: {' '.join(packages)}")
    environment = ["env", "DEBIAN_FRONTEND=noninteractive"]
    quiet = ["-o=Dpkg::Use-Pty=0", "--quiet=2"]
    try:
        run([*_as_root(), *environment, "apt-get", *quiet, "update"], quietly=True)
        install = ["--yes", "--no-install-recommends", "install", *packages]
        run([*_as_root(), *environment, "apt-get", *quiet, *install], quietly=True)
    except Stop as stop:
        raise Stop(f"{stop}\npantau: {by_hand}") from None
