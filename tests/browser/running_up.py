"""`pantau up --demo`, as a user starts it: its URL, and what a test may do to its processes."""

import json
import os
import re
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.request import Request, urlopen

from tests.processes import command_line, descendants

START_SECONDS = 90.0
IN_TROUBLE = 2
"""Cameras of the demo's story."""


class Running(NamedTuple):
    """A running Pantau."""

    url: str
    pid: int
    data: Path

    def api(self, path: str, method: str = "GET", body: object = None) -> Any:
        """One request to ``/api/v1`` and its JSON answer, if it has one."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", "Origin": self.url}
        with urlopen(Request(f"{self.url}/api/v1{path}", data, headers, method=method), timeout=60) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def relays(self) -> list[int]:
        """Process ids of the relays."""
        return [pid for pid in descendants(self.pid) if "--role relay" in command_line(pid)]

    def log(self) -> list[dict[str, Any]]:
        """What it and its children have logged."""
        lines = (self.data / "log").read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{") and '"event"' in line]

    def child(self, name: str) -> int:
        """Process id of a child that `pantau up` supervises, or of ``nats``."""
        started = [line for line in self.log() if line["event"] in ("child.started", "nats.started")]
        pids: dict[str, int] = {line.get("child", "nats"): line["pid"] for line in started}
        return pids[name]

    def online(self) -> list[str]:
        """The cameras that are online, as the API says it."""
        states = {camera["id"]: camera["state"] or {} for camera in self.api("/cameras")["cameras"]}
        return [camera for camera, state in states.items() if state.get("status") == "online"]

    @contextmanager
    def fault(self, camera: str, fault: str) -> Iterator[None]:
        """A simulated camera's trouble (services/sim/faults.py), until the end of the block."""
        url = f"{self._sim_url()}/cameras/{camera}/faults"
        urlopen(Request(url, json.dumps({"fault": fault}).encode()), timeout=60).close()
        try:
            yield
        finally:
            urlopen(Request(url, method="DELETE"), timeout=60).close()

    def frames_not_sent(self) -> int:
        """Frames that the simulated cameras have not sent: they were too slow, or a client did not read."""
        metrics = urlopen(f"{self._sim_url()}/metrics", timeout=60).read().decode()
        counted = re.findall(r"^pantau_sim_frames_(?:dropped|skipped) (\S+)$", metrics, re.MULTILINE)
        assert len(counted) == 2, metrics
        return round(sum(map(float, counted)))

    def _sim_url(self) -> str:
        (port,) = {line["control_port"] for line in self.log() if line["event"] == "sim.listening"}
        return f"http://127.0.0.1:{port}"


@contextmanager
def running_up(data: Path, demo: int, **settings: str) -> Iterator[Running]:
    """As `starting_up`, with cameras that are all online. With the demo's story two are in trouble."""
    well = demo - IN_TROUBLE if settings.get("PANTAU_UP_DEMO_STORY") == "true" else demo
    with starting_up(data, demo, **settings) as running:
        _wait_for_cameras(running, well)
        yield running


@contextmanager
def starting_up(data: Path, demo: int, **settings: str) -> Iterator[Running]:
    """Starts it on free ports with ``demo`` cameras, tells it when its URL is there, and ends it with SIGTERM.

    ``settings`` are variables of its environment.
    """
    command = [
        sys.executable,
        "-m",
        "services.cli",
        "up",
        f"--demo={demo}",
        "--data",
        str(data),
        "--http",
        "127.0.0.1:0",
    ]
    environment = {**os.environ, "PANTAU_WALL_UDP_PORT": "0", "PANTAU_SIM_PORT": "0", "PANTAU_SIM_MARKER": "true"}
    environment |= {"PANTAU_UP_DEMO_STORY": "false", **settings}
    data.mkdir(parents=True, exist_ok=True)
    with (data / "log").open("wb") as log, subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True
    ) as process:  # fmt: skip
        try:
            yield Running(_url(process, data / "log"), process.pid, data)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(90)


def _url(process: "subprocess.Popen[str]", log: Path) -> str:
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        if not selector.select(START_SECONDS):
            raise AssertionError(f"no URL after {START_SECONDS} s; the log ends with\n{log.read_text()[-3000:]}")
    line = process.stdout.readline().strip()
    assert line.startswith("http://"), f"{line!r} is no URL; the log ends with\n{log.read_text()[-3000:]}"
    return line.rstrip("/")


def _wait_for_cameras(running: Running, count: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        cameras = running.api("/cameras")["cameras"]
        states = [(camera["state"] or {}).get("status") for camera in cameras]
        if states.count("online") >= count:
            return
        time.sleep(0.5)
    raise AssertionError(f"not all {count} cameras are online after {START_SECONDS} s: {states}")
