"""A suite that can run nothing ends at once, and says why."""

from pathlib import Path

import pytest

from services.mesh import nats_server
from tests import preflight
from tests.browser import chromium


def broken(folder: Path) -> str:
    """A program that ends at once."""
    path = folder / "broken"
    path.write_text("#!/bin/sh\necho no such library\nexit 1\n")
    path.chmod(0o755)
    return str(path)


def test_a_nats_server_that_does_not_start_ends_the_session_with_its_last_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nats_server, "binary", lambda: broken(tmp_path))
    with pytest.raises(pytest.exit.Exception, match="nats-server ended at once: no such library") as ended:
        preflight.check_nats()
    assert ended.value.returncode == preflight.EXIT_STATUS


def test_a_chromium_that_does_not_start_ends_the_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chromium, "executable", lambda: broken(tmp_path))
    with pytest.raises(pytest.exit.Exception, match="Chromium does not start here"):
        preflight.check_chromium()


def test_a_nats_server_that_starts_lets_the_session_go_on() -> None:
    # passes if nothing raises
    preflight.check_nats()  # passes if nothing raises
