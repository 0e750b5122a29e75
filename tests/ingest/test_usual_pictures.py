"""What takes pictures one by one and what takes some together come to the same."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from services.contracts.frames import Codec, encode_fields
from services.ingest.gop import GopCache
from services.ingest.keeping.chunks import CHUNK_MESSAGES, KeptCamera
from services.ingest.meter import Meter
from services.ingest.pace import Pace
from services.ingest.usual_pictures import UsualPictures

CUTS = st.lists(st.integers(0, 39), max_size=8)


def made(gaps_us: Iterable[int], sizes: Sequence[int], keyframes: Sequence[int]) -> UsualPictures:
    arrivals_us = [1_000_000]
    for gap_us in gaps_us:
        arrivals_us.append(arrivals_us[-1] + gap_us)
    messages = [
        encode_fields(keyframe, Codec.H264, 1, number, 0, 0, 0, 0, 0, bytes(size))
        for number, (size, keyframe) in enumerate(zip(sizes, keyframes, strict=True))
    ]
    return UsualPictures(messages, arrivals_us[1:], range(0, 3600 * len(sizes), 3600), sizes, keyframes)


@st.composite
def pictures(draw: st.DrawFn) -> UsualPictures:
    """Of one camera; a few of them fill a chunk, and some come long after the one before."""
    count = draw(st.integers(1, 40))

    def some_of(*values: int) -> list[int]:
        return draw(st.lists(st.sampled_from(values), min_size=count, max_size=count))

    gaps_us, sizes = some_of(0, 1_000, 40_000, 900_000, 6_000_000), some_of(1, 90, 700, 300_000)
    return made(gaps_us, sizes, some_of(0, 0, 0, 1))


def cut(run: UsualPictures, cuts: Iterable[int]) -> list[UsualPictures]:
    """The same in runs that begin at these places."""
    count = len(run.messages)
    places = [*sorted({0, *(place for place in cuts if place < count)}), count]
    return [
        UsualPictures(
            run.messages[begin:end],
            run.arrivals_us[begin:end],
            run.dts_90k[begin:end],
            run.payload_bytes[begin:end],
            run.keyframes[begin:end],
        )
        for begin, end in pairwise(places)
    ]


def single(run: UsualPictures) -> list[UsualPictures]:
    return cut(run, range(len(run.messages)))


@given(pictures(), CUTS)
def test_a_meter_measures_runs_as_it_does_single_pictures(run: UsualPictures, cuts: list[int]) -> None:
    together, apart = Meter(), Meter()
    for meter, parts in ((together, cut(run, cuts)), (apart, single(run))):
        for part in parts:
            meter.add_run(part.arrivals_us, part.dts_90k, part.payload_bytes, part.keyframes)
    assert vars(together) == vars(apart)


@given(pictures(), CUTS, st.sampled_from((100, 2000, 10**6)))
def test_a_cached_gop_is_the_same_of_runs_and_of_single_pictures(
    run: UsualPictures, cuts: list[int], max_bytes: int
) -> None:
    together, apart = GopCache(max_bytes=max_bytes), GopCache(max_bytes=max_bytes)
    for message, keyframe in zip(run.messages, run.keyframes, strict=True):
        apart.add(message, keyframe=keyframe > 0)
    for part in cut(run, cuts):
        together.add_run(part.messages, part.keyframes)
    assert vars(together) == vars(apart)


@given(pictures(), CUTS)
def test_a_source_s_pace_is_that_of_its_pictures_however_many_come_together(
    run: UsualPictures, cuts: list[int]
) -> None:
    together, apart = Pace(), Pace()
    for pace, parts in ((together, cut(run, cuts)), (apart, single(run))):
        for part in parts:
            pace.add(*part.arrivals_us)
    assert vars(together) == vars(apart)


@given(pictures(), CUTS)
def test_what_is_kept_of_runs_is_what_is_kept_of_single_pictures(run: UsualPictures, cuts: list[int]) -> None:
    check_kept(run, cuts)


def test_a_chunk_of_many_small_pictures_ends_within_a_run() -> None:
    count = CHUNK_MESSAGES + 100
    check_kept(made([0] * count, [1] * count, [1] + [0] * (count - 1)), range(0, count, 7))


def check_kept(run: UsualPictures, cuts: Iterable[int]) -> None:
    together, apart = KeptCamera("city", "cam-1"), KeptCamera("city", "cam-1")
    for message in run.messages:
        apart.add_message(message, 0.0)
    for part in cut(run, cuts):
        together.add_messages(part.messages, 0.0)
    assert [(chunk.messages, chunk.size_bytes) for chunk in together.chunks] == [
        (chunk.messages, chunk.size_bytes) for chunk in apart.chunks
    ]
    assert together.memory_bytes == apart.memory_bytes
