"""What is given up under too much load: by rule, step by step, never all; and taken back when there is room."""

from services.ingest.overload import VERY_LATE_SECONDS, WorkerLoad
from services.ingest.shedding import BACK_LOOKS, KEPT_SHARE, RELAPSE_LOOKS, SheddableCamera, Shedding, shed_text

WATCHED = SheddableCamera(recorded=True, priority=5, sub_open=True)
PLAIN = SheddableCamera(recorded=True, priority=5, sub_open=False)
UNRECORDED = SheddableCamera(recorded=False, priority=9, sub_open=False)
LOSES = WorkerLoad(cpu=1.0, late_seconds=0.0, dropped=1)
URGENT = LOSES._replace(late_seconds=VERY_LATE_SECONDS)
FULL = WorkerLoad(cpu=1.0, late_seconds=0.0, dropped=0)
HUNDRED = {f"cam-{number:03d}": PLAIN for number in range(100)}


def overloaded(shedding: Shedding, cameras: dict[str, SheddableCamera], looks: int) -> list[dict[str, str]]:
    """What was given up after each look."""
    seen: list[dict[str, str]] = []
    for _ in range(looks):
        shedding.look(cameras, LOSES, overloaded=True)
        seen.append(dict(shedding.shed))
    return seen


def test_small_streams_go_first_then_cameras_not_recorded_then_the_lowest_priority() -> None:
    shedding = Shedding()
    cameras = {"a": WATCHED, "b": UNRECORDED, "c": PLAIN._replace(priority=1), "d": PLAIN, "e": PLAIN, "f": PLAIN}
    order: list[tuple[str, str]] = []
    for shed in overloaded(shedding, cameras, 60):
        order += [pair for pair in shed.items() if pair not in order]
    assert order == [("a", "sub"), ("b", "camera"), ("c", "camera"), ("a", "camera"), ("d", "camera")]


def test_a_step_is_a_tenth_and_the_next_waits_for_what_the_load_says_then() -> None:
    sizes = [len(shed) for shed in overloaded(Shedding(), HUNDRED, 7)]
    assert sizes == [10, 10, 10, 20, 20, 20, 30]


def test_a_worker_that_uses_all_of_its_cpu_and_keeps_up_with_its_cameras_gives_none_up() -> None:
    shedding = Shedding()
    for _ in range(20):
        shedding.look(dict.fromkeys("abcdef", PLAIN), FULL, overloaded=True)
    assert not shedding.shed


def test_a_step_is_larger_where_the_lease_is_in_danger() -> None:
    shedding = Shedding()
    shedding.look(dict.fromkeys("abcdefghij", PLAIN), URGENT, overloaded=True)
    assert list(shedding.shed) == list("abc")


def test_at_least_a_quarter_is_read_however_long_it_lasts() -> None:
    for count in (1, 2, 3, 5, 9, 10, 101):
        shedding = Shedding()
        cameras = {f"cam-{number:03d}": PLAIN for number in range(count)}
        overloaded(shedding, cameras, 200)
        assert count - len(shedding.shed) >= count * KEPT_SHARE


def test_a_worker_that_lost_its_lease_by_its_load_gives_up_all_but_one_until_it_is_back() -> None:
    shedding = Shedding()
    for _ in range(20):
        shedding.look(HUNDRED, URGENT._replace(has_lease=False), overloaded=True)
    assert len(shedding.shed) == 99
    left: list[int] = []
    for _ in range(3 * BACK_LOOKS):
        shedding.look(HUNDRED, FULL, overloaded=False)
        left.append(100 - len(shedding.shed))
    assert left == [1] * 4 + [25] * 5 + [26] * 5 + [27]


def test_without_a_lease_the_next_step_does_not_wait_for_what_is_read_late() -> None:
    shedding = Shedding()
    for behind_seconds in (9.0, 8.0, 7.0, 6.0):
        load = FULL._replace(behind_seconds=behind_seconds, has_lease=False)
        shedding.look(HUNDRED, load, overloaded=True)
    assert len(shedding.shed) == 20


def test_at_least_a_quarter_is_read_also_when_those_that_are_read_move_away() -> None:
    shedding = Shedding()
    overloaded(shedding, dict.fromkeys("abcdefghij", PLAIN), 200)
    assert list(shedding.shed) == list("abcdefg")
    shedding.look(dict.fromkeys("abcdefgh", PLAIN), LOSES, overloaded=True)
    assert list(shedding.shed) == list("abcdef")


def test_what_was_given_up_comes_back_when_there_is_room_the_last_first() -> None:
    shedding = Shedding()
    cameras = dict.fromkeys("abcdefghij", PLAIN) | {"z": WATCHED}
    overloaded(shedding, cameras, 7)
    assert list(shedding.shed.items()) == [("z", "sub"), ("a", "camera"), ("b", "camera")]
    left: list[int] = []
    for cpu in (0.45, 0.7):  # of nine cameras: eight more fit, and then of eleven two
        for _ in range(BACK_LOOKS):
            shedding.look(cameras, FULL._replace(cpu=cpu), overloaded=False)
            left.append(len(shedding.shed))
    assert left == [3] * 4 + [0] * 6
    overloaded(shedding, cameras, 4)
    assert shedding.shed == {"z": "sub", "a": "camera"}
    for _ in range(2 * BACK_LOOKS):
        shedding.look(cameras, FULL, overloaded=False)
    assert shedding.shed == {"z": "sub"}, "a camera before a small stream"


def test_behind_a_relapse_a_little_more_is_given_up_each_time_and_no_tenth_at_once() -> None:
    shedding = Shedding()
    overloaded(shedding, HUNDRED, 7)
    for _ in range(BACK_LOOKS):
        shedding.look(HUNDRED, FULL, overloaded=True)
    assert len(shedding.shed) == 29
    assert [len(shed) for shed in overloaded(shedding, HUNDRED, 10)] == [30, 30, 30, 32, 32, 32, 36, 36, 36, 44]


def test_one_comes_back_then_two_and_at_most_a_tenth_of_those_that_are_read() -> None:
    assert coming_back(cpu=0.9) == [60] * 4 + [59] * 5 + [57] * 5 + [53] * 5 + [49] * 5 + [44]


def test_one_of_forty_comes_back_while_all_of_the_cpu_is_used() -> None:
    assert coming_back(cpu=1.0) == [60] * 4 + [59] * 5 + [58] * 5 + [57] * 5 + [56] * 5 + [55]


def coming_back(cpu: float) -> list[int]:
    """How many of a hundred are given up after each look at which cameras come whole, where sixty were."""
    shedding = Shedding()
    overloaded(shedding, HUNDRED, 16)
    left: list[int] = []
    for _ in range(BACK_LOOKS * 5):
        shedding.look(HUNDRED, FULL._replace(cpu=cpu), overloaded=True)
        left.append(len(shedding.shed))
    return left


def test_nothing_comes_back_while_the_loop_is_nearly_so_late_that_the_lease_is_in_danger() -> None:
    shedding = Shedding()
    overloaded(shedding, HUNDRED, 7)
    for _ in range(3 * BACK_LOOKS):
        shedding.look(HUNDRED, FULL._replace(late_seconds=0.7), overloaded=True)
    assert len(shedding.shed) == 30
    shedding.look(HUNDRED, FULL._replace(late_seconds=0.2), overloaded=True)
    assert len(shedding.shed) == 29


def test_a_loop_that_is_late_with_any_number_of_cameras_costs_one_step_which_is_taken_back() -> None:
    shedding = Shedding()
    late = FULL._replace(late_seconds=1.6)
    given_up: list[int] = []
    for looks in range(120):
        shedding.look(HUNDRED, late._replace(late_seconds=1.4 + looks % 3 / 10), overloaded=True)
        given_up.append(len(shedding.shed))
    assert max(given_up) == 10
    assert given_up[-1] == 0, "its cameras come whole"


def test_a_loop_that_a_step_makes_less_late_is_given_another() -> None:
    shedding = Shedding()
    for late_seconds in (2.2, 2.2, 2.2, 1.7, 1.7, 1.7, 1.2):
        shedding.look(HUNDRED, FULL._replace(late_seconds=late_seconds), overloaded=True)
    assert len(shedding.shed) == 30


def test_after_a_relapse_the_same_go_and_come_back_in_halves_of_the_way_to_what_was_too_much() -> None:
    shedding = Shedding()
    well = FULL._replace(cpu=0.4)
    for _ in range(4):
        shedding.look(HUNDRED, URGENT, overloaded=True)
    left = [len(shedding.shed)]
    for _ in range(BACK_LOOKS):
        shedding.look(HUNDRED, well, overloaded=False)
    left.append(len(shedding.shed))  # of 40 with 40 % of the CPU 45 more would fit
    shedding.look(HUNDRED, URGENT, overloaded=True)
    left.append(len(shedding.shed))
    for _ in range(2 * BACK_LOOKS):
        shedding.look(HUNDRED, well, overloaded=False)
    left.append(len(shedding.shed))
    assert left == [60, 38, 60, 49]


def test_what_waits_is_read_before_another_step_is_taken() -> None:
    shedding = Shedding()
    for behind_seconds in (6.0, 5.0, 4.0, 3.0, 2.0, 1.0):
        shedding.look(HUNDRED, FULL._replace(behind_seconds=behind_seconds), overloaded=True)
    assert len(shedding.shed) == 10
    shedding.look(HUNDRED, FULL._replace(behind_seconds=1.0), overloaded=True)
    assert len(shedding.shed) == 20


def test_what_was_too_much_comes_back_later_each_time_until_it_stays() -> None:
    shedding = Shedding()
    cameras = dict.fromkeys("abcdefghij", PLAIN)

    def looks_until_back() -> int:
        while not shedding.shed:
            shedding.look(cameras, LOSES, overloaded=True)
        looks = 0
        while shedding.shed:
            shedding.look(cameras, FULL._replace(cpu=0.5), overloaded=False)
            looks += 1
        return looks

    assert [looks_until_back() for _ in range(3)] == [BACK_LOOKS, 2 * BACK_LOOKS, 4 * BACK_LOOKS]
    for _ in range(RELAPSE_LOOKS):
        shedding.look(cameras, FULL._replace(cpu=0.5), overloaded=False)
    assert looks_until_back() == BACK_LOOKS


def test_a_camera_that_has_moved_away_is_not_given_up_any_more() -> None:
    shedding = Shedding()
    overloaded(shedding, {"a": PLAIN, "b": PLAIN}, 1)
    shedding.look({"b": PLAIN}, FULL._replace(cpu=0.1), overloaded=False)
    assert shedding.shed == {}


def test_it_is_told_in_words() -> None:
    assert shed_text({}) == ""
    assert shed_text({"a": "camera", "b": "sub"}) == "1 cameras are not read, 1 small streams are closed"
