"""The demo's cameras on their way from the simulator into the catalogue."""

import json
import socket
from contextlib import suppress
from pathlib import Path

from services.mesh.models import Camera, Credentials, Profile
from services.up.demo import read_catalogue, sim_arguments


def test_the_simulators_file_becomes_what_the_registry_is_asked() -> None:
    camera = Camera(
        id="cam-001", site="city", name="Alun-alun", profiles={"main": Profile(url="rtsp://h/1")}, has_credentials=True
    )
    user = Credentials(username="operator", password="pantau")
    entry = {**camera.model_dump(mode="json"), "credentials": user.model_dump(mode="json")}
    (read,) = read_catalogue(json.dumps([entry]))
    assert (read.id, read.name, read.credentials) == ("cam-001", "Alun-alun", user)


def test_a_taken_port_is_not_asked_for() -> None:
    with socket.socket() as taken:
        with suppress(OSError):  # somebody else has it: as good
            taken.bind(("127.0.0.1", 8554))
        taken.listen()
        arguments = sim_arguments(16, Path("cameras.json"))
    assert arguments[:2] == ["--cameras", "16"]
    assert arguments[arguments.index("--port") + 1] not in ("8554", "0")
