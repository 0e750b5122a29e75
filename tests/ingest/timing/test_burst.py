"""Segments that come at once are handed on at the pace of their times, and nothing of them is dropped."""

from itertools import pairwise

from services.ingest.readers.source import Packet
from services.ingest.timing.burst import AHEAD_US, BurstPacer

SECOND_US = 1_000_000


def packet(number: int) -> Packet:
    return Packet("video", b"x" * 100, 3600 * number, 3600 * number, 0)


def paced(arrivals: list[tuple[int, Packet]]) -> list[tuple[int, int]]:
    """(when handed on, its time) of (arrival, packet), with the clock turned by a millisecond at a time."""
    pacer, found, now_us, waiting = BurstPacer(), [], 0, list(arrivals)
    while waiting or len(pacer):
        while waiting and waiting[0][0] <= now_us:
            pacer.put(waiting.pop(0)[1], now_us)
        for each in pacer.due(now_us):
            assert each.arrival_us <= now_us
            found.append((now_us, each.pts_90k or 0))
        now_us += 1000
    return found


def test_segments_of_ten_seconds_flow_evenly_and_whole() -> None:
    """Three segments at once at the beginning, as libav reads a live playlist, then one each ten seconds."""
    arrivals = [(max(0, number // 250 - 2) * 10 * SECOND_US, packet(number)) for number in range(250 * 8)]
    out = paced(arrivals)
    assert [pts for _, pts in out] == [3600 * number for number in range(250 * 8)]
    gaps = [b - a for (a, _), (b, _) in pairwise(out)]
    assert max(gaps) <= 41_000
    assert min(gaps) >= 39_000


def test_a_segment_that_is_late_pauses_once_and_then_flows() -> None:
    arrivals = [((number // 250) * 10 * SECOND_US, packet(number)) for number in range(250 * 6)]
    arrivals = [(at + (3 * SECOND_US if number >= 750 else 0), each) for number, (at, each) in enumerate(arrivals)]
    out = paced(arrivals)
    assert len(out) == 1500
    gaps = [b - a for (a, _), (b, _) in pairwise(out)]
    assert sum(gap > 100_000 for gap in gaps) == 1


def test_times_that_jump_or_are_missing_stop_nothing() -> None:
    numbers = [0, 1, 2, 10_000_000, 10_000_001, 3, 4]
    packets = [packet(number) for number in numbers]
    packets.append(Packet("video", b"x", None, None, 0))
    out = paced([(0, each) for each in packets])
    assert len(out) == len(packets)
    assert out[-1][0] < SECOND_US


def test_nothing_waits_for_ever_and_what_is_too_much_goes_at_once() -> None:
    pacer = BurstPacer()
    for number in range(0, 250 * 200, 200):
        pacer.put(packet(number), 0)
    last = pacer.next_us
    assert last is not None
    assert len(pacer.due(2 * AHEAD_US)) == 250
    for number in range(100):
        pacer.put(Packet("video", b"x" * 1024 * 1024, 3600 * number, None, 0), 0)
    assert len(pacer.due(0)) >= 36
