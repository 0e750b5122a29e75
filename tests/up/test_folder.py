"""The data folder: its default, and that one `pantau up` at a time uses it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from services.up.folder import DataInUseError, FolderLock, UpError, default_data


def test_the_default_is_the_users_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home-of/siti")
    assert default_data({}) == Path("/home-of/siti/.local/share/pantau")
    assert default_data({"XDG_DATA_HOME": "/data"}) == Path("/data/pantau")
    assert default_data({"XDG_DATA_HOME": "relative"}) == Path("/home-of/siti/.local/share/pantau")


def test_a_second_one_is_refused_by_the_first_ones_number(tmp_path: Path) -> None:
    first, second = FolderLock(tmp_path), FolderLock(tmp_path)
    first.acquire()
    with pytest.raises(DataInUseError, match=rf"in use by another pantau up \(process {os.getpid()}\)"):
        second.acquire()
    first.release()
    second.acquire()
    second.release()


def test_the_folder_is_free_only_when_the_last_child_of_a_killed_parent_has_ended(tmp_path: Path) -> None:
    parent = (
        "import subprocess, sys, os; from pathlib import Path; from services.up.folder import FolderLock\n"
        "lock = FolderLock(Path(sys.argv[1])); lock.acquire()\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], "
        "pass_fds=(lock.descriptor,), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)\n"
        "print(child.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    died = subprocess.run([sys.executable, "-c", parent, str(tmp_path)], capture_output=True, text=True, check=False)
    child = int(died.stdout)
    lock = FolderLock(tmp_path)
    try:
        with pytest.raises(DataInUseError):
            lock.acquire(patience_seconds=0.3)
    finally:
        os.kill(child, 9)
    lock.acquire(patience_seconds=60)
    lock.release()


def test_a_folder_that_cannot_be_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UpError, match="choose another with --data"):
        FolderLock(tmp_path / "file" / "data").acquire()
