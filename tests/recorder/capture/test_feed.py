"""The way of a frame from a worker's keep into a file: each frame exactly once and in order, after any loss."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.contracts.frames import AccessUnit, Codec, Flags, decode, encode
from services.ingest.keeping.chunks import messages_behind
from services.recorder.capture.feed import FeedState, RecorderFeed
from tests.recorder.capture.feed_model import GOP, ModelTaker, ModelWorker, World

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
@example(
    [
        *(("offer", 1), ("frames", 11), ("crash", 1), ("move", 0), ("frames", 9), ("pull", 1)),
        *(("break", 1), ("frames", 5), ("pull", 1)),
    ]
)  # what was broken off comes before what is newer
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


@given(before=st.integers(GOP, 4 * GOP), overlap=st.integers(0, 3 * GOP), late_us=st.integers(-900_000, 900_000))
@example(before=12, overlap=8, late_us=340_000)
def test_workers_that_disagree_about_the_time_record_no_frame_twice_and_miss_none_at_a_move(
    before: int, overlap: int, late_us: int
) -> None:
    world = World()
    for _ in range(before):
        world.frame()
        world.step_pull(1000)
    world.move(overlap, late_us=late_us)
    world.settle()
    assert world.numbers() == list(range(len(world.numbers())))


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


def test_sound_keeps_its_place_among_the_pictures_while_a_hole_is_filled() -> None:
    taken: list[tuple[str, int]] = []

    class Taker(ModelTaker):
        def take_picture(self, unit: AccessUnit) -> None:
            super().take_picture(unit)
            taken.append(("picture", unit.sequence))

        def take_sound(self, unit: AccessUnit) -> None:
            taken.append(("sound", unit.sequence))

    taker = Taker([])
    feed = RecorderFeed(taker, positions={}, end_us=None, now=0.0)
    worker = ModelWorker("w-0", 1, 0)
    frames_read: list[AccessUnit] = []
    for number in range(10):
        picture = worker.read(number, 0.0)
        assert picture is not None
        sound = picture._replace(codec=Codec.PCM_ALAW, flags=Flags.KEYFRAME)
        worker.kept.add_message(encode(sound), 0.0)
        frames_read += [picture, sound]
    for unit in frames_read[:4] + frames_read[12:]:  # pictures 3 to 6 are lost on the bus
        feed.live(unit, 0.0)
    feed.offered("w-0", tuple(worker.kept.runs()), 0.1)
    now = 0.2
    while feed.state is not FeedState.LIVE:
        now += 0.3
        pull = feed.next_pull(now)
        assert pull is not None
        kept = [each for chunk in worker.kept.chunks for each in messages_behind(chunk.messages or [], pull.after)]
        for message in kept:
            if feed.pulling is pull:
                feed.pulled(decode(message))
        if feed.pulling is pull:
            feed.pull_ended(now, complete=True)
    assert feed.state is FeedState.LIVE
    assert [each for each in taken if each[0] == "picture"] == [("picture", number) for number in range(1, 11)]
    heard = [number for kind, number in taken if kind == "sound"]
    assert sorted(set(heard)) == list(range(1, 11))


def test_a_worker_that_keeps_what_is_missing_is_not_given_up_because_it_is_slow_to_answer() -> None:
    world = World()
    for _ in range(12):
        world.frame()
    for _ in range(20):  # each question runs into its timeout
        world.now += 5.0
        world.offer()
        world.step_pull(0)
        world.break_pull()
        world.frame()
    world.settle()
    assert world.numbers() == list(range(world.numbers()[-1] + 1))


def test_a_recorder_that_was_frozen_listens_before_it_gives_anything_up() -> None:
    world = World()
    world.frame()
    world.crash()
    for _ in range(8):
        world.frame()
    world.now += 30.0
    world.step_pull(0)
    world.settle()
    assert world.numbers() == list(range(world.numbers()[-1] + 1))
