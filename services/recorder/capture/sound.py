"""Places sound beside pictures: counts samples, and resynchronizes them with capture times."""

from collections import deque
from typing import Final

from services.contracts.frames import AccessUnit
from services.media.mp4.fragment import Sample, TrackRun
from services.media.mp4.tracks import AudioTrack
from services.media.nal import BitstreamError
from services.recorder.capture.codecs import audio_samples, audio_track

TRACK_ID: Final = 2
MAX_WAITING: Final = 1024
"""Frames of sound that may wait for their picture; 20 s of G.711."""
_RESYNC_SECONDS: Final = 0.1
_SILENT_US: Final = 10_000_000


class SoundAssembler:
    """The sound of one stream while it is recorded."""

    def __init__(self) -> None:
        self.track: AudioTrack | None = None
        """What is heard just now."""
        self.dropped = 0
        self._waiting: deque[AccessUnit] = deque(maxlen=MAX_WAITING)
        self._last: AccessUnit | None = None
        self._recorded: AudioTrack | None = None
        self._origin_us = 0
        self._next_time = 0

    def add_sound(self, unit: AccessUnit) -> None:
        """Adds a frame of sound, in order. It waits for the pictures of its time."""
        last = self._last
        if self.track is None or last is None or unit.codec is not last.codec:
            self.track = audio_track(unit)
        elif unit.extradata != last.extradata:
            self.track = audio_track(unit) or self.track
        self.dropped += len(self._waiting) == MAX_WAITING
        self._waiting.append(unit)
        self._last = unit

    def forget(self) -> None:
        """What waits comes again."""
        self._waiting.clear()

    def begin_segment(self, start_us: int, origin_us: int) -> AudioTrack | None:
        """A segment begins at ``start_us``: its sound track, None where nothing is heard.

        ``origin_us`` is when its media time is zero: before ``start_us`` where pictures are reordered.
        """
        if self._last is None or start_us - self._last.capture_us > _SILENT_US:
            self.track = None
        self._recorded, self._origin_us, self._next_time = self.track, origin_us, 0
        while self._waiting and self._waiting[0].capture_us < start_us:
            self._waiting.popleft()
        return self._recorded

    @property
    def changed(self) -> bool:
        """Whether a new segment must begin for the sound to be recorded."""
        return self.track is not None and self.track != self._recorded

    def take_until(self, until_us: int) -> TrackRun | None:
        """Removes and returns the waiting sound before ``until_us``."""
        track = self._recorded
        samples: list[Sample] = []
        base = self._next_time
        while self._waiting and self._waiting[0].capture_us < until_us:
            if track is None or track != self.track:
                self._waiting.popleft()
                continue
            unit = self._waiting[0]
            try:
                duration = audio_samples(unit, track)
            except BitstreamError:  # no such frame can be played
                self._waiting.popleft()
                self.dropped += 1
                continue
            wanted = (unit.capture_us - self._origin_us) * track.sample_rate_hz // 1_000_000
            behind = self._next_time - wanted
            if abs(behind) > _RESYNC_SECONDS * track.sample_rate_hz or self._next_time == 0:
                if behind > 0:  # sound runs faster than time: this frame has no room
                    self._waiting.popleft()
                    self.dropped += 1
                    continue
                if samples:  # a hole within the run: the frame before lasts until its end
                    samples[-1] = samples[-1]._replace(duration=samples[-1].duration - behind)
                else:
                    base = wanted
                self._next_time = wanted
            samples.append(Sample(unit.payload, duration))
            self._next_time += duration
            self._waiting.popleft()
        return TrackRun(TRACK_ID, base, samples) if samples else None
