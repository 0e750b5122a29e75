"""A real small file system for tests that fill, take away or write-protect a disk.

A user who may not mount runs those tests in a user namespace, in a process that ``unshare`` starts, where one
may; where the kernel does not allow that either they are skipped, and say so.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

_SIZES = {"small_disk": ("4m",), "disk_pair": ("20m", "16m"), "common_disk": ("300m",)}
_WITHIN = ("unshare", "--map-root-user", "--mount")


def _mount(folder: Path | str, size: str) -> tuple[str, ...]:
    return "mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)


@cache
def _may_mount(*within: str) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        script = f"{' '.join(_mount(folder, '1m'))} && umount {folder}"
        try:
            return not subprocess.run([*within, "sh", "-c", script], capture_output=True, check=False).returncode
        except FileNotFoundError:
            return False


def _mounted(folder: Path, sizes: tuple[str, ...]) -> Iterator[list[Path]]:
    folders = [folder / f"disk-{number}" for number in range(len(sizes))]
    for each in folders:
        each.mkdir()
    if not _may_mount():  # the test's body runs elsewhere, see below
        if not _may_mount(*_WITHIN):
            pytest.skip("mounting a small file system needs root or user namespaces")
        yield folders
        return
    for each, size in zip(folders, sizes, strict=True):
        subprocess.run(_mount(each, size), check=True)
    yield folders
    for each in folders:
        while not subprocess.run(["umount", "-l", str(each)], capture_output=True, check=False).returncode:
            pass  # a test may have mounted more on it, or nothing be left


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 4 MB."""
    for (folder,) in _mounted(tmp_path, _SIZES["small_disk"]):
        yield folder


@pytest.fixture
def disk_pair(tmp_path: Path) -> Iterator[list[Path]]:
    """Two of 20 and of 16 MB."""
    yield from _mounted(tmp_path, _SIZES["disk_pair"])


@pytest.fixture
def common_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 300 MB for all that `pantau up` keeps."""
    for (folder,) in _mounted(tmp_path, _SIZES["common_disk"]):
        yield folder


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> object | None:
    """Runs a test that needs a disk of its own in a namespace where this process may not mount."""
    if _SIZES.keys().isdisjoint(pyfuncitem.fixturenames) or _may_mount():
        return None
    folder = tempfile.mkdtemp()
    ran = subprocess.run(
        [*_WITHIN, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--basetemp", f"{folder}/tests",
         pyfuncitem.nodeid],
        cwd=pyfuncitem.config.rootpath, env=os.environ, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if ran.returncode:
        pytest.fail(f"in a user namespace:\n{ran.stdout}{ran.stderr}", pytrace=False)
    return True
