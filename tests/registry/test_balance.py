"""Which worker gives a camera to which other."""

from services.registry.balance import WorkerCandidate, moves_at_once, next_move

PAIR = {name: WorkerCandidate(name, 100) for name in ("a", "b")}


def test_nothing_moves_within_a_tenth_of_the_fair_share() -> None:
    assert next_move(PAIR, {"a": 55, "b": 45}) is None
    assert next_move(PAIR, {"a": 56, "b": 44}) == ("a", "b")


def test_an_empty_worker_gets_a_share_though_nobody_has_much_more_than_its_own() -> None:
    ten = {f"w{n}": WorkerCandidate(f"w{n}", 100) for n in range(10)}
    assert next_move(ten, dict.fromkeys(ten, 10) | {"w9": 0}) is not None


def test_a_move_that_helps_nothing_is_not_made() -> None:
    assert next_move(PAIR, {"a": 1, "b": 0}) is None
    assert next_move({"a": WorkerCandidate("a", 10)}, {"a": 5}) is None
    assert next_move(PAIR, {"a": 60, "b": 40}, but={"a"}) is None


def test_a_round_moves_a_hundredth_of_all_or_a_few() -> None:
    assert moves_at_once(30) == 4
    assert moves_at_once(10_000) == 100
