import pytest

from services.wall.relay.sending.pace import (
    BEGIN_SHARE,
    CUT,
    DOUBLE_SECONDS,
    FORGET_SECONDS,
    LEAST_BPS,
    REACT_SECONDS,
    BulkPace,
)

FULL = 100e6


def test_a_bulk_begins_slowly_and_doubles_up_to_the_full_pace() -> None:
    pace = BulkPace(FULL)
    assert pace.rate_bps(5.0) == BEGIN_SHARE * FULL
    assert pace.rate_bps(5.0 + DOUBLE_SECONDS) == pytest.approx(2 * BEGIN_SHARE * FULL)
    assert pace.rate_bps(6.0) == FULL
    pace.end()
    assert pace.rate_bps(7.0) == BEGIN_SHARE * FULL


def test_requests_for_one_loss_halve_the_pace_once() -> None:
    pace = BulkPace(FULL)
    pace.rate_bps(0.0)
    for at in (1.0, 1.01, 1.0 + 0.9 * REACT_SECONDS):
        pace.note_loss(at)
    assert pace.rate_bps(1.0 + REACT_SECONDS) == CUT * FULL  # what was lost at is not reached again
    pace.note_loss(1.5)
    assert pace.rate_bps(1.5) == CUT * CUT * FULL


def test_the_next_bulk_stays_below_what_was_lost_at_until_that_is_long_ago() -> None:
    pace = BulkPace(FULL)
    pace.rate_bps(0.0)
    pace.note_loss(1.0)
    pace.end()
    assert pace.rate_bps(2.0) == BEGIN_SHARE * CUT * FULL
    assert pace.rate_bps(3.0) == CUT * FULL
    assert pace.rate_bps(1.0 + FORGET_SECONDS) == FULL


def test_a_loss_of_live_frames_says_nothing_of_bulk() -> None:
    pace = BulkPace(FULL)
    pace.note_loss(1.0)
    assert pace.rate_bps(2.0) == BEGIN_SHARE * FULL


def test_the_pace_has_a_floor_that_a_slow_setting_lies_below() -> None:
    pace = BulkPace(FULL)
    pace.rate_bps(0.0)
    for second in range(20):
        pace.note_loss(float(second))
    assert pace.rate_bps(20.0) == LEAST_BPS
    pace.least_bps = 30e6  # live frames take 20
    assert pace.rate_bps(20.0) == 30e6
    assert BulkPace(2e6).rate_bps(0.0) == 2e6


def lost(pace: BulkPace | None, bulks: int) -> list[int]:
    """Packets lost in each bulk of 6 MB at a receiver that holds 90, reads 15 packets a ms and rests
    for 12 of 40 ms."""
    losses = []
    now = 0.0
    asked: list[float] = []
    for _ in range(bulks):
        left, queue, tokens, count = 6_000_000, 0.0, 0.0, 0
        while left > 0:
            now += 0.001
            while asked and asked[0] <= now:
                asked.pop(0)
                if pace is not None:
                    pace.note_loss(now)
            tokens += (pace.rate_bps(now) if pace is not None else FULL) / 8000
            packets = int(tokens // 1200)
            tokens -= packets * 1200
            left -= packets * 1200
            if round(now * 1000) % 40 >= 12:
                queue = max(0.0, queue - 15)
            queue += packets
            if queue > 90:
                count += int(queue - 90)
                queue = 90.0
                asked.append(now + 0.02)
        losses.append(count)
        if pace is not None:
            pace.end()
        now += 2.0
    return losses


def test_a_receiver_that_stalls_loses_little_of_the_first_bulk_and_nothing_of_the_next() -> None:
    steady, paced = lost(None, 4), lost(BulkPace(FULL), 4)
    assert min(steady) > 100
    assert paced[0] < steady[0] / 4
    assert paced[1:] == [0, 0, 0]
