"""The demo's simulator; tests/integration/test_up.py has its cameras in the catalogue."""

import asyncio
import socket
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from services.contracts.catalogue import ImportReport, ImportRow, RowProblem
from services.contracts.errors import NobodyThereError, UnavailableError
from services.up import demo, story
from services.up.demo import _ready, sim_arguments, until_answered


def test_a_taken_port_is_not_asked_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert port_of({"PANTAU_SIM_PORT": port}) not in (port, "0")


def test_the_simulator_has_as_many_cameras_as_were_asked_for() -> None:
    assert sim_arguments(16, Path("cameras.json"), {})[:2] == ["--cameras", "16"]


def test_a_port_that_is_named_is_taken_and_0_is_any_but_the_usual() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert port_of({"PANTAU_SIM_PORT": str(port)}) == str(port)
    assert port_of({"PANTAU_SIM_PORT": "0"}) not in ("8554", "0")


def port_of(environ: dict[str, str]) -> str:
    arguments = sim_arguments(1, Path("cameras.json"), environ)
    return arguments[arguments.index("--port") + 1]


def test_people_see_streets_and_tests_that_ask_for_it_the_band() -> None:
    assert "--no-marker" in sim_arguments(16, Path("cameras.json"), {"PANTAU_SIM_PORT": "0"})
    asked = {"PANTAU_SIM_PORT": "0", "PANTAU_SIM_MARKER": "true"}
    assert "--no-marker" not in sim_arguments(16, Path("cameras.json"), asked)


async def test_a_registry_that_is_away_for_a_moment_ends_no_demo() -> None:
    answers: list[Exception | None] = [NobodyThereError("ended"), UnavailableError("late"), None]

    async def ask() -> None:
        if answer := answers.pop(0):
            raise answer

    await until_answered(ask)
    assert answers == []


async def test_a_camera_that_the_store_does_not_take_for_a_moment_is_asked_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    codes: list[RowProblem] = ["unavailable", "invalid"]
    asked: list[object] = []

    async def call(*question: object, **_more: object) -> ImportReport:
        asked.append(question)
        row = ImportRow(row=1, id="cam-001", result="refused", code=codes[len(asked) - 1])
        return ImportReport(dry_run=False, added=0, updated=0, unchanged=0, refused=1, rows=(row,))

    monkeypatch.setattr(demo, "call", call)
    bus: Any = None
    await until_answered(partial(demo._register, bus, "city", [{"id": "cam-001"}]))
    assert len(asked) == len(codes)


@pytest.mark.parametrize(
    ("said", "ready"),
    [
        (b'200 OK\r\n\r\n[{"id": "cam-001", "profiles": {"main": {"ready": true}}}]', ["cam-001"]),
        (b"500 Internal Server Error\r\n\r\n500 Internal Server Error", []),
        (b'200 OK\r\nContent-Length: 99\r\n\r\n[{"id": "cam-0', []),
    ],
)
async def test_a_simulator_that_fails_or_ends_while_it_answers_ends_no_demo(said: bytes, ready: list[str]) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 " + said)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        assert await _ready(server.sockets[0].getsockname()[1]) == ready


def test_a_demo_has_a_past_unless_it_is_small_or_its_owner_says_otherwise() -> None:
    assert story.recorder_environment(8, {"A": "b"}) == {"A": "b", "PANTAU_RECORDER_DEMO_HOURS": "3"}
    assert story.recorder_environment(7, {}) == {}
    assert story.recorder_environment(8, {"PANTAU_RECORDER_DEMO_HOURS": "0"}) == {"PANTAU_RECORDER_DEMO_HOURS": "0"}
