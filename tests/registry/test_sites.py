"""Joined sites: what another mesh says is kept as far as it is its to say, and harms nobody else."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final, cast

import nats.js.errors
import pytest
from pydantic import ValidationError

from services.contracts.events import CameraOnline, Event
from services.contracts.models import Camera, CameraState, Location, Model, Profile, Status
from services.contracts.sites import (
    MAX_CAMERAS,
    JoinedSite,
    ShareAnswer,
    SharedCamera,
    SharedEvent,
    View,
    hub_id,
    state_at_hub,
)
from services.mesh.clock import Clock, ManualClock, SystemClock
from services.mesh.tasks import end
from services.registry.ledger import Ledger, Ledgers
from services.registry.sites import ASK_SECONDS, BUSY_SHARE, MAX_REST_SECONDS, SiteMirrors, rest_seconds

LATE: Final = 253_402_300_800_000_000
"""The year 10000."""
Until = Callable[[Callable[[], bool]], Awaitable[None]]


class _Bucket:
    """Takes every write."""

    revision = 0

    def __init__(self) -> None:
        self.took: Callable[[], None] = lambda: None
        """Called with each write."""

    async def put(self, *_: object) -> int:
        self.took()
        self.revision += 1
        return self.revision

    create = update = delete = put


class _Bus:
    """Where a joined site answers."""

    def __init__(self, answer: ShareAnswer, clock: Clock | None = None, silent: str = "") -> None:
        """``silent``: a site that never answers."""
        self._answer = answer
        self._clock = clock or SystemClock()
        self._silent = silent
        self.asked: dict[str, list[float]] = {}
        """Site → when it was asked, by the clock."""
        self.js = self
        self.headers = None
        self.subject = "answer"

    @property
    def data(self) -> bytes:
        return self._answer.pack()

    async def request(self, subject: str, *_: object, **__: object) -> "_Bus":
        site = subject.split(".")[2]
        self.asked.setdefault(site, []).append(self._clock.monotonic())
        if site == self._silent:
            await asyncio.Event().wait()
        return self

    def times(self, site: str) -> int:
        return len(self.asked.get(site, ()))

    async def publish(self, *_: object) -> None:
        pass

    async def stream_info(self, _stream: str) -> None:
        raise nats.js.errors.NotFoundError


class _Kept:
    """The buckets of a hub whose site `mall` has answered once."""

    def __init__(self) -> None:
        self.cameras: Ledger[Camera] = self._ledger()
        self.states: Ledger[CameraState] = self._ledger()
        self.sites: Ledger[JoinedSite] = self._ledger()
        self.leads = True
        self.events: list[Event] = []
        self.post = self.events.append

    @staticmethod
    def _ledger() -> Ledger[Any]:
        return Ledger(cast("Any", _Bucket()))

    async def join(self, site: str) -> None:
        await self.sites.create(site, JoinedSite(site=site, until_us=LATE, since_us=0))

    def mirrors(self, bus: _Bus, clock: Clock) -> SiteMirrors:
        return SiteMirrors(
            bus=cast("Any", bus),
            home="city",
            ledgers=cast("Ledgers", self),
            outbox=cast("Any", self),
            leading=lambda: self.leads,
            clock=clock,
        )

    async def hear(self, answer: ShareAnswer) -> None:
        await self.join("mall")
        told = asyncio.Event()
        self.sites._on_change = lambda _key, site: told.set() if site and site.audited_after is not None else None
        mirrors = self.mirrors(_Bus(answer), SystemClock())
        running = asyncio.create_task(mirrors.run())
        waiting = asyncio.create_task(told.wait())
        await asyncio.wait((running, waiting), return_when=asyncio.FIRST_COMPLETED)
        assert not running.done()
        running.cancel()


def _camera(key: str, **fields: Any) -> SharedCamera:
    given = {"id": key, "name": key, "enabled": True, "audio": False, "location": {}, "tags": [], "profiles": ["sub"]}
    return SharedCamera.model_validate(given | fields)


def _state(key: str, since_us: int = 5, **fields: Any) -> CameraState:
    return CameraState(camera=key, site="mall", status=Status.OFFLINE, since_us=since_us, **fields)


def _event(key: str, at_us: int | str = 5, codec: str = "") -> SharedEvent:
    return SharedEvent(type="camera.online", body={"site": "mall", "camera": key, "at_us": at_us, "codec": codec})


def _answer(**fields: Any) -> ShareAnswer:
    return ShareAnswer(
        **{"cameras": (), "states": (), "cameras_revision": 1, "states_revision": 1, "last_event": 1} | fields
    )


async def test_a_site_says_nothing_of_cameras_that_are_the_hubs_or_another_sites() -> None:
    kept = _Kept()
    own = Camera(id="mall--a", site="city", name="A", profiles={"main": Profile(url="rtsp://h/a")})
    others = Camera(id=hub_id("mall--east", "b"), site="city", name="B", profiles={"main": Profile(url="rtsp://h/b")})
    for each in (own, others):
        await kept.cameras.create(each.id, each)
    keys = ("a", "east--b", "c")
    await kept.hear(
        _answer(
            cameras=tuple(_camera(key) for key in keys),
            states=tuple(_state(key) for key in keys),
            events=tuple(_event(key) for key in keys),
        )
    )
    assert kept.cameras.get("mall--a") == own
    assert kept.cameras.get(others.id) == others
    assert list(kept.states.entries) == ["mall--c"]
    assert [cast("CameraOnline", event).camera for event in kept.events] == ["mall--c"]


async def test_what_of_a_site_cannot_be_kept_is_left_out_and_the_rest_is_taken() -> None:
    kept = _Kept()
    await kept.hear(
        _answer(
            cameras=(_camera("large", location=Location(address="x" * 100_000)), _camera("fine"), _camera("late")),
            states=(_state("fine"), _state("late", LATE)),
            events=(_event("fine", "9" * 30), _event("fine", LATE), _event("fine", 5, "x" * 100_000), _event("fine")),
        )
    )
    assert sorted(kept.cameras.entries) == ["mall--fine", "mall--late"]
    assert list(kept.states.entries) == ["mall--fine"]
    assert [event.at_us for event in kept.events] == [5]


async def test_a_site_has_a_bounded_number_of_cameras(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_CAMERAS > 1
    monkeypatch.setattr("services.registry.sites.MAX_CAMERAS", 1)
    kept = _Kept()
    await kept.hear(_answer(cameras=(_camera("a"), _camera("b"))))
    assert list(kept.cameras.entries) == ["mall--a"]


@asynccontextmanager
async def mirroring(kept: _Kept, bus: _Bus, clock: ManualClock) -> AsyncIterator[Until]:
    """Gives what lets time pass until something holds."""
    running = asyncio.create_task(kept.mirrors(bus, clock).run())

    async def until(holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(90):
            while not holds():
                assert not running.done()
                clock.advance(1)
                await asyncio.sleep(0.002)

    try:
        yield until
    finally:
        await end([running])


async def test_a_site_that_does_not_answer_holds_up_no_other() -> None:
    kept, clock = _Kept(), ManualClock()
    for site in ("east", "mall"):
        await kept.join(site)
    bus = _Bus(_answer(cameras=(_camera("a"),)), clock, silent="mall")
    async with mirroring(kept, bus, clock) as until:
        await until(lambda: bus.times("east") >= 3 and bus.times("mall") == 1)
        assert list(kept.cameras.entries) == ["east--a"]


async def test_a_site_whose_answers_take_long_is_asked_seldom() -> None:
    kept, clock = _Kept(), ManualClock()
    await kept.join("mall")
    slow = _Bucket()
    slow.took = lambda: clock.advance(4)
    kept.cameras = Ledger(cast("Any", slow))
    bus = _Bus(_answer(cameras=(_camera("a"),)), clock)
    async with mirroring(kept, bus, clock) as until:
        await until(lambda: bus.times("mall") == 2)
    first, second = bus.asked["mall"]
    assert second - first >= 4 / BUSY_SHARE
    assert (rest_seconds(0), rest_seconds(600)) == (ASK_SECONDS, MAX_REST_SECONDS)


async def test_an_answer_that_is_too_large_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.registry.sites.MAX_ANSWER_BYTES", 10)
    kept, clock = _Kept(), ManualClock()
    await kept.join("mall")
    bus = _Bus(_answer(cameras=(_camera("a"),)), clock)
    async with mirroring(kept, bus, clock) as until:
        await until(lambda: bus.times("mall") == 2)
    assert not kept.cameras.entries


async def test_a_site_that_was_left_is_asked_no_more_and_again_once_it_is_invited_anew() -> None:
    kept, clock = _Kept(), ManualClock()
    for site in ("east", "mall"):
        await kept.join(site)
    bus = _Bus(_answer(cameras=(_camera("a"),)), clock)
    async with mirroring(kept, bus, clock) as until:
        await until(lambda: "mall--a" in kept.cameras.entries)
        await kept.sites.delete("mall", 0)
        await until(lambda: "mall--a" not in kept.cameras.entries)
        before, others = bus.times("mall"), bus.times("east")
        await until(lambda: bus.times("east") > others + 2)
        assert bus.times("mall") == before
        await kept.join("mall")
        await until(lambda: bus.times("mall") > before)
        kept.leads = False
        others = bus.times("east")
        await until(lambda: len(asyncio.all_tasks()) == 2)
        assert bus.times("east") == others


async def test_what_goes_wrong_in_the_mirror_of_a_site_ends_the_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    kept, clock = _Kept(), ManualClock()
    await kept.join("mall")
    monkeypatch.setattr(SiteMirrors, "_ask", lambda *_: 1 / 0)
    running = asyncio.create_task(kept.mirrors(_Bus(_answer(), clock), clock).run())
    async with asyncio.timeout(90):
        while not running.done():
            clock.advance(1)
            await asyncio.sleep(0.002)
    with pytest.raises(ZeroDivisionError):
        running.result()


def test_a_state_from_the_year_10000_is_left_out() -> None:
    assert state_at_hub(_state("a"), "mall") == _state("a").model_copy(update={"camera": "mall--a"})
    assert state_at_hub(_state("a", LATE), "mall") is None
    report = {"status": "offline", "next_attempt_us": LATE}
    assert state_at_hub(_state("a", profiles={"main": report}), "mall") is None


@pytest.mark.parametrize(
    "wrong", [{"action": "x\r\nPUB a 0"}, {"action": "a.b"}, {"action": ">"}, {"at_us": LATE}, {"at_us": -1}]
)
def test_what_a_hub_enters_in_the_owners_audit_fits_a_subject_and_a_time(wrong: dict[str, Any]) -> None:
    good = {"camera": "gate", "at_us": 7, "action": "viewing-live", "actor": "siti", "role": "operator"}
    assert isinstance(View.model_validate(good), Model)
    with pytest.raises(ValidationError):
        View.model_validate(good | wrong)
