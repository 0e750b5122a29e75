"""Who ingests what: spread, sticky, moved no more than need be."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from services.registry.balance import LEAST_MOVES, TOLERANCE, WorkerCandidate, moves_at_once
from services.registry.plan_ingest import plan

NAMES = ("w1", "w2", "w3", "w4")
names = st.sampled_from(NAMES)
cameras = st.sets(st.integers(0, 60).map(lambda n: f"cam-{n:02d}"), max_size=40)
workers = st.dictionaries(
    names,
    st.builds(
        lambda capacity, load, draining: (capacity, load, draining),
        st.integers(0, 50),
        st.floats(0, 2),
        st.booleans(),
    ),
).map(lambda found: [WorkerCandidate(name, *rest) for name, rest in found.items()])
holders = st.dictionaries(st.integers(0, 60).map(lambda n: f"cam-{n:02d}"), names, max_size=40)


def crowd(count: int) -> list[str]:
    return [f"cam-{n:03d}" for n in range(count)]


def test_new_cameras_are_spread_by_capacity() -> None:
    planned = plan(crowd(90), {}, [WorkerCandidate("big", 100), WorkerCandidate("small", 50)], settled=False)
    assert Counter(planned.values()) == {"big": 60, "small": 30}


def test_a_worker_that_is_busy_takes_new_cameras_last() -> None:
    planned = plan(crowd(2), {}, [WorkerCandidate("busy", 50, load=1.2), WorkerCandidate("idle", 50)], settled=False)
    assert set(planned.values()) == {"idle"}


def test_only_the_cameras_of_a_dead_worker_move() -> None:
    held = {camera: f"w{n % 3 + 1}" for n, camera in enumerate(crowd(30))}
    planned = plan(held, held, [WorkerCandidate("w1"), WorkerCandidate("w2")], settled=False)
    assert {camera for camera in held if planned[camera] != held[camera]} == {c for c, w in held.items() if w == "w3"}
    assert Counter(planned.values()) == {"w1": 15, "w2": 15}


def test_cameras_wait_for_a_lone_worker_and_for_one_that_is_expected() -> None:
    held = {"a": "w1", "b": "w2"}
    assert plan(held, held, [], settled=True) == held
    assert plan(held, held, [WorkerCandidate("w1")], expected={"w2"}, settled=True) == held
    assert plan(["c"], {}, [], settled=True) == {}


def test_a_new_worker_gets_its_share_a_few_cameras_at_a_time() -> None:
    held = dict.fromkeys(crowd(32), "w1")
    pair = [WorkerCandidate("w1", 50), WorkerCandidate("w2", 50)]
    assert plan(held, held, pair, settled=False) == held
    for _round in range(10):
        planned = plan(held, held, pair, settled=True)
        assert sum(planned[camera] != held[camera] for camera in held) <= LEAST_MOVES
        held = planned
    assert 16 * (1 - TOLERANCE) <= Counter(held.values())["w2"] <= 16
    assert plan(held, held, pair, settled=True) == held


def test_a_draining_worker_is_better_than_none() -> None:
    leaving = [WorkerCandidate("w1", draining=True)]
    assert plan(["a", "b"], {"a": "w1"}, leaving, settled=True) == {"a": "w1", "b": "w1"}
    both = [*leaving, WorkerCandidate("w2")]
    assert plan(["a", "b"], {"a": "w1"}, both, settled=True) == {"a": "w2", "b": "w2"}


def test_every_new_worker_gets_its_share_however_many_there_are() -> None:
    there = [WorkerCandidate(f"w{n}", 50) for n in range(9)]
    held = {camera: f"w{n % 8}" for n, camera in enumerate(crowd(160))}
    for _round in range(20):
        held = plan(held, held, there, settled=True)
    assert 16 <= Counter(held.values())["w8"] <= 18


def test_the_camera_over_the_capacity_has_no_worker_and_it_is_one_that_is_not_recorded() -> None:
    there = [WorkerCandidate("w1", 2), WorkerCandidate("w2", 1)]
    planned = plan(["a", "b", "c", "d"], {}, there, settled=False, last={"b"})
    assert planned.keys() == {"a", "c", "d"}
    assert Counter(planned.values()) == {"w1": 2, "w2": 1}
    lowered = plan(planned, planned, [WorkerCandidate("w1", 1), WorkerCandidate("w2", 1)], settled=False)
    assert Counter(lowered.values()) == {"w1": 1, "w2": 1}


def test_a_pinned_camera_is_where_it_is_pinned_while_there_is_room_and_is_not_moved_away() -> None:
    there = [WorkerCandidate("w1", 2, machine="box-1"), WorkerCandidate("w2", 9), WorkerCandidate("w3", 9)]
    held = {"a": "w2", "b": "w2", "c": "w2", "d": "w3"}
    pins = {"a": "box-1", "b": "w1", "c": "box-1", "d": "box-9"}
    assert plan(held, held, there, settled=False, pins=pins) == held, "it was moved at once"
    planned = plan(held, held, there, settled=True, pins=pins)
    assert (planned["a"], planned["b"], planned["d"]) == ("w1", "w1", "w3")
    assert planned["c"] in ("w2", "w3"), "there is no room for it at its pin"
    assert plan(held, planned, there, settled=True, pins=pins) == planned
    assert plan(["e"], {}, there, settled=False, pins={"e": "w3"}) == {"e": "w3"}
    gone = plan(held, planned, there[1:], settled=False, pins=pins)
    assert set(gone.values()) <= {"w2", "w3"}


def test_a_camera_that_is_pinned_to_a_rack_is_on_the_least_full_of_its_workers() -> None:
    there = [
        WorkerCandidate("w1", 9),
        *(WorkerCandidate(f"w{n}", 9, machine=f"box-{n}", rack="rack-1") for n in (2, 3)),
    ]
    planned = plan("abcd", dict.fromkeys("abcd", "w1"), there, settled=True, pins=dict.fromkeys("abcd", "rack-1"))
    assert Counter(planned.values()) == {"w2": 2, "w3": 2}
    assert plan("abcd", planned, there, settled=True, pins=dict.fromkeys("abcd", "rack-1")) == planned


def test_a_draining_worker_keeps_what_nobody_else_has_room_for() -> None:
    there = [WorkerCandidate("w1", draining=True), WorkerCandidate("w2", 1)]
    planned = plan(["a", "b"], {"a": "w1", "b": "w1"}, there, settled=False)
    assert Counter(planned.values()) == {"w1": 1, "w2": 1}


@given(cameras, holders, workers, st.sets(names), st.booleans())
def test_whatever_happens_every_camera_has_a_sensible_worker(
    wanted: set[str], held: dict[str, str], there: list[WorkerCandidate], expected: set[str], settled: bool
) -> None:
    planned = plan(wanted, held, there, expected=expected, settled=settled)
    alive = {worker.name for worker in there}
    willing = {worker.name for worker in there if not worker.draining}
    assert planned.keys() <= wanted
    room = sum(worker.room for worker in there if not worker.draining)
    if willing:
        assert len(planned) >= min(len(wanted), room), "a camera has no worker although there is room"
    elif alive:
        assert planned.keys() == wanted
    given = Counter(worker for worker in planned.values() if worker in willing)
    assert all(given[worker.name] <= worker.room for worker in there), "a worker has more than its capacity"
    moved = {camera for camera in planned if camera in held and planned[camera] != held[camera]}
    for camera, worker in planned.items():
        assert worker in willing or worker in expected or worker == held.get(camera) or not willing
    full = {worker.name for worker in there if sum(name == worker.name for name in held.values()) > worker.room}
    forced = {camera for camera in moved if held[camera] not in willing | set(expected) or held[camera] in full}
    assert len(moved - forced) <= (moves_at_once(len(wanted)) if settled else 0)


@given(cameras, holders, workers)
def test_plans_come_to_rest(wanted: set[str], held: dict[str, str], there: list[WorkerCandidate]) -> None:
    # passes if nothing raises
    current = {camera: worker for camera, worker in held.items() if camera in wanted}
    pins = {camera: name for camera, name in held.items() if camera.endswith("1")}
    for _ in range(40):
        planned = plan(wanted, current, there, settled=True, pins=pins)
        if planned == current:
            return
        current = planned
    raise AssertionError("the plan keeps moving cameras")


def test_a_worker_that_leaves_gets_nothing_new_and_gives_a_few_cameras_in_each_round_until_it_has_none() -> None:
    planned = {camera: f"w{n % 2 + 1}" for n, camera in enumerate(crowd(40))}
    two = [WorkerCandidate("w1", leaving=True), WorkerCandidate("w2")]
    held = plan([*planned, "new"], planned, two, settled=False)
    assert held == planned | {"new": "w2"}
    rounds = 0
    while "w1" in planned.values():
        after = plan(planned, planned, two, settled=True)
        assert 0 < sum(after[camera] != planned[camera] for camera in planned) <= moves_at_once(len(planned))
        planned, rounds = after, rounds + 1
    assert rounds == 20 / LEAST_MOVES


def test_a_worker_that_leaves_keeps_what_nobody_has_room_for_and_takes_no_new_camera_even_alone() -> None:
    held = dict.fromkeys(crowd(3), "w1")
    assert plan(held, held, [WorkerCandidate("w1", leaving=True), WorkerCandidate("w2", 1)], settled=True) == (
        held | {"cam-000": "w2"}
    )
    assert plan([*held, "new"], held, [WorkerCandidate("w1", leaving=True)], settled=True) == held


@given(st.integers(0, 60), workers)
def test_many_cameras_at_once_get_the_workers_that_they_would_get_one_by_one(
    count: int, candidates: list[WorkerCandidate]
) -> None:
    alone: dict[str, str] = {}
    for camera in crowd(count):
        alone = plan([*alone, camera], alone, candidates, settled=False)
    assert plan(crowd(count), {}, candidates, settled=False) == alone
