"""What goes next, as a pure matter."""

from collections.abc import Iterator
from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from services.contracts.ladder import Ladder, parse_ladder
from services.contracts.models import Incident, IncidentStatus
from services.recorder.retention.holds import Holds
from services.recorder.retention.rules import RetentionReason, by_age, under_pressure
from services.recorder.storage.paths import RecordedStream
from services.recorder.storage.rows import Segment, SegmentState, Tier

DAY_US = 86_400 * 1_000_000
NOW = 1_700_000_000 * 1_000_000
LADDER = parse_ladder("full 10d, keyframes 60d every 10s")


def segment(age_days: float, tier: Tier = Tier.FULL, camera: str = "cam-1") -> Segment:
    end_us = NOW - round(age_days * DAY_US)
    return Segment(
        RecordedStream("city", camera, "main"), end_us - 60_000_000, end_us, 30_000_000, tier, SegmentState.CLOSED,
        1500, 30, "h264", 1280, 720, "", 0, "rtcp", 0, b"",
    )  # fmt: skip


def nothing_held(_: Segment) -> bool:
    return False


def test_age_thins_then_removes() -> None:
    full = [segment(age) for age in (70, 11, 9)]
    thinned = [segment(age, Tier.KEYFRAMES) for age in (61, 59)]
    actions = by_age(full, thinned, LADDER, NOW, nothing_held)
    assert [(a.segment, a.thin, a.because) for a in actions] == [
        (full[0], False, RetentionReason.AGE),
        (full[1], True, RetentionReason.AGE),
        (thinned[0], False, RetentionReason.AGE),
    ]
    assert [a.thin for a in by_age([segment(11)], [], parse_ladder("full 10d"), NOW, nothing_held)] == [False]
    assert by_age([segment(9999)], [], parse_ladder("full for ever"), NOW, nothing_held) == []


def test_pressure_thins_the_oldest_first_then_removes_thinned_then_the_young() -> None:
    full = [segment(age) for age in (9, 8, 0.5)]
    thinned = [segment(age, Tier.KEYFRAMES) for age in (50, 40)]

    def run(ladder: Ladder, *, urgent: bool) -> list[tuple[Segment, bool]]:
        actions = under_pressure(
            lambda: iter(full),
            lambda: iter(thinned),
            lambda _: ladder,
            NOW,
            nothing_held,
            RetentionReason.FLOOR,
            urgent=urgent,
        )
        return [(action.segment, action.thin) for action in actions]

    calm = run(LADDER, urgent=False)
    assert calm[:5] == [(full[0], True), (full[1], True), (thinned[0], False), (thinned[1], False), (full[0], False)]
    assert calm[-1] == (full[2], False)
    assert run(parse_ladder("full 10d"), urgent=False)[0] == (full[0], False)
    assert run(LADDER, urgent=True)[:3] == [(thinned[0], False), (thinned[1], False), (full[0], False)]


ages = st.lists(st.floats(0.01, 100), max_size=12).map(lambda found: sorted(found, reverse=True))


@given(ages, ages, st.floats(0, 100), st.floats(0, 100), st.booleans())
def test_what_is_held_never_goes(full: list[float], thin: list[float], a: float, b: float, urgent: bool) -> None:
    incident = Incident(
        id="i-1",
        title="t",
        cameras=("cam-1",),
        from_us=NOW - round(max(a, b) * DAY_US),
        to_us=NOW - round(min(a, b) * DAY_US),
    )
    holds = Holds([incident], NOW)

    def held(item: Segment) -> bool:
        return holds.held(item.stream.camera, item.start_us, item.end_us)

    fulls, thins = [segment(age) for age in full], [segment(age, Tier.KEYFRAMES) for age in thin]

    def again(items: list[Segment]) -> Iterator[Segment]:
        return iter(items)

    pressed = under_pressure(
        lambda: again(fulls), lambda: again(thins), lambda _: LADDER, NOW, held, RetentionReason.BUDGET, urgent=urgent
    )
    gone = [action.segment for action in [*by_age(fulls, thins, LADDER, NOW, held), *islice(pressed, 1000)]]
    assert not any(held(item) for item in gone)
    assert {item for item in fulls + thins if not held(item)} == {*gone}


def test_a_hold_lasts_until_its_release() -> None:
    base = Incident(id="i-1", title="t", cameras=("cam-1",), from_us=0, to_us=100)
    assert Holds([base], NOW).held("cam-1", 50, 60)
    assert not Holds([base], NOW).held("cam-1", 100, 160)
    assert not Holds([base], NOW).held("cam-2", 50, 60)
    assert Holds([base.model_copy(update={"to_us": None})], NOW).held("cam-1", NOW, NOW + 1)
    closed = base.model_copy(update={"status": IncidentStatus.CLOSED, "closed_us": NOW - 10})
    assert Holds([closed], NOW).held("cam-1", 50, 60)
    assert Holds([closed.model_copy(update={"release_us": NOW + 1})], NOW).held("cam-1", 50, 60)
    assert not Holds([closed.model_copy(update={"release_us": NOW})], NOW).held("cam-1", 50, 60)
