"""The state machine: what a camera is said to do follows what ingest reports."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from services.contracts.models import CameraReport, ProfileReport, Reason, Status
from services.mesh.clock import ManualClock
from services.registry import observed
from services.registry.announce import BURST, REFILL_SECONDS, Announcer
from services.registry.observed import (
    CONNECT_SECONDS,
    DELIVERS,
    KEYFRAME_SECONDS,
    SILENT_SECONDS,
    STEADY_SECONDS,
    ObservedCamera,
)

UP = ProfileReport(status="online", codec="h264", width_px=1280, height_px=720, frame_rate=25)
TRYING = ProfileReport(status="connecting", reason=Reason.STARTING)


def down(reason: Reason = Reason.REFUSED) -> ProfileReport:
    return ProfileReport(status="offline", reason=reason, detail="why")


class Camera:
    """One camera under an injected clock, with what its events say."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.observed = ObservedCamera("cam", "city", self.clock.monotonic(), self.clock.now_us())
        self.announcer = Announcer(self.clock.monotonic())
        self.told: list[str] = []
        self.frames = 0

    def hear(self, main: ProfileReport, *, epoch: int = 1, worker: str = "w") -> Status:
        if main.status == "online" and main.frames == 0:
            main = main.model_copy(update={"frames": self.frames})
        report = CameraReport(camera="cam", site="city", epoch=epoch, profiles={"main": main})
        self.observed.add_report(report, worker, self.clock.monotonic(), self.clock.now_us())
        return self.tick()

    def tick(self, *, enabled: bool = True) -> Status:
        now, now_us = self.clock.monotonic(), self.clock.now_us()
        self.observed.tick(now, now_us, enabled=enabled)
        self.told += self.announcer.step(self.observed.status, self.observed.since_us, now)
        return self.observed.status

    def stay(self, main: ProfileReport | None, seconds: float, *, epoch: int = 1) -> Status:
        """Lets time pass, in ticks of a quarter second, with a report every second (or none)."""
        for step in range(round(seconds * 4)):
            self.clock.advance(0.25)
            self.frames += 6
            if main is not None and step % 4 == 3:
                self.hear(main, epoch=epoch)
            else:
                self.tick()
        return self.observed.status


def test_a_camera_whose_frame_counter_stands_still_is_offline_though_ingest_says_online() -> None:
    camera = Camera()
    assert camera.stay(UP, 10) is Status.ONLINE
    frozen = UP.model_copy(update={"frames": camera.frames, "stalls_after_seconds": 5.0})
    camera.stay(frozen, 9)
    assert (camera.observed.status, camera.observed.reason) == (Status.OFFLINE, Reason.STALLED)
    assert camera.stay(UP, STEADY_SECONDS + 2) is Status.ONLINE


def test_a_camera_that_is_said_to_go_on_stays_online_and_stalls_where_its_frames_stand_still() -> None:
    camera = Camera()
    assert not camera.observed.go_on(100, camera.clock.monotonic(), camera.clock.now_us()), (
        "nothing was reported so far"
    )
    camera.stay(UP, 4)
    for frames in range(1000, 1100, 2):
        camera.clock.advance(2)
        assert camera.observed.go_on(frames, camera.clock.monotonic(), camera.clock.now_us())
        assert camera.tick() is Status.ONLINE
    for _ in range(4):
        camera.clock.advance(2)
        camera.observed.go_on(1098, camera.clock.monotonic(), camera.clock.now_us())
        camera.tick()
    assert (camera.observed.status, camera.observed.reason) == (Status.OFFLINE, Reason.STALLED)


def test_a_camera_that_moves_stays_online_while_the_worker_that_it_leaves_delivers() -> None:
    camera = Camera()
    camera.stay(UP, 5)
    since_us = camera.observed.since_us
    for _ in range(6):
        camera.clock.advance(1)
        camera.frames += 25
        assert camera.hear(TRYING, epoch=2, worker="next") is Status.ONLINE
        assert camera.hear(UP) is Status.ONLINE
    camera.frames = 10
    assert camera.hear(UP, epoch=2, worker="next") is Status.ONLINE
    assert camera.observed.worker == "next"
    assert camera.observed.since_us == since_us, "its picture was never away"
    assert camera.told == ["online"]


def test_a_camera_that_moves_is_connecting_once_the_worker_that_it_left_says_nothing_of_it() -> None:
    camera = Camera()
    camera.stay(UP, 5)
    assert camera.hear(UP) is Status.ONLINE
    found = []
    for _ in range(5):
        camera.clock.advance(1)
        found.append(camera.hear(TRYING, epoch=2, worker="next"))
    assert found == [Status.ONLINE] * 3 + [Status.CONNECTING] * 2


def test_a_camera_that_refuses_its_next_worker_is_offline_at_once() -> None:
    camera = Camera()
    camera.stay(UP, 5)
    assert camera.hear(down(Reason.TOO_MANY_CLIENTS), epoch=2, worker="next") is Status.OFFLINE


def test_a_camera_that_goes_on_though_it_was_not_online_has_to_be_reported_whole() -> None:
    camera = Camera()
    camera.stay(TRYING, 10)
    assert not camera.observed.go_on(5000, camera.clock.monotonic(), camera.clock.now_us()), "a report was lost"


def test_a_camera_lost_with_its_worker_has_to_be_reported_whole() -> None:
    camera = Camera()
    camera.stay(UP, 10)
    camera.observed.lose_worker()
    camera.tick()
    assert not camera.observed.go_on(5000, camera.clock.monotonic(), camera.clock.now_us())
    assert camera.tick() is Status.OFFLINE
    camera.tick(enabled=False)
    assert camera.observed.go_on(5000, camera.clock.monotonic(), camera.clock.now_us()), "nobody wants to know"


def test_a_slow_camera_keeps_its_pace_between_two_reports_of_one_frame() -> None:
    camera = Camera()
    slow = UP.model_copy(update={"stalls_after_seconds": 23.5})
    for frames in range(1, 6):
        assert camera.stay(slow.model_copy(update={"frames": frames}), 15) is Status.ONLINE


def test_a_camera_whose_workers_lease_lapsed_is_offline_until_somebody_reports_on_it() -> None:
    camera = Camera()
    camera.stay(UP, 10)
    camera.observed.lose_worker()
    camera.tick()
    assert (camera.observed.status, camera.observed.reason) == (Status.OFFLINE, Reason.NO_INGEST)
    assert camera.observed.profiles["main"].status == "offline"
    assert camera.stay(TRYING, 1, epoch=2) is Status.CONNECTING
    assert camera.stay(UP, 1, epoch=2) is Status.ONLINE


def test_a_camera_for_which_no_worker_has_room_says_so_until_somebody_reports_on_it() -> None:
    camera = Camera()
    camera.stay(UP, 10)
    camera.observed.unassigned = True
    camera.observed.lose_worker()
    camera.tick()
    assert (camera.observed.status, camera.observed.reason) == (Status.OFFLINE, Reason.UNASSIGNED)
    camera.observed.unassigned = False
    assert camera.stay(TRYING, 1, epoch=2) is Status.CONNECTING


def test_a_camera_that_only_waits_for_a_keyframe_says_so() -> None:
    camera = Camera()
    waiting = TRYING.model_copy(update={"reason": Reason.NO_KEYFRAME, "detail": "waiting for a keyframe"})
    assert camera.stay(waiting, 5) is Status.CONNECTING
    assert camera.observed.reason is Reason.NO_KEYFRAME
    assert camera.stay(waiting, CONNECT_SECONDS) is Status.CONNECTING, "pictures come"
    assert camera.stay(waiting, KEYFRAME_SECONDS) is Status.OFFLINE
    assert camera.observed.reason is Reason.NO_KEYFRAME


def test_a_new_camera_is_online_with_its_first_frame() -> None:
    camera = Camera()
    assert camera.tick() is Status.CONNECTING
    assert camera.hear(TRYING) is Status.CONNECTING
    assert camera.hear(UP) is Status.ONLINE
    assert camera.observed.reason is Reason.NONE
    assert camera.told == ["online"]


def test_a_break_shows_at_once_and_the_return_when_it_is_steady() -> None:
    camera = Camera()
    camera.hear(UP)
    since_us = camera.observed.since_us
    camera.clock.advance(1)
    assert camera.hear(down(Reason.CLOSED)) is Status.OFFLINE
    assert (camera.observed.reason, camera.observed.detail) == (Reason.CLOSED, "why")
    assert camera.observed.since_us == since_us + 1_000_000
    camera.clock.advance(1)
    assert camera.hear(UP) is Status.CONNECTING
    assert camera.stay(UP, STEADY_SECONDS - 0.5) is Status.CONNECTING
    assert camera.stay(UP, 0.5) is Status.ONLINE
    assert camera.told == ["online"], "a break of a second or so is not worth an event"


def test_a_break_before_it_is_steady_is_offline_again() -> None:
    camera = Camera()
    camera.hear(UP)
    camera.hear(down(Reason.STALLED))
    camera.hear(UP)
    assert camera.hear(TRYING) is Status.OFFLINE
    assert camera.observed.reason is Reason.STALLED


def test_the_reason_follows_while_it_stays_offline_and_since_does_not() -> None:
    camera = Camera()
    camera.hear(down(Reason.TIMEOUT))
    since_us = camera.observed.since_us
    camera.stay(down(Reason.UNAUTHORIZED), 10)
    assert (camera.observed.reason, camera.observed.since_us) == (Reason.UNAUTHORIZED, since_us)
    assert camera.told == ["offline"]


def test_a_camera_that_nobody_reports_on_is_offline_after_five_seconds() -> None:
    camera = Camera()
    camera.hear(UP)
    assert camera.stay(None, SILENT_SECONDS - 0.25) is Status.ONLINE
    assert camera.stay(None, 0.25) is Status.OFFLINE
    assert camera.observed.reason is Reason.NO_INGEST
    assert camera.observed.profiles["main"].frame_rate == 0
    assert camera.hear(TRYING) is Status.CONNECTING
    assert camera.hear(UP) is Status.ONLINE


def test_a_camera_that_was_moved_is_connecting_and_not_broken() -> None:
    camera = Camera()
    camera.hear(UP, epoch=5)
    assert camera.hear(TRYING, epoch=6) is Status.CONNECTING
    assert camera.hear(down(), epoch=5) is Status.CONNECTING, "the old worker is believed"
    assert camera.hear(UP, epoch=6) is Status.ONLINE
    assert camera.told == ["online"]


def test_connecting_has_an_end() -> None:
    camera = Camera()
    camera.hear(TRYING)
    assert camera.stay(TRYING, CONNECT_SECONDS) is Status.OFFLINE
    assert camera.observed.reason is Reason.TIMEOUT


def test_disabling_is_silent_and_enabling_begins_anew() -> None:
    camera = Camera()
    camera.hear(UP)
    assert camera.tick(enabled=False) is Status.DISABLED
    assert camera.observed.profiles == {}
    assert camera.tick(enabled=True) is Status.CONNECTING
    assert camera.hear(UP) is Status.ONLINE
    assert camera.told == ["online", "online"]


def test_a_camera_that_keeps_breaking_off_is_degraded_until_it_is_calm() -> None:
    camera = Camera()
    camera.hear(UP)
    for _ in range(3):
        camera.stay(UP, 4)
        camera.hear(down(Reason.CLOSED))
        camera.stay(down(Reason.CLOSED), 1)
    assert camera.stay(UP, 5) is Status.DEGRADED
    assert camera.observed.reason is Reason.CLOSED
    assert "3 times" in camera.observed.detail
    assert camera.stay(UP, observed.CALM_SECONDS) is Status.ONLINE
    assert camera.told == ["online", "degraded", "recovered"]


def test_a_changed_source_is_a_new_beginning() -> None:
    camera = Camera()
    camera.hear(UP)
    camera.observed.begin_again(camera.clock.monotonic(), camera.clock.now_us())
    assert camera.hear(TRYING) is Status.CONNECTING
    assert camera.hear(UP) is Status.ONLINE


def test_a_new_leader_goes_on_with_what_the_last_one_left() -> None:
    camera = Camera()
    camera.hear(UP)
    left = camera.observed.state(camera.announcer.announced)
    camera.clock.advance(2)
    after = ObservedCamera("cam", "city", camera.clock.monotonic(), camera.clock.now_us(), left)
    after.tick(camera.clock.monotonic(), camera.clock.now_us(), enabled=True)
    assert after.state(Status.ONLINE) == left
    camera.clock.advance(SILENT_SECONDS)
    after.tick(camera.clock.monotonic(), camera.clock.now_us(), enabled=True)
    assert after.reason is Reason.NO_INGEST


def test_a_camera_without_main_is_judged_by_what_it_has() -> None:
    camera = Camera()
    report = CameraReport(camera="cam", site="city", epoch=1, profiles={"sub": UP})
    camera.observed.add_report(report, "w", camera.clock.monotonic(), camera.clock.now_us())
    assert camera.tick() is Status.ONLINE


@pytest.mark.parametrize("up_seconds", [0.5, 2.0, 3.5, 8.0, 20.0])
@pytest.mark.parametrize("down_seconds", [0.5, 2.0, 5.0])
def test_a_camera_that_flaps_all_day_does_not_flood(up_seconds: float, down_seconds: float) -> None:
    camera = Camera()
    hours = 1
    while camera.clock.monotonic() < 1000 + hours * 3600:
        camera.stay(UP, up_seconds)
        camera.hear(UP)
        camera.stay(down(Reason.CLOSED), down_seconds)
        camera.hear(down(Reason.CLOSED))
    assert len(camera.told) <= 2 * (BURST + hours * 3600 / REFILL_SECONDS)
    lasting = camera.stay(UP, 400)
    assert lasting is Status.ONLINE
    assert camera.announcer.announced is Status.ONLINE, "what was told last is not what lasts"


class Life(RuleBasedStateMachine):
    """Anything may be reported in any order; what is said stays consistent."""

    def __init__(self) -> None:
        super().__init__()
        self.camera = Camera()
        self.enabled = True
        self.epoch = 1

    @rule(seconds=st.floats(0.01, 20))
    def time_passes(self, seconds: float) -> None:
        camera = self.camera
        until = camera.observed.rests_until(camera.clock.monotonic())
        before = camera.observed.state()
        behind, told = camera.announcer.is_behind(camera.observed.status), len(camera.told)
        camera.clock.advance(seconds)
        camera.tick(enabled=self.enabled)
        if camera.clock.monotonic() < until:
            assert camera.observed.state() == before, "it was not looked at when time had changed it"
            assert behind or len(camera.told) == told, "an event would have come late"

    @rule(frames=st.integers(0, 10_000))
    def its_worker_says_that_it_goes_on(self, frames: int) -> None:
        clock = self.camera.clock
        self.camera.observed.go_on(frames, clock.monotonic(), clock.now_us())
        self.camera.tick(enabled=self.enabled)

    @rule(
        status=st.sampled_from(("idle", "connecting", "online", "offline")),
        reason=st.sampled_from(Reason),
        numbers=st.tuples(*[st.integers(0, 10_000)] * 3),
        rate=st.floats(0, 120),
        stale=st.booleans(),
    )
    def ingest_reports(
        self, status: str, reason: Reason, numbers: tuple[int, int, int], rate: float, stale: bool
    ) -> None:
        frames, lost, bad = numbers
        report = ProfileReport.model_validate(
            {
                "status": status,
                "reason": reason,
                "frame_rate": rate,
                "frames": frames,
                "frames_lost": lost,
                "bad_timestamps": bad,
            }
        )
        message = CameraReport(camera="cam", site="city", epoch=self.epoch - stale, profiles={"main": report})
        clock = self.camera.clock
        self.camera.observed.add_report(message, "w", clock.monotonic(), clock.now_us())
        self.camera.tick(enabled=self.enabled)

    @rule()
    def it_is_moved(self) -> None:
        self.epoch += 1

    @rule(enabled=st.booleans())
    def somebody_switches_it(self, enabled: bool) -> None:
        self.enabled = enabled
        self.camera.tick(enabled=enabled)

    @rule()
    def another_registry_takes_over(self) -> None:
        camera = self.camera
        now, now_us = camera.clock.monotonic(), camera.clock.now_us()
        left = camera.observed.state(camera.announcer.announced)
        camera.observed = ObservedCamera("cam", "city", now, now_us, left)
        camera.announcer = Announcer(now, left.announced)
        assert camera.observed.state(left.announced) == left

    @invariant()
    def the_status_fits_the_reason(self) -> None:
        seen = self.camera.observed
        assert seen.status is not Status.ONLINE or seen.reason is Reason.NONE
        assert seen.since_us <= self.camera.clock.now_us()

    def teardown(self) -> None:
        """A few healthy minutes heal it after any sequence of events."""
        camera = self.camera
        for _ in range(60):
            camera.clock.advance(4)
            camera.frames += 100
            camera.hear(UP, epoch=self.epoch)
        assert camera.observed.status is Status.ONLINE
        assert camera.announcer.announced is Status.ONLINE


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=80, stateful_step_count=25, deadline=None)


@given(st.lists(st.tuples(st.sampled_from(Status), st.floats(0.1, 30)), max_size=200))
def test_events_are_few_and_make_sense(history: list[tuple[Status, float]]) -> None:
    now, since_us = 0.0, 0
    announcer = Announcer(now)
    delivers, well, count = False, True, 0
    for status, seconds in history:
        now += seconds
        names = announcer.step(status, since_us, now)
        if status is Status.DISABLED:
            assert names == ()
            delivers, well = False, True
        count += bool(names)
        for name in names:
            if name == "online":
                assert not delivers, "online was told twice"
                delivers = True
            elif name == "offline":
                delivers, well = False, False
                assert status is Status.OFFLINE
            elif name == "degraded":
                assert delivers
                well = False
            else:
                assert delivers
                assert not well, "recovered from nothing"
                well = True
        if names:
            assert (announcer.announced in DELIVERS) == delivers
    assert count <= BURST + now / REFILL_SECONDS + 1
