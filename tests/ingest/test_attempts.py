"""When and how a source is opened again: what the table in `attempts` says, as counts in the first minute."""

import pytest

from services.contracts.models import Reason
from services.ingest.attempts import SOUND_AGAIN_SECONDS, Pauses, ReaderChoice, ReaderKind, SoundChoice
from services.ingest.readers.source import ReaderEnd, Source
from services.ingest.settings import IngestSettings

RTSP = Source("rtsp://host/1")
BOTH: frozenset[ReaderKind] = frozenset(("direct", "libav"))


def pauses() -> Pauses:
    settings = IngestSettings()
    return Pauses(settings.backoff_min_seconds, settings.backoff_max_seconds)


def attempts(reason: Reason, from_seconds: float, to_seconds: float, *, fails_after: float = 0.0) -> int:
    """How many attempts begin in a time, the first at 0 s, of a source that fails each time."""
    policy, at, count = pauses(), 0.0, 0
    while at < to_seconds:
        count += at >= from_seconds
        at += fails_after + policy.after(reason, 0.0)
    return count


@pytest.mark.parametrize("_try", range(20))
def test_wrong_passwords_are_tried_at_most_three_times_a_minute_and_later_less(_try: int) -> None:
    assert attempts(Reason.UNAUTHORIZED, 0, 60) <= 3
    assert attempts(Reason.UNAUTHORIZED, 600, 1200) <= 5


@pytest.mark.parametrize("_try", range(20))
@pytest.mark.parametrize("reason", [Reason.REFUSED, Reason.TOO_MANY_CLIENTS, Reason.NOT_FOUND, Reason.READER_FAILED])
def test_other_refusals_are_tried_at_most_six_times_in_the_first_minute(_try: int, reason: Reason) -> None:
    assert 4 <= attempts(reason, 0, 60) <= 6


def test_what_delivered_is_opened_again_at_once_each_time() -> None:
    policy = pauses()
    for _ in range(5):
        policy.after(Reason.REFUSED, 0.0)
    assert all(policy.after(Reason.CLOSED, 5.0) < 0.5 for _ in range(20))
    assert policy.after(Reason.CLOSED, 0.5) <= IngestSettings().backoff_min_seconds


def test_auto_begins_direct_and_remembers_why_it_went_to_libav() -> None:
    choice = ReaderChoice("auto", RTSP, BOTH)
    assert choice.kind == "direct"
    assert not choice.ended(ReaderEnd(Reason.REFUSED, "nothing listens"))
    assert choice.kind == "direct"
    assert choice.ended(ReaderEnd(Reason.UNSUPPORTED_CODEC, "VP8", unsuited=True))
    assert (choice.kind, choice.detail) == ("libav", "VP8")
    assert not choice.ended(ReaderEnd(Reason.CLOSED, "", unsuited=True))


@pytest.mark.parametrize(
    ("wanted", "url", "kind"),
    [
        ("auto", "rtsps://host/1", "direct"),
        ("auto", "http://host/1", "libav"),
        ("libav", "rtsp://host/1", "libav"),
        ("direct", "rtsp://host/1", "direct"),
        ("direct", "http://host/1", "libav"),
    ],
)
def test_the_wanted_reader_is_taken_where_it_can_read_the_source(wanted: str, url: str, kind: str) -> None:
    choice = ReaderChoice(wanted, Source(url), BOTH)  # type: ignore[arg-type]  # parametrized with plain strings
    assert choice.kind == kind
    if wanted == "direct":
        assert not choice.ended(ReaderEnd(Reason.BAD_STREAM, "", unsuited=True)), "a person's choice stands"


NOT_FOUND = ReaderEnd(Reason.NOT_FOUND, "404")


@pytest.mark.parametrize("failures", range(6))
@pytest.mark.parametrize("end", [NOT_FOUND, ReaderEnd(Reason.REFUSED, ""), ReaderEnd(Reason.TIMEOUT, "")])
def test_sound_is_back_soon_after_any_number_of_failed_openings(failures: int, end: ReaderEnd) -> None:
    choice = SoundChoice(wanted=True)
    for _ in range(failures):
        choice.failed_to_open(end)
    choice.opened(100.0)
    if not choice.with_sound:
        assert not choice.due(100.0 + SOUND_AGAIN_SECONDS[0] - 1)
        assert choice.due(100.0 + SOUND_AGAIN_SECONDS[0])
    assert choice.with_sound


def test_a_source_that_fails_because_of_its_sound_is_opened_without_and_tried_with_it_ever_later() -> None:
    choice, now, tries = SoundChoice(wanted=True), 0.0, []
    choice.failed_to_open(NOT_FOUND)
    for _ in range(4):
        assert not choice.with_sound
        assert choice.trouble == "404"
        choice.opened(now)
        opened = now
        while not choice.due(now):
            now += 1.0
        tries.append(now - opened)
        choice.failed_to_open(NOT_FOUND)
    assert tries == sorted(tries)
    assert tries[-1] > 4 * tries[0]


def test_a_camera_without_wanted_sound_is_never_opened_with_it() -> None:
    choice = SoundChoice(wanted=False)
    choice.failed_to_open(NOT_FOUND)
    choice.opened(0.0)
    assert not choice.due(1e9)
    assert not choice.with_sound


def test_auto_begins_with_libav_where_direct_could_not_read_the_source_before() -> None:
    choice = ReaderChoice("auto", RTSP, BOTH, learned="VP8")
    assert (choice.kind, choice.detail) == ("libav", "VP8")
    assert ReaderChoice("direct", RTSP, BOTH, learned="VP8").kind == "direct", "a person's choice stands"
    assert ReaderChoice("libav", RTSP, BOTH, learned="VP8").detail == ""
