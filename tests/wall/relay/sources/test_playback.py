"""The clock commands of a session's page."""

from typing import cast

from services.contracts.sessions import ClockControl, ClockNotice, Notice
from services.mesh.bus import Bus
from services.mesh.clock import ManualClock
from services.wall.relay.convert.footage import FootageConverter
from services.wall.relay.sources.playback import PlaybackContext, SessionPlayback

START_US = 1_700_000_000_000_000


def test_a_command_that_was_overtaken_by_a_newer_one_moves_no_clock() -> None:
    told: list[Notice] = []
    context = PlaybackContext(
        cast("Bus", None),
        "home",
        lambda: 0,
        lambda _: None,
        lambda _masks: cast("FootageConverter", None),
        ManualClock(START_US + 60_000_000),
    )
    playback = SessionPlayback(context, [], told.append)

    def answer(**fields: object) -> tuple[int, int]:
        playback.control(ClockControl.model_validate(fields))
        notice = told[-1]
        assert isinstance(notice, ClockNotice)
        return notice.at_us - START_US, notice.number

    assert answer(action="seek", at_us=START_US + 2, number=2) == (2, 2)
    assert answer(action="seek", at_us=START_US + 1, number=1) == (2, 2)
    assert answer(action="seek", at_us=START_US + 9, number=2) == (2, 2)
    assert answer(action="seek", at_us=START_US + 3, number=3) == (3, 3)
    assert answer(action="seek", at_us=START_US + 4) == (4, 3)
