"""Who records what: footage stays where it is."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from services.registry.plan_ingest import WorkerCandidate
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


def test_balance_never_moves_a_camera() -> None:
    held = {f"cam-{n:02d}": RecorderPlacement(("r1",), ("r1",)) for n in range(30)}
    assert plan(dict.fromkeys(held, 1), held, ALL, away=(), settled=True) == held


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
