"""Placement: no process too full, no camera moved without need, a crashing camera alone in the end."""

from hypothesis import given
from hypothesis import strategies as st

from services.ingest.placement import Placement


def test_one_process_is_there_before_any_camera() -> None:
    assert Placement(50).processes == {0: ()}


def test_processes_are_filled_one_after_the_other() -> None:
    placement = Placement(50)
    placement.update(f"cam-{n}" for n in range(120))
    assert [len(cameras) for cameras in placement.processes.values()] == [50, 50, 20]


def test_who_stays_is_not_moved_and_who_leaves_makes_room() -> None:
    placement = Placement(2)
    placement.update(["a", "b", "c"])
    placement.update(["b", "c", "d"])
    assert placement.processes == {0: ("b", "d"), 1: ("c",)}
    placement.update([])
    assert placement.processes == {0: ()}


def test_what_was_there_before_stays_where_it_is_and_new_processes_have_new_numbers() -> None:
    placement = Placement(2)
    placement.found({1: ("a", "b"), 4: ("c",)})
    placement.update(["a", "c", "d", "e"])
    assert placement.processes == {0: (), 1: ("a", "d"), 4: ("c", "e")}
    placement.update(["a", "c", "d", "e", "f", "g", "h"])
    assert placement.processes == {0: ("f", "g"), 1: ("a", "d"), 4: ("c", "e"), 5: ("h",)}


def test_a_camera_that_crashes_its_process_ends_up_alone() -> None:
    placement = Placement(50)
    cameras = [f"cam-{n}" for n in range(50)]
    placement.update(cameras)
    crashes = 0
    while len(where := next(each for each in placement.processes.items() if "cam-37" in each[1])[1]) > 1:
        placement.split(next(number for number, placed in placement.processes.items() if placed == where))
        crashes += 1
    assert crashes <= 6
    placement.split(next(number for number, placed in placement.processes.items() if placed == ("cam-37",)))
    assert sorted(camera for placed in placement.processes.values() for camera in placed) == sorted(cameras)
    placement.update([*cameras, "new"])
    assert ("cam-37",) in placement.processes.values()


@given(st.integers(1, 4), st.lists(st.one_of(st.sets(st.sampled_from("abcdefghij")), st.integers(0, 5)), max_size=12))
def test_every_camera_is_in_exactly_one_process(limit: int, steps: list[set[str] | int]) -> None:
    placement = Placement(limit)
    wanted: set[str] = set()
    for step in steps:
        if isinstance(step, int):
            placement.split(step)
        else:
            wanted = step
            placement.update(sorted(wanted))
        placed = [camera for cameras in placement.processes.values() for camera in cameras]
        assert sorted(placed) == sorted(wanted)
        assert all(len(cameras) <= limit for cameras in placement.processes.values())
