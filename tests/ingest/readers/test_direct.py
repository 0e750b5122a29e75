"""The direct reader's connection; what it reads is tested with servers in `tests/integration`."""

import asyncio
from types import SimpleNamespace
from typing import cast

import pytest

from services.contracts.models import Reason
from services.ingest.readers.direct import TICK_SECONDS, RtspProtocol, _DirectSession
from services.ingest.readers.short_way import ShortWay
from services.ingest.readers.source import Outlet, Source
from services.ingest.readers.source_backlog import SourceBacklog
from services.media.rtp_track import RtpTrack
from services.media.rtsp.addresses import parse_address


class Wire(asyncio.Transport):
    """A transport that tells whether it is read."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        self.calls.append("pause")

    def resume_reading(self) -> None:
        self.calls.append("resume")


class Session:
    """Counts bytes."""

    reads_itself = False

    def __init__(self) -> None:
        self.buffer = bytearray(1000)
        self.counts: list[int] = []

    def connected(self, transport: asyncio.Transport) -> None:
        assert isinstance(transport, Wire)

    def room(self) -> memoryview:
        return memoryview(self.buffer)

    def received(self, count: int) -> None:
        self.counts.append(count)


async def test_a_read_that_fills_the_buffer_lets_other_work_of_the_loop_in_before_the_next() -> None:
    wire, session = Wire(), Session()
    protocol = RtspProtocol(session)  # type: ignore[arg-type]  # the part of it that a connection calls
    protocol.connection_made(wire)
    protocol.get_buffer(65_536)
    protocol.buffer_updated(1000)
    assert wire.calls == ["pause"]
    await asyncio.sleep(0)
    assert wire.calls == ["pause", "resume"]
    protocol.get_buffer(65_536)
    protocol.buffer_updated(999)
    assert wire.calls == ["pause", "resume"]
    assert session.counts == [1000, 999]


class Waiting:
    """A short way on which a picture waits for its rest."""

    heard_at = 0.0

    def __init__(self) -> None:
        self.looks = 0

    def look_impatiently(self) -> None:
        self.looks += 1


async def test_a_worker_that_comes_late_does_not_take_the_rest_of_a_picture_for_lost() -> None:
    loop, url = asyncio.get_running_loop(), "rtsp://camera.example/main"
    session = _DirectSession(Source(url), parse_address(url), cast("Outlet", None), None, SourceBacklog())
    short = Waiting()
    session._short = cast("ShortWay", short)
    session._transport = Wire()
    session._heard_at = loop.time() - 2 * TICK_SECONDS
    for late_seconds, looks in ((2 * TICK_SECONDS, 0), (-60.0, 1)):
        session._tick_at = loop.time() - late_seconds
        session._tick(float("inf"))
        assert session._ticking is not None
        session._ticking.cancel()
        assert short.looks == looks


async def test_a_session_in_its_stride_is_looked_at_seldom_keeps_alive_and_is_looked_at_when_it_falls_silent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop, url = asyncio.get_running_loop(), "rtsp://camera.example/main"
    session = _DirectSession(Source(url), parse_address(url), cast("Outlet", None), None, SourceBacklog())
    short = Waiting()
    session._short = cast("ShortWay", short)
    session._transport = Wire()
    session._opened_at = loop.time()
    watched: list[float] = []
    kept_alive: list[float] = []
    monkeypatch.setattr(session, "_watch", lambda _now, silent_seconds: watched.append(silent_seconds))
    monkeypatch.setattr(session._dialogue, "tick", kept_alive.append)

    def tick(heard_seconds_ago: float) -> None:
        short.heard_at = loop.time() - heard_seconds_ago
        session._tick_at = loop.time()
        session._tick(float("inf"))
        assert session._ticking is not None
        session._ticking.cancel()

    tick(0.0)
    tick(0.0)
    assert (len(watched), len(kept_alive), short.looks) == (1, 2, 0)
    session._heard_at = 0.0
    tick(2 * TICK_SECONDS)
    assert (len(watched), len(kept_alive), short.looks) == (2, 3, 1)
    session._steady_until = 0.0
    tick(0.0)
    assert (len(watched), short.looks) == (3, 1)


class Farewell:
    """A track whose sender said goodbye, and of which nothing was read since."""

    receiver = SimpleNamespace(packets=0, foreign=0, duplicates=0)

    def flush(self, _silent_seconds: float) -> None:
        pass

    def has_ended(self, _now: float) -> bool:
        return True


async def test_a_worker_that_comes_late_does_not_take_a_goodbye_for_the_end_before_it_reads_what_followed() -> None:
    loop, url = asyncio.get_running_loop(), "rtsp://camera.example/main"
    session = _DirectSession(Source(url), parse_address(url), cast("Outlet", None), None, SourceBacklog())
    session._tracks["video"] = cast("RtpTrack", Farewell())
    session._opened_at, session._reports_due = loop.time(), float("inf")
    session._watch(loop.time(), 0.0)  # a late tick
    assert not session._over.done()
    session._watch(loop.time(), 1.0)
    assert session._over.done()


async def test_another_connection_inherits_neither_the_holes_nor_the_tls_of_the_one_before() -> None:
    loop, url = asyncio.get_running_loop(), "rtsp://127.0.0.1/main"
    session = _DirectSession(Source(url), parse_address(url), cast("Outlet", None), None, SourceBacklog())
    session._connected = True
    hole = session._reordering = loop.call_later(60.0, lambda: None)
    session._begin_again()
    assert hole.cancelled()
    end = await session._connect(loop.time())
    assert end is not None
    assert end.reason is Reason.TIMEOUT
