"""The cache of pictures never holds more than it may, and forgets what nobody asks for."""

from hypothesis import given
from hypothesis import strategies as st

from services.wall.front.pictures.picture_cache import PictureCache, Snapshot


def snapshot(size_bytes: int) -> Snapshot:
    return Snapshot(b"x" * size_bytes, (0, 0), 0)


def test_what_was_asked_for_last_stays() -> None:
    cache: PictureCache[str] = PictureCache(300)
    for key in "abc":
        cache.keep_picture(key, snapshot(100))
    assert cache.find_picture("a")
    cache.keep_picture("d", snapshot(100))
    assert [key for key in "abcd" if cache.find_picture(key)] == ["a", "c", "d"]


def test_a_picture_larger_than_the_cache_is_not_kept() -> None:
    cache: PictureCache[str] = PictureCache(10)
    cache.keep_picture("a", snapshot(11))
    assert (len(cache), cache.size_bytes) == (0, 0)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 60)), max_size=60))
def test_it_counts_what_it_holds(puts: list[tuple[int, int]]) -> None:
    cache: PictureCache[int] = PictureCache(100)
    held: dict[int, int] = {}
    for key, size in puts:
        cache.keep_picture(key, snapshot(size))
        held[key] = size
        held = {key: size for key, size in held.items() if cache.find_picture(key)}
        assert cache.size_bytes == sum(held.values()) <= 100
        assert len(cache) == len(held)
