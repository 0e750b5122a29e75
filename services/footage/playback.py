"""Plays a camera's history as access units, over all recorders that have footage (`services.contracts.playback`)."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Final

from services.contracts import recordings
from services.contracts.errors import PantauError
from services.contracts.frames import AccessUnit, decode
from services.contracts.models import Id
from services.contracts.permissions import SYSTEM, Actor
from services.contracts.playback import PLAYBACK, PlaybackMode, PlaybackOpened, PlaybackQuestion
from services.contracts.recordings import FootageGap, FootageRange, FootageTimeline, TimelineQuestion
from services.footage.owners import NotGrantedError, Owner, SiteAwayError, ask_recorder, open_transfer
from services.footage.timeline import ask_timeline
from services.mesh.backoff import Backoff
from services.mesh.bus import Bus
from services.mesh.clock import Clock
from services.mesh.log import get_logger

log = get_logger()

_AHEAD_US: Final = 3_600_000_000
"""How much of the history one question covers."""
_FAR_US: Final = 365 * 86_400_000_000
"""… and the question after a hole of that length, to find its other end."""
_WINDOW_BYTES: Final = 1024 * 1024
"""Under way for one camera: half a second of 16 Mbit/s."""
_EDGE_SECONDS: Final = (0.6, 2.4)
"""Between two questions for newer footage at the end of the history: at first, and at most while none comes."""
_PATIENCE_SECONDS: Final = 1.0


PlaybackItem = AccessUnit | FootageGap
"""A gap stands where no recorder has footage; one that is still open says that the newest footage was reached."""


class FootagePlayer:
    """Reads one camera's history over all recorders."""

    def __init__(
        self,
        bus: Bus,
        home: Id,
        camera: Id,
        *,
        recorders: Callable[[], int],
        clock: Clock,
        profile: str = "main",
        actor: Actor = SYSTEM,
        owner: Callable[[], Owner | None] = lambda: None,
    ) -> None:
        """``recorders`` says how many are alive; ``owner`` whose the camera is just then, where it is another's."""
        self._owner = owner
        self._bus = bus
        self._home = home
        self._camera = camera
        self._profile = profile
        self._recorders = recorders
        self._clock = clock
        self._actor = actor

    async def read(self, at_us: int, mode: PlaybackMode) -> AsyncGenerator[PlaybackItem, None]:
        """The history from ``at_us`` on (or back, when ``backwards``), without end; close it to stop.

        An open gap comes again with each question that finds it open. Recorders that do not answer are asked again: the
        footage goes on when they are back. Backwards it ends where a year holds nothing.
        """
        backwards = mode == "backwards"
        seen_90k: int | None = None
        patience, edge = Backoff(_PATIENCE_SECONDS), Backoff(*_EDGE_SECONDS)
        while at_us > 0:
            began_us = at_us
            try:
                pieces = await self._look(at_us, backwards=backwards)
                for piece in pieces:
                    if isinstance(piece, FootageGap):
                        if piece.to_us is None and at_us != began_us:
                            break  # the answer is older than the footage that was played since: ask again
                        yield piece
                        if piece.to_us is not None:
                            at_us = piece.from_us - 1 if backwards else piece.to_us
                        continue
                    read = play_range(
                        self._bus, self._home, self._camera, self._profile, piece, mode,
                        actor=self._actor, owner=self._owner(),
                    )  # fmt: skip
                    async with aclosing(read) as units:
                        async for unit in units:
                            if seen_90k is not None and not backwards and unit.dts_90k <= seen_90k:
                                continue  # the GOP that was read when the history ended
                            seen_90k = unit.dts_90k
                            at_us = unit.capture_us + (-1 if backwards else 1)
                            yield unit
                    at_us = min(at_us, piece.from_us - 1) if backwards else max(at_us, piece.to_us)
            except (NotGrantedError, SiteAwayError) as error:
                yield FootageGap(from_us=at_us, to_us=None, cause=error.code)
                await asyncio.sleep(patience.next_seconds())
                continue
            except PantauError as error:
                log.info("playback.interrupted", camera=self._camera, error=error)
                await asyncio.sleep(patience.next_seconds())
                continue
            if backwards and began_us - at_us > _FAR_US:
                return
            if at_us != began_us:
                edge.reset()
                continue
            await asyncio.sleep(edge.next_seconds())

    async def _look(self, at_us: int, *, backwards: bool) -> list[FootageRange | FootageGap]:
        """The next part of the history: an hour of it, or a longer hole to its end."""
        now_us = self._clock.now_us()
        if not backwards and at_us > now_us:
            return [FootageGap(from_us=at_us, to_us=None, cause="future")]
        pieces = await self._pieces(at_us, _AHEAD_US, now_us, backwards=backwards)
        if len(pieces) == 1 and isinstance(pieces[0], FootageGap) and pieces[0].to_us is not None:
            pieces = (await self._pieces(at_us, _FAR_US, now_us, backwards=backwards))[:1]
        if pieces and isinstance(pieces[0], FootageGap) and await self._is_before_the_oldest(pieces[0]):
            pieces[0] = pieces[0].model_copy(update={"cause": recordings.GapCause.NOT_KEPT.value})
        return pieces

    async def _is_before_the_oldest(self, gap: FootageGap) -> bool:
        """Whether an unexplained hole has footage after it and none before it, as in a coverage statement."""
        if gap.cause != recordings.GapCause.UNKNOWN or gap.to_us is None:
            return False
        return not (await self._timeline((gap.from_us - _FAR_US, gap.from_us))).ranges

    async def _pieces(
        self, at_us: int, length_us: int, now_us: int, *, backwards: bool
    ) -> list[FootageRange | FootageGap]:
        if backwards:
            span = (at_us - length_us, at_us + 1)
            return ranges_and_gaps(await self._timeline(span), span, now_us, backwards=True)
        # From a little before: what is left of a gap may be too short to be one.
        span = (at_us - recordings.MIN_GAP_US, min(at_us + length_us, now_us + 1))
        return _from(at_us, ranges_and_gaps(await self._timeline(span), span, now_us, backwards=False))

    async def _timeline(self, span: tuple[int, int]) -> FootageTimeline:
        question = TimelineQuestion(camera=self._camera, profile=self._profile, from_us=span[0], to_us=span[1])
        timeline, _ = await ask_timeline(
            self._bus,
            self._home,
            question,
            recorders=self._recorders(),
            actor=self._actor,
            owner=self._owner(),
        )
        return timeline


async def play_range(
    bus: Bus,
    home: Id,
    camera: Id,
    profile: str,
    piece: FootageRange,
    mode: PlaybackMode,
    *,
    actor: Actor = SYSTEM,
    owner: Owner | None = None,
) -> AsyncGenerator[AccessUnit, None]:
    """One recorder's footage of ``piece``; close it to stop. Raises what the recorder does, or `UnavailableError`."""
    async with await open_transfer(bus, owner, _WINDOW_BYTES) as incoming:
        opened = await ask_recorder(
            bus,
            home,
            owner,
            piece.recorder,
            PLAYBACK,
            PlaybackQuestion(
                camera=camera,
                profile=profile,
                from_us=piece.from_us,
                to_us=piece.to_us,
                mode=mode,
                deliver_to=incoming.deliver_to,
            ),
            PlaybackOpened,
            actor,
        )
        await incoming.accept(opened.control)
        async for message in incoming:
            yield decode(message)


def ranges_and_gaps(
    timeline: FootageTimeline, span: tuple[int, int], now_us: int, *, backwards: bool
) -> list[FootageRange | FootageGap]:
    """Ranges and the gaps between them, in the order of playing. A hole without a gap is a gap, too.

    A hole that reaches to the present is left open, because footage may come.
    """
    pieces: list[FootageRange | FootageGap] = []
    at_us = span[0]
    for item in timeline.ranges:
        if item.from_us - at_us >= recordings.MIN_GAP_US:
            pieces.append(_hole(timeline, at_us, item.from_us))
        pieces.append(item)
        at_us = item.to_us
    if span[1] - at_us >= recordings.MIN_GAP_US:
        hole = _hole(timeline, at_us, span[1])
        pieces.append(hole.model_copy(update={"to_us": None}) if span[1] > now_us and not backwards else hole)
    return pieces[::-1] if backwards else pieces


def _from(at_us: int, pieces: Sequence[FootageRange | FootageGap]) -> list[FootageRange | FootageGap]:
    """What of ``pieces`` lies at ``at_us`` and behind it."""
    return [
        piece if piece.from_us >= at_us else piece.model_copy(update={"from_us": at_us})
        for piece in pieces
        if piece.to_us is None or piece.to_us > at_us
    ]


def _hole(timeline: FootageTimeline, from_us: int, to_us: int) -> FootageGap:
    told = [gap for gap in timeline.gaps if gap.from_us < to_us and (gap.to_us is None or gap.to_us > from_us)]
    known = next((gap for gap in told if gap.cause != recordings.GapCause.UNKNOWN), None)
    cause, detail = (known.cause, known.detail) if known else (recordings.GapCause.UNKNOWN.value, "")
    return FootageGap(from_us=from_us, to_us=to_us, cause=cause, detail=detail)
