"""Joined sites: what another mesh says is kept as far as it is its to say, and harms nobody else."""

import asyncio
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
from services.mesh.clock import SystemClock
from services.registry.ledger import Ledger, Ledgers
from services.registry.sites import SiteMirrors

LATE: Final = 253_402_300_800_000_000
"""The year 10000."""


class _Bucket:
    """Takes every write."""

    revision = 0

    async def put(self, *_: object) -> int:
        self.revision += 1
        return self.revision

    create = update = delete = put


class _Bus:
    """Where a joined site answers."""

    def __init__(self, answer: ShareAnswer) -> None:
        self._answer = answer
        self.js = self
        self.headers = None
        self.subject = "answer"

    @property
    def data(self) -> bytes:
        return self._answer.pack()

    async def request(self, *_: object, **__: object) -> "_Bus":
        return self

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
        self.events: list[Event] = []
        self.post = self.events.append

    @staticmethod
    def _ledger() -> Ledger[Any]:
        return Ledger(cast("Any", _Bucket()))

    async def hear(self, answer: ShareAnswer) -> None:
        mall = JoinedSite(site="mall", until_us=LATE, since_us=0)
        await self.sites.create("mall", mall)
        told = asyncio.Event()
        self.sites._on_change = lambda _key, site: told.set() if site and site.audited_after is not None else None
        mirrors = SiteMirrors(
            bus=cast("Any", _Bus(answer)),
            home="city",
            ledgers=cast("Ledgers", self),
            outbox=cast("Any", self),
            leading=lambda: True,
            clock=SystemClock(),
        )
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
