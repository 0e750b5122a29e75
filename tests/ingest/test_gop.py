"""The GOP cache: bounded, and never a GOP with a hole in it."""

from hypothesis import given
from hypothesis import strategies as st

from services.ingest.gop import GopCache


def test_a_keyframe_begins_anew() -> None:
    cache = GopCache(max_bytes=1000)
    for index in range(7):
        cache.add(b"%d" % index, keyframe=index in (1, 4))
    assert cache.snapshot() == (b"4", b"5", b"6")


def test_nothing_is_kept_before_the_first_keyframe() -> None:
    cache = GopCache(max_bytes=1000)
    cache.add(b"p", keyframe=False)
    assert cache.snapshot() == ()


def test_a_gop_that_is_too_long_leaves_its_keyframe() -> None:
    cache = GopCache(max_bytes=3)
    for index in range(6):
        cache.add(b"%d" % index, keyframe=index == 0)
    assert cache.snapshot() == (b"0",)
    assert cache.size_bytes == 1


def test_a_gop_of_many_small_pictures_is_kept() -> None:
    cache = GopCache(max_bytes=1_000_000)
    for index in range(5000):
        cache.add(b"picture", keyframe=index == 0)
    assert len(cache.snapshot()) == 5000


def test_a_snapshot_is_not_touched_by_what_comes() -> None:
    cache = GopCache(max_bytes=1000)
    cache.add(b"k", keyframe=True)
    taken = cache.snapshot()
    cache.add(b"p", keyframe=False)
    cache.clear()
    assert taken == (b"k",)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 60))), st.integers(0, 200))
def test_bounds_hold_and_what_is_kept_is_a_run_of_frames(frames: list[tuple[bool, int]], max_bytes: int) -> None:
    cache = GopCache(max_bytes=max_bytes)
    for index, (keyframe, size) in enumerate(frames):
        cache.add(index.to_bytes(4, "big") + bytes(size), keyframe=keyframe)
        kept = cache.snapshot()
        assert sum(map(len, kept)) == cache.size_bytes <= max_bytes
        numbers = [int.from_bytes(message[:4], "big") for message in kept]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers))) if numbers else True
        if numbers:
            assert frames[numbers[0]][0]
            assert numbers[-1] == index or len(numbers) == 1
