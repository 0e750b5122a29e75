"""The demo's simulator; tests/integration/test_up.py has its cameras in the catalogue."""

import socket
from contextlib import suppress
from pathlib import Path

from services.up.demo import sim_arguments


def test_a_taken_port_is_not_asked_for() -> None:
    with socket.socket() as taken:
        with suppress(OSError):  # somebody else has it: as good
            taken.bind(("127.0.0.1", 8554))
        taken.listen()
        arguments = sim_arguments(16, Path("cameras.json"))
    assert arguments[:2] == ["--cameras", "16"]
    assert arguments[arguments.index("--port") + 1] not in ("8554", "0")
