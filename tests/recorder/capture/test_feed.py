"""The way of a frame from a worker's keep into a file: each frame exactly once and in order, after any loss."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.recorder.capture.feed_model import GOP, ModelWorker, World

steps = st.one_of(
    st.tuples(st.just("frames"), st.integers(1, 3 * GOP)),
    st.tuples(st.just("lost"), st.integers(1, 2 * GOP)),
    st.tuples(st.just("away"), st.integers(1, 6 * GOP)),
    st.tuples(st.just("offer"), st.just(1)),
    st.tuples(st.just("pull"), st.integers(1, 12)),
    st.tuples(st.just("break"), st.just(1)),
    st.tuples(st.just("acknowledge"), st.integers(1, 2)),
    st.tuples(st.just("crash"), st.just(1)),
    st.tuples(st.just("move"), st.integers(0, GOP + 2)),
    st.tuples(st.just("full"), st.integers(1, 3 * GOP)),
)


def carry_out(world: World, step: str, count: int) -> None:
    match step:
        case "frames":
            for _ in range(count):
                world.frame()
        case "lost":
            for _ in range(count):
                world.frame(lost=True)
        case "away":
            world.bus = False
            for _ in range(count):
                world.frame()
            world.bus = True
        case "offer":
            world.offer()
        case "pull":
            world.step_pull(count)
        case "break":
            world.break_pull()
        case "acknowledge":
            world.acknowledge(twice=count == 2)
        case "crash":
            world.crash()
        case "move":
            world.move(count)
        case "full":
            world.taker.fails = True
            for _ in range(count):
                world.frame()
            world.taker.fails = False


@settings(max_examples=300, deadline=None)
@example([("offer", 1), ("offer", 1), ("frames", 21), ("move", 0), ("pull", 1)])  # nobody was asked in time
@given(st.lists(steps, max_size=40))
def test_every_frame_is_recorded_exactly_once_and_in_order_whatever_was_lost_killed_or_moved(
    script: list[tuple[str, int]],
) -> None:
    world = World()
    for step, count in script:
        carry_out(world, step, count)
    world.settle()
    numbers = world.numbers()
    assert numbers == list(range(numbers[-1] + 1))


def test_a_nats_server_that_lost_its_store_and_counts_epochs_anew_stops_no_recording() -> None:
    world = World()
    world.workers[0].epoch = 500
    for _ in range(40):
        world.frame()
    world.settle()
    while world.sent % GOP:
        world.frame()
    world.workers[0].epoch = 3  # the same worker reads on
    for _ in range(12):
        world.frame()
    world.settle()
    world.workers[0].stop()
    world.workers.append(ModelWorker("w-1", 2, 2_000_000_000))  # another is started
    while world.sent % GOP:
        world.frame()
    for _ in range(12):
        world.frame()
    world.settle()
    numbers = world.numbers()
    assert numbers == sorted(set(numbers))
    assert numbers[-1] >= 60
