"""From access units to segments and fragments: pure, and the only place that decides where to cut."""

from dataclasses import dataclass
from itertools import repeat
from operator import sub
from typing import Final, NamedTuple

from services.contracts.frames import AccessUnit, PictureRun
from services.media.mp4.fragment import Sample, TrackRun
from services.media.mp4.tracks import VideoTrack
from services.media.nal import BitstreamError
from services.media.time import SECOND_90K, us_from_90k
from services.recorder.capture.codecs import ParameterSetTracker
from services.recorder.capture.run_timeline import MAX_COMPOSITION_90K, RunTimeline
from services.recorder.capture.sound import SoundAssembler
from services.recorder.storage.scan import VIDEO_ID
from services.recorder.storage.segment import EndReason, SegmentBegin, SegmentEnd, SegmentFragment, SegmentStep

SEGMENT_90K: Final = 60 * SECOND_90K
FRAGMENT_90K: Final = 2 * SECOND_90K
LONGEST_FRAGMENT_90K: Final = FRAGMENT_90K + FRAGMENT_90K // 4
"""A fragment grows so long where GOPs are that short: those of 2 s by a camera's clock may be longer by ours."""
SHORT_GOP_90K: Final = SECOND_90K
"""GOPs shorter than this share a fragment."""
MAX_FRAGMENT_BYTES: Final = 16 * 1024 * 1024
MAX_FRAGMENT_SAMPLES: Final = 1000
DEPARTURE_US: Final = 500_000
"""A capture time that departs this far from media time means that a clock was set."""
DEPARTED_90K: Final = 3 * SECOND_90K
"""… if it lasts this long. Frames that come in a burst after a stall catch up sooner."""
DRIFT_SEGMENT_90K: Final = 15 * SECOND_90K
"""Clocks that depart again this soon were not set: the time stamps run at another speed."""
QUIET_SECONDS: Final = 2.5
"""After this long without a picture the waiting samples become a fragment."""
SILENCE_SECONDS: Final = 5.0
"""… and the segment ends, where ingest keeps nothing that may go on with it…"""
LONG_SILENCE_SECONDS: Final = 600.0
"""… and after so long in any case."""


@dataclass
class _OpenSegment:
    """The segment that is being made."""

    origin_90k: int
    """Media time zero, on the run's scale."""
    first_pts_90k: int
    start_us: int
    video: VideoTrack


class _WaitingPicture(NamedTuple):
    """A picture of the fragment that grows."""

    data: bytes | memoryview
    dts_90k: int
    composition_90k: int
    keyframe: bool
    damaged: bool


class SegmentAssembler:
    """Cuts one stream. Add what arrives, in order; each call returns the steps to write, in order."""

    def __init__(self) -> None:
        self.unreadable = 0
        """Pictures that could not be recorded: before the first keyframe, or damaged."""
        self.damaged = False
        """Set where frames were lost on their way here: pictures are damaged from there to the next keyframe."""
        self.sound = SoundAssembler()
        self._pictures = ParameterSetTracker()
        self._timeline = RunTimeline()
        self._segment: _OpenSegment | None = None
        self._waiting: list[_WaitingPicture] = []
        self._bytes = 0
        self._retimed = 0
        self._first_pts_90k = 0
        self._keyframe_90k: int | None = None
        self._gop_90k: int | None = None
        """Between the last two keyframes of this run."""
        self._departing_90k: int | None = None
        """Decoding time of the first of the pictures that have all departed from media time."""
        self._fed_at = 0.0
        self._order: tuple[int, int] = (0, 0)
        self.written_order: tuple[int, int] | None = None
        """Of the last picture of the fragment before; None: there was none."""
        self._short_departures = False

    @property
    def recording(self) -> bool:
        """Whether a segment is open."""
        return self._segment is not None

    def add_picture(self, unit: AccessUnit, now_us: int, monotonic: float) -> list[SegmentStep]:
        """Takes one picture."""
        out: list[SegmentStep] = []
        if not 0 <= unit.pts_90k - unit.dts_90k <= MAX_COMPOSITION_90K:
            self.unreadable += 1
            return out
        if unit.discontinuity or not self._timeline.continues(unit):
            out += self.end_segment(EndReason.DISCONTINUITY)
            self._timeline = RunTimeline()
            self._keyframe_90k = self._gop_90k = None
            self._short_departures = False
        keyframe = unit.keyframe
        self.damaged = self.damaged and not keyframe
        if self._segment is None and not keyframe:
            self.unreadable += 1
            return out
        try:
            data = self._pictures.prepare(unit)
        except BitstreamError:
            self.unreadable += 1
            return out
        track = self._pictures.track
        if track is None:
            self.unreadable += 1
            return out
        timed = self._timeline.place(unit, now_us)
        self._fed_at = monotonic
        step_us = 0
        if keyframe:
            self._gop_90k = timed.dts_90k - self._keyframe_90k if self._keyframe_90k is not None else None
            self._keyframe_90k = timed.dts_90k
        if keyframe and self._segment is not None:
            reason, step_us = self._must_cut(
                timed.dts_90k, timed.capture_us, timed.pts_90k, track != self._segment.video
            )
            if reason:
                out += self.end_segment(reason, next_dts_90k=timed.dts_90k)
        if self._segment is None:
            origin_us = timed.capture_us - us_from_90k(timed.pts_90k - timed.dts_90k)
            audio = self.sound.begin_segment(timed.capture_us, origin_us)
            self._segment = _OpenSegment(timed.dts_90k, timed.pts_90k, timed.capture_us, track)
            self._departing_90k = None
            out.append(SegmentBegin(timed.capture_us, track, audio, unit.clock, unit.uncertainty_us, step_us))
        elif self._waiting and self._fragment_is_full(timed.dts_90k, keyframe):
            out += self._flush(timed.dts_90k)
        if not self._waiting:
            self._first_pts_90k = timed.pts_90k
        self._waiting.append(
            _WaitingPicture(data, timed.dts_90k, timed.pts_90k - timed.dts_90k, keyframe, unit.damaged or self.damaged)
        )
        self._bytes += len(data)
        self._retimed += timed.retimed
        self._order = unit.order
        if abs(timed.capture_us - self._capture_us(timed.pts_90k)) < DEPARTURE_US:
            self._departing_90k = None
        elif self._departing_90k is None:
            self._departing_90k = timed.dts_90k
        return out

    def add_run(self, run: PictureRun, now_us: int, monotonic: float) -> int:
        """Takes the first pictures of ``run``, as `add_picture` takes each; returns how many: it writes nothing.

        They follow the last picture. It stops in front of one that ends the fragment, or that is to be looked at alone.
        """
        segment, waiting = self._segment, self._waiting
        if (
            segment is None
            or not waiting
            or len(waiting) + len(run) > MAX_FRAGMENT_SAMPLES
            or self._bytes + sum(map(len, run.payloads)) >= MAX_FRAGMENT_BYTES
        ):
            return 0
        placed = self._timeline.place_run(run, now_us, waiting[0].dts_90k + self._longest_90k)
        if not placed:
            return 0
        count = len(placed)
        compositions = list(map(sub, run.pts_90k, run.dts_90k))
        damages = repeat(True) if self.damaged else run.damaged
        columns = zip(run.payloads, placed, compositions, repeat(False), damages, strict=False)  # as many as `placed`
        waiting += map(_WaitingPicture._make, columns)
        self._bytes += sum(map(len, run.payloads[:count]))
        self._fed_at = monotonic
        self._order = run.order(count - 1)
        origin_us, first_pts_90k = segment.start_us, segment.first_pts_90k
        for dts_90k, composition_90k, capture_us in zip(placed, compositions, run.capture_us, strict=False):
            departure_us = capture_us - origin_us - us_from_90k(dts_90k + composition_90k - first_pts_90k)
            if -DEPARTURE_US < departure_us < DEPARTURE_US:
                self._departing_90k = None
            elif self._departing_90k is None:
                self._departing_90k = dts_90k
        return count

    @property
    def waiting(self) -> bool:
        """Whether pictures wait for the end of their fragment."""
        return bool(self._waiting)

    def is_quiet(self, monotonic: float) -> bool:
        """Whether no picture was taken for `QUIET_SECONDS`."""
        return monotonic - self._fed_at >= QUIET_SECONDS

    def tick(self, monotonic: float, *, complete: bool = True) -> list[SegmentStep]:
        """Call it about once a second: it writes the waiting samples when no picture comes.

        ``complete``: nothing is missing that could go on with the segment. Until then the beginning of a GOP waits for
        its end, for a file that ended between the two would have it twice (docs/footage.md); ingest keeps it.
        """
        if self._segment is None or not self.is_quiet(monotonic):
            return []
        if monotonic - self._fed_at >= (SILENCE_SECONDS if complete else LONG_SILENCE_SECONDS):
            return self.end_segment(EndReason.SILENCE)
        return self._flush(None) if complete or not self._gop_waits else []

    def rewind(self, before: tuple[int, int] | None) -> None:
        """What was not written is forgotten, as the segment is: the next picture to come follows ``before``."""
        self.sound.forget()
        self._timeline = RunTimeline()
        self._keyframe_90k = self._gop_90k = None
        self._segment = None
        self._waiting, self._bytes, self._retimed = [], 0, 0
        self.written_order = before

    def forget_unwritten_gop(self) -> bool:
        """Forgets waiting pictures that begin with a keyframe: ingest keeps them, and a file can begin with them."""
        if not self._gop_waits:
            return False
        self._waiting, self._bytes, self._retimed = [], 0, 0
        return True

    @property
    def _gop_waits(self) -> bool:
        return bool(self._waiting) and self._waiting[0].keyframe

    def end_segment(self, reason: EndReason, *, next_dts_90k: int | None = None) -> list[SegmentStep]:
        """Ends the segment where one is open. ``next_dts_90k`` is where the next one begins, if at once."""
        if self._segment is None:
            return []
        end_90k = self._timeline.end_90k if next_dts_90k is None else next_dts_90k
        out = self._flush(next_dts_90k)
        out.append(SegmentEnd(self._segment.start_us + us_from_90k(end_90k - self._segment.origin_90k), reason))
        self._segment = None
        return out

    def _must_cut(self, dts_90k: int, capture_us: int, pts_90k: int, changed: bool) -> tuple[EndReason | None, int]:
        segment = self._segment
        assert segment is not None
        departure = capture_us - self._capture_us(pts_90k)
        since = self._departing_90k
        if abs(departure) >= DEPARTURE_US and since is not None and dts_90k - since >= DEPARTED_90K:
            soon = dts_90k - segment.origin_90k < DRIFT_SEGMENT_90K
            self._timeline.by_capture = self._timeline.by_capture or (soon and self._short_departures)
            self._short_departures = soon
            return EndReason.CLOCK, departure
        if changed or self.sound.changed:
            return EndReason.CHANGED, 0
        if dts_90k - segment.origin_90k >= SEGMENT_90K:
            self._short_departures = False
            return EndReason.FULL, 0
        return None, 0

    def _fragment_is_full(self, dts_90k: int, keyframe: bool) -> bool:
        length = dts_90k - self._waiting[0].dts_90k
        if keyframe and (length >= SHORT_GOP_90K or not self._waiting[0].keyframe):
            return True
        return (
            length >= self._longest_90k
            or self._bytes >= MAX_FRAGMENT_BYTES
            or len(self._waiting) >= MAX_FRAGMENT_SAMPLES
        )

    @property
    def _longest_90k(self) -> int:
        """Of a fragment. A file that ends between two GOPs can be gone on with after a death, no picture twice."""
        whole = self._gop_90k is not None and self._gop_90k <= LONGEST_FRAGMENT_90K
        return LONGEST_FRAGMENT_90K if whole else FRAGMENT_90K

    def _flush(self, next_dts_90k: int | None) -> list[SegmentStep]:
        """The waiting samples as a fragment. Its last picture lasts until ``next_dts_90k``, else as long as usual."""
        segment, waiting = self._segment, self._waiting
        if segment is None or not waiting:
            return []
        base_90k = waiting[0].dts_90k
        end_90k = self._timeline.end_90k if next_dts_90k is None else next_dts_90k
        samples = [
            Sample(data, after_90k - dts_90k, composition_90k, keyframe, damaged)
            for (data, dts_90k, composition_90k, keyframe, damaged), after_90k in zip(
                waiting, [*[each.dts_90k for each in waiting[1:]], end_90k], strict=True
            )
        ]
        from_us = self._capture_us(self._first_pts_90k)
        to_us = segment.start_us + us_from_90k(end_90k - segment.origin_90k)
        sound = self.sound.take_until(to_us)
        fragment = SegmentFragment(
            TrackRun(VIDEO_ID, base_90k - segment.origin_90k, samples),
            sound,
            from_us,
            to_us,
            self._bytes + sum(len(sample.data) for sample in sound.samples) if sound else self._bytes,
            self._retimed,
            self._order,
            self.written_order,
        )
        self._waiting, self._bytes, self._retimed = [], 0, 0
        self.written_order = self._order
        return [fragment]

    def _capture_us(self, pts_90k: int) -> int:
        """When a picture of the open segment was taken, by media time."""
        segment = self._segment
        assert segment is not None
        return segment.start_us + us_from_90k(pts_90k - segment.first_pts_90k)
