"""Who records what: footage stays where it is."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from services.registry.balance import LEAST_MOVES, WorkerCandidate
from services.registry.plan_recorders import RecorderPlacement, plan

R1, R2, R3 = WorkerCandidate("r1"), WorkerCandidate("r2"), WorkerCandidate("r3")
ALL = [R1, R2, R3]


def test_cameras_get_homes_when_the_recorders_have_settled_and_not_before() -> None:
    copies = {f"cam-{n:02d}": 1 for n in range(30)}
    assert plan(copies, {}, ALL, away=(), settled=False) == {}
    planned = plan(copies, {}, ALL, away=(), settled=True)
    assert Counter(kept.workers for kept in planned.values()) == {("r1",): 10, ("r2",): 10, ("r3",): 10}
    assert all(kept.workers == kept.homes for kept in planned.values())


def test_two_copies_are_on_two_recorders_as_soon_as_there_are_two() -> None:
    alone = plan({"a": 2}, {}, [R1], away=(), settled=True)
    assert alone == {"a": RecorderPlacement(("r1",), ("r1",))}
    both = plan({"a": 2}, alone, [R1, R2], away=(), settled=True)
    assert both == {"a": RecorderPlacement(("r1", "r2"), ("r1", "r2"))}
    assert plan({"a": 1}, both, [R1, R2], away=(), settled=True) == {"a": RecorderPlacement(("r1",), ("r1",))}


def test_a_recorder_is_waited_for_then_replaced_then_given_its_cameras_back() -> None:
    held = {"a": RecorderPlacement(("r1",), ("r1",))}
    assert plan({"a": 1}, held, [R2], away=(), settled=True) == held
    replaced = plan({"a": 1}, held, [R2], away={"r1"}, settled=True)
    assert replaced == {"a": RecorderPlacement(("r2",), ("r1",))}
    assert plan({"a": 1}, replaced, [R2, R3], away={"r1"}, settled=True) == replaced, "a stand-in moved for nothing"
    assert plan({"a": 1}, replaced, [R1, R2], away=(), settled=True) == held
    # A new leader has not missed r1 for long yet: the stand-in goes on, it is not left for who is away.
    assert plan({"a": 1}, replaced, [R2], away=(), settled=True) == replaced


def test_a_lone_recorder_keeps_its_cameras_while_it_is_away() -> None:
    held = {"a": RecorderPlacement(("r1",), ("r1",))}
    assert plan({"a": 1}, held, [], away={"r1"}, settled=True) == held


def test_a_draining_recorder_is_stood_in_for_at_once() -> None:
    held = {"a": RecorderPlacement(("r1",), ("r1",))}
    leaving = WorkerCandidate("r1", draining=True)
    assert plan({"a": 1}, held, [leaving, R2], away=(), settled=False) == {"a": RecorderPlacement(("r2",), ("r1",))}
    assert plan({"a": 1}, held, [leaving], away=(), settled=False) == held


def test_homes_move_forward_to_a_new_recorder_a_few_at_a_time_and_come_to_rest() -> None:
    held = {f"cam-{n:02d}": RecorderPlacement((f"r{n % 2 + 1}",), (f"r{n % 2 + 1}",)) for n in range(30)}
    copies = dict.fromkeys(held, 1)
    assert plan(copies, held, ALL, away=(), settled=True) == held
    for _round in range(10):
        after = plan(copies, held, ALL, away=(), settled=True, balancing=True)
        assert sum(after[camera] != held[camera] for camera in held) <= LEAST_MOVES
        held = after
    assert Counter(kept.homes for kept in held.values()) == {("r1",): 10, ("r2",): 10, ("r3",): 10}
    assert all(kept.workers == kept.homes for kept in held.values())


def test_a_stand_in_becomes_the_home_where_the_recorder_never_returns() -> None:
    stood_in = {"a": RecorderPlacement(("r2",), ("r1",))}
    assert plan({"a": 1}, stood_in, [R2, R3], away={"r1"}, settled=True) == stood_in
    after = plan({"a": 1}, stood_in, [R2, R3], away={"r1"}, lost={"r1"}, settled=True)
    assert after == {"a": RecorderPlacement(("r2",), ("r2",))}


def test_copies_are_on_different_machines_and_one_of_them_where_the_camera_is_ingested() -> None:
    there = [WorkerCandidate(f"r{n}", machine=f"box-{n // 3}") for n in range(9)]
    copies = {f"cam-{n:02d}": 2 for n in range(18)}
    machines = {camera: f"box-{n % 3}" for n, camera in enumerate(sorted(copies))}
    planned = plan(copies, {}, there, away=(), settled=True, machines=machines)
    boxes = {candidate.name: candidate.machine for candidate in there}
    assert all(len({boxes[name] for name in kept.homes}) == 2 for kept in planned.values())
    beside = sum(machines[camera] in {boxes[name] for name in kept.homes} for camera, kept in planned.items())
    assert beside >= 12
    counts = Counter(name for kept in planned.values() for name in kept.homes)
    assert max(counts.values()) - min(counts.values()) <= 2


def test_a_camera_that_is_pinned_to_a_rack_is_recorded_there() -> None:
    there = [WorkerCandidate(f"r{n}", machine=f"box-{n}", rack=f"rack-{n // 2}") for n in range(4)]
    planned = plan({"a": 1, "b": 1}, {}, there, away=(), settled=True, machines={"a": "rack-1", "b": "rack-0"})
    assert planned["a"].homes[0] in ("r2", "r3")
    assert planned["b"].homes[0] in ("r0", "r1")


def test_a_recorders_capacity_is_a_limit() -> None:
    planned = plan(dict.fromkeys("abc", 1), {}, [WorkerCandidate("r1", 2)], away=(), settled=True)
    assert len(planned) == 2


names = st.sampled_from(("r1", "r2", "r3", "r4"))
homes = st.lists(names, min_size=1, max_size=2, unique=True).map(tuple)


@st.composite
def kept(draw: st.DrawFn) -> RecorderPlacement:
    chosen = draw(homes)
    workers = draw(st.lists(names, min_size=len(chosen), max_size=len(chosen), unique=True))
    return RecorderPlacement(tuple(workers), chosen)


@given(
    st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 2)),
    st.dictionaries(st.sampled_from("abcdefgh"), kept()),
    st.dictionaries(names, st.booleans()),
    st.sets(names),
    st.booleans(),
)
def test_copies_are_distinct_and_homes_are_kept(
    copies: dict[str, int],
    current: dict[str, RecorderPlacement],
    there: dict[str, bool],
    missed: set[str],
    settled: bool,
) -> None:
    workers = [WorkerCandidate(name, draining=draining) for name, draining in there.items()]
    away = missed - there.keys()
    planned = plan(copies, current, workers, away=away, settled=settled)
    for camera, after in planned.items():
        assert len(after.workers) == len(after.homes) <= copies[camera]
        assert len(set(after.homes)) == len(after.homes)
        assert len(set(after.workers)) == len(after.workers), "two copies on one recorder"
        before = current.get(camera)
        if before is not None:
            kept_homes = before.homes[: copies[camera]]
            assert after.homes[: len(kept_homes)] == kept_homes
        for home, worker in zip(after.homes, after.workers, strict=True):
            if there.get(home) is False:
                assert worker == home, "a home that is there has not got its camera"
    if settled:
        assert plan(copies, planned, workers, away=away, settled=True) == planned, "the plan does not come to rest"


@given(
    st.dictionaries(st.sampled_from("abcdefghijkl"), st.integers(1, 2)),
    st.dictionaries(st.sampled_from("abcdefghijkl"), kept()),
    st.dictionaries(names, st.tuples(st.integers(0, 8), st.sampled_from(("", "box-1", "box-2")))),
)
def test_balancing_keeps_copies_apart_and_comes_to_rest(
    copies: dict[str, int], current: dict[str, RecorderPlacement], there: dict[str, tuple[int, str]]
) -> None:
    workers = [WorkerCandidate(name, capacity, machine=machine) for name, (capacity, machine) in there.items()]
    away = {"r1", "r2", "r3", "r4"} - there.keys()
    for _round in range(40):
        after = plan(copies, current, workers, away=away, settled=True, balancing=True)
        for placed in after.values():
            assert len(set(placed.homes)) == len(placed.homes) == len(placed.workers) == len(set(placed.workers))
        if after == current:
            return
        current = after
    raise AssertionError("the plan keeps moving cameras")


def test_a_recorder_that_leaves_records_on_until_its_cameras_have_other_homes_a_few_in_a_round() -> None:
    copies = {f"cam-{n:02d}": 1 for n in range(10)}
    held = {camera: RecorderPlacement(("r1",), ("r1",)) for camera in copies}
    recorders = [R1._replace(leaving=True), R2]
    assert plan(copies | {"new": 1}, held, recorders, away=(), settled=True)["new"].homes == ("r2",)
    assert plan(copies, held, recorders, away=(), settled=True) == held
    moved = plan(copies, held, recorders, away=(), settled=True, balancing=True)
    assert Counter(kept for kept in moved.values()) == {
        RecorderPlacement(("r1",), ("r1",)): 10 - LEAST_MOVES,
        RecorderPlacement(("r2",), ("r2",)): LEAST_MOVES,
    }
    for _ in range(2):
        moved = plan(copies, moved, recorders, away=(), settled=True, balancing=True)
    assert {kept.homes for kept in moved.values()} == {("r2",)}


def test_a_stand_in_that_leaves_is_replaced_and_the_home_that_is_away_stays_home() -> None:
    held = {"a": RecorderPlacement(("r2",), ("r1",))}
    recorders = [R2._replace(leaving=True), R3]
    assert plan({"a": 1}, held, recorders, away={"r1"}, settled=True, balancing=True) == {
        "a": RecorderPlacement(("r3",), ("r1",))
    }


def test_two_copies_on_one_machine_are_parted_when_another_machine_comes() -> None:
    one = [R1._replace(machine="m1"), R2._replace(machine="m1")]
    held = plan({"a": 2}, {}, one, away=(), settled=True, balancing=True)
    assert held == {"a": RecorderPlacement(("r1", "r2"), ("r1", "r2"))}
    two = [*one, R3._replace(machine="m2")]
    parted = plan({"a": 2}, held, two, away=(), settled=True, balancing=True)
    assert parted == {"a": RecorderPlacement(("r1", "r3"), ("r1", "r3"))}
    assert plan({"a": 2}, parted, two, away=(), settled=True, balancing=True) == parted


def test_who_takes_a_copy_from_a_recorder_that_leaves_is_not_on_the_machine_of_the_other_copy() -> None:
    held = {"a": RecorderPlacement(("r1", "r2"), ("r1", "r2"))}
    r4 = WorkerCandidate("r4", machine="m1")
    recorders = [R1._replace(machine="m1", leaving=True), R2._replace(machine="m2"), R3._replace(machine="m2"), r4]
    planned = plan({"a": 2}, held, recorders, away=(), settled=True, balancing=True)
    assert planned == {"a": RecorderPlacement(("r4", "r2"), ("r4", "r2"))}
