"""The order in which one camera's frames are recorded: live while nothing is missing, else what ingest keeps of it.

Pure: frames, offers and the time come in, frames to record go out, in order and none of them twice (docs/footage.md).
`RecorderFeed.next_pull` says what is to be asked for.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Final, NamedTuple, Protocol
from zlib import crc32

from services.contracts.frames import AccessUnit, Flags, PictureRun
from services.contracts.keeping import KeptRun
from services.contracts.models import Id

FRESH_SECONDS: Final = 3.5
"""Workers say once a second what they keep; one that was silent for so long is away."""
HEARD_SECONDS: Final = 2.0
"""One that was heard so lately is still heard. Who was cut off is silent for longer when its pictures are missed
(`services.recorder.capture.assembler.QUIET_SECONDS`)."""
PATIENCE_SECONDS: Final = 3.0
"""So long live frames wait for somebody who keeps what is missing before them."""
PAUSE_SECONDS: Final = 0.2
"""Between two questions for one camera."""
REST_SECONDS: Final = 2.0
"""Before footage that a disk did not take is asked for again."""
HELD_BYTES: Final = 4 * 1024 * 1024
"""Of live frames that wait for those before them; past it the oldest is forgotten, which ingest keeps."""
OVERLAP_US: Final = 20_000
"""Capture times of one moment differ by less between two readers of a camera."""
SPLICE_US: Final = 1_000_000
"""A picture that two workers read is looked for so far from the last one that was recorded."""
RECENT: Final = 256
"""So many pictures are known again, where they came within `SPLICE_US`: cameras that repeat themselves are not rare."""
NEW_STORE_US: Final = 60_000_000
"""A sequence begins at the time in µs: one that is so much higher under a lower epoch is newer all the same."""
MOST_EPOCHS: Final = 16
"""Positions of so many epochs are remembered."""


class FeedState(StrEnum):
    """What a feed does.

    ========== ======================== ==================================================================
    state      live frames              goes on to
    ========== ======================== ==================================================================
    `LIVE`     are recorded             `SEEKING` at a hole, and where a worker keeps more than has come
    `SEEKING`  wait                     `PULLING`; `LIVE` where nobody keeps what is missing
    `PULLING`  wait                     `LIVE` as soon as they follow; `SEEKING` where the pull ends before
    `RESTING`  are left to ingest       `SEEKING` after `REST_SECONDS`: a disk did not take footage
    ========== ======================== ==================================================================
    """

    LIVE = "live"
    SEEKING = "seeking"
    PULLING = "pulling"
    RESTING = "resting"


class FeedPull(NamedTuple):
    """What is to be asked of a worker."""

    worker: Id
    epoch: int
    after: int | None
    whole_gop: bool


class FrameTaker(Protocol):
    """What records the frames: `services.recorder.capture.recording.StreamRecording`, with the time."""

    def take_picture(self, unit: AccessUnit) -> None:
        """The next picture. It may call `RecorderFeed.rewind`."""

    def take_run(self, run: PictureRun) -> int:
        """The next pictures, each as `take_picture` takes it; returns how many of them: it stops in front of one that
        is to be looked at alone."""

    def take_sound(self, unit: AccessUnit) -> None:
        """The next frame of sound."""

    def begin_again(self) -> None:
        """Pictures that were taken may come again: no file is open that could go on without them."""

    @property
    def mid_file(self) -> bool:
        """Whether a file is open, which any next picture may join."""


class _Offer(NamedTuple):
    runs: tuple[KeptRun, ...]
    at: float
    spooled: bool


class RecorderFeed:
    """One camera's. Times are `Clock.monotonic`'s."""

    def __init__(self, taker: FrameTaker, *, positions: Mapping[int, int], end_us: int | None, now: float) -> None:
        """``positions``: epoch → sequence of the last picture that is on disk; ``end_us``: where that footage ends."""
        self.state = FeedState.SEEKING
        self.positions = dict(positions)
        """Epoch → sequence of the last picture that was taken, or that needs not be."""
        self.forgotten = 0
        """Live frames that were left to ingest because too many waited."""
        self._taker = taker
        self._epoch = max(positions, default=-1)
        self._start = dict(positions)
        self._end_us = end_us
        self._last: AccessUnit | None = None
        self._offers: dict[Id, _Offer] = {}
        self._floor = -1
        """Sequences up to here were read before epochs were counted anew, under epochs that mean nothing any more."""
        self._readers: dict[int, Id] = {}
        """Epoch → the worker that read the camera under it."""
        self._held: deque[AccessUnit] = deque()
        self._held_bytes = 0
        self._since = self._ticked_at = now
        self._not_before = now
        self._exhausted: set[tuple[Id, int]] = set()
        self._broken: dict[Id, int] = {}
        """Worker whose pull was broken off, and that has not said since what it keeps → the pull's epoch."""
        self._pull: FeedPull | None = None
        self._cursor = -1
        self._brought = 0
        self._overlap: list[AccessUnit] = []
        self._recent: deque[tuple[int, int]] = deque(maxlen=RECENT)
        """Of those that were taken last: `_mark`, and when they were captured."""
        self._shift_90k: int | None = None
        """Since a splice and up to the next keyframe: what is added to time stamps, so that they go on."""
        self._behind: dict[Id, tuple[int, int]] = {}
        """Worker → the newest picture that it had last time, where that had not come."""

    # What comes

    def live(self, unit: AccessUnit, now: float) -> None:
        """A frame came over the bus."""
        if self.state is FeedState.RESTING:
            return
        if self.state is not FeedState.LIVE:
            self._hold(unit)
        elif not unit.codec.is_video:
            self._taker.take_sound(unit)
        elif self._follows(unit):
            self._take(unit)
        elif unit.order > self._newest or self._begins_anew(unit):
            self._seek(now)
            self._hold(unit)

    def live_run(self, run: PictureRun, now: float) -> None:
        """Pictures came over the bus, as `live` is told of each."""
        while run:
            taken = 0
            if self.state is FeedState.LIVE and self._shift_90k is None and run.order(-1) == self._newest:
                taken = self._taker.take_run(run)
            if taken:
                self._recent.extend(zip(map(_mark, run.payloads[:taken]), run.capture_us, strict=False))
                self._last = run.unit(taken - 1)
                self.positions[run.epoch] = self._last.sequence
            else:
                self.live(run.unit(0), now)
            run = run.behind(taken or 1)

    def offered(
        self,
        worker: Id,
        runs: tuple[KeptRun, ...],
        now: float,
        *,
        spooled: bool = True,
        came: tuple[int, int] = (-1, -1),
    ) -> None:
        """A worker says what it keeps of the camera: nothing, where ``runs`` is empty. ``spooled``: it outlives it.

        ``came``: the newest picture that has come over the bus, where this feed was not told of it yet.
        """
        self._offers[worker] = _Offer(runs, now, spooled)
        self._broken.pop(worker, None)
        for run in runs:
            if run.live:
                self._readers[run.epoch] = worker
        if self.state is not FeedState.LIVE:
            return
        newest = max(((run.epoch, run.last) for run in runs if run.last > self._floor), default=(-1, -1))
        before, known = self._behind.pop(worker, None), max(self._newest, came)
        if before is not None and known < before:
            self._seek(now)  # it has said so a second ago, and nothing has come
        elif newest > known:
            self._behind[worker] = newest

    def pulled(self, unit: AccessUnit) -> None:
        """The next frame of the pull that is going on."""
        pull = self._pull
        if self.state is not FeedState.PULLING or pull is None:
            return
        if not unit.codec.is_video:
            if not self._overlap:
                self._taker.take_sound(unit)
            return
        if unit.epoch != pull.epoch or unit.sequence <= self._cursor:
            return
        self._cursor = unit.sequence
        self._brought += 1
        if unit.epoch > self._epoch and self._overlaps(unit):
            return
        first = self._first_held()
        if first is not None and first.order == unit.order and self._follows(first):
            self._join()  # the sound before it has come as well
        else:
            self._take(unit)

    def pull_ended(self, now: float, *, complete: bool) -> None:
        """The pull is over; ``complete``: the worker has sent all that it keeps."""
        pull, self._pull = self._pull, None
        if self.state is not FeedState.PULLING or pull is None:
            return
        if self._overlap and complete and not self._live(pull):
            self._end_overlap()
        self._overlap.clear()
        self._seek_on(pull, now, complete=complete)

    def _seek_on(self, pull: FeedPull, now: float, *, complete: bool) -> None:
        if self.state is not FeedState.PULLING:
            return  # a disk did not take the last of it
        self.state = FeedState.SEEKING
        self._not_before = now + PAUSE_SECONDS
        if not self._brought and complete:
            self._exhausted.add((pull.worker, pull.epoch))
        if not complete:
            self._offers.pop(pull.worker, None)  # until it says again what it keeps, for which there is time
            self._broken[pull.worker] = pull.epoch
            self._since = now
        self._join()
        if self.state is FeedState.SEEKING and not self._held and complete and self._candidate(now) is None:
            self.state = FeedState.LIVE

    def rewind(self, before: tuple[int, int] | None, end_us: int | None, now: float) -> None:
        """A disk did not take footage: ``before`` is the last picture that it has, None: none of this feed's.

        ``end_us``: where the footage on the disk ends.
        """
        if before is None:
            self.positions = dict(self._start)
        else:
            self.positions = {epoch: at for epoch, at in self.positions.items() if epoch < before[0]}
            self.positions[before[0]] = before[1]
        self._epoch = max(self.positions, default=-1)
        self._end_us = end_us
        self._last = None
        self._shift_90k = None
        self._drop_held()
        self._overlap.clear()
        self._pull = None
        self._seek(now)
        if any(True for _ in self._fresh(now)):
            self.state = FeedState.RESTING  # who keeps it can wait
            self._not_before = now + REST_SECONDS

    def tick(self, now: float, *, expected: bool = True, connected: bool = True) -> None:
        """To be called often: time alone moves some states.

        ``expected``: a worker is to read the camera. ``connected``: workers can be heard; else nobody is given up.
        """
        late, self._ticked_at = now - self._ticked_at > PATIENCE_SECONDS / 2, now
        if not connected or late:
            self._since = now  # nobody could be heard, or this process was stopped
        if not connected:
            return
        if self.state is FeedState.RESTING and now >= self._not_before:
            self._seek(now)
        if self.state is not FeedState.SEEKING:
            return
        if now - self._since >= PATIENCE_SECONDS:
            self._broken.clear()
        if self._candidate(now) is not None:
            self._since = now  # somebody keeps it
            return
        asked = bool(self._exhausted) and not self._broken and not self._unknown_owner(now)
        if not asked and expected and now - self._since < PATIENCE_SECONDS:
            return
        self._give_up()

    # What is wanted

    def next_pull(self, now: float) -> FeedPull | None:
        """What to ask for now; the feed then waits for `pulled` and `pull_ended`. None: nothing."""
        if self.state is not FeedState.SEEKING or now < self._not_before:
            return None
        found = self._candidate(now)
        if found is None:
            return None
        worker, run = found
        after = self.positions.get(run.epoch)
        whole_gop = not self._taker.mid_file
        if whole_gop:
            self._taker.begin_again()
        self._pull = FeedPull(worker, run.epoch, after, whole_gop)
        self._cursor = -1 if whole_gop or after is None else after
        self._brought = 0
        self.state = FeedState.PULLING
        return self._pull

    @property
    def pulling(self) -> FeedPull | None:
        """The pull that is going on; another one, or None, says that it is to be broken off."""
        return self._pull

    def kept(self, now: float) -> bool:
        """Whether a worker keeps what is not acknowledged, beyond its own end."""
        return any(
            offer.spooled and now - offer.at < FRESH_SECONDS and any(run.epoch == self._epoch for run in offer.runs)
            for offer in self._offers.values()
        )

    def complete(self, now: float, *, expected: bool = True) -> bool:
        """Whether nothing is missing up to now, as the workers say: what comes next is a new beginning.

        ``expected`` as for `tick`: while a worker is to be heard and none is, it is not known.
        """
        if self.state is not FeedState.LIVE:
            return False
        if expected and not any(now - offer.at < HEARD_SECONDS for offer in self._offers.values()):
            return False
        return not any((run.epoch, run.last) > self._newest for _, run in self._fresh(now))

    def reader_heard(self, epoch: int, now: float) -> bool:
        """Whether the worker that read the camera under ``epoch`` is heard."""
        offer = self._offers.get(self._readers.get(epoch, ""))
        return offer is not None and now - offer.at < FRESH_SECONDS

    def late_runs(self, now: float) -> Iterator[tuple[Id, KeptRun]]:
        """What workers keep from before the present epoch and has not been taken: it belongs into the past."""
        for worker, run in self._fresh(now):
            if run.epoch < self._epoch and not run.live and run.last > self.positions.get(run.epoch, -1):
                yield worker, run

    def passed(self, epoch: int, sequence: int) -> None:
        """Footage of an earlier epoch was recorded elsewhere, or needs not be."""
        self.positions[epoch] = max(sequence, self.positions.get(epoch, -1))

    # Within

    @property
    def _newest(self) -> tuple[int, int]:
        """Epoch and sequence of the picture that was taken last."""
        return self._epoch, self.positions.get(self._epoch, -1)

    def _fresh(self, now: float) -> Iterator[tuple[Id, KeptRun]]:
        for worker, offer in self._offers.items():
            if now - offer.at < FRESH_SECONDS:
                for run in offer.runs:
                    if run.last > self._floor:
                        yield worker, run

    def _candidate(self, now: float) -> tuple[Id, KeptRun] | None:
        """The oldest run that has, or may have, what is missing: none that is newer than a pull that was broken off."""
        limit = min(self._broken.values(), default=None)
        found = [
            (worker, run)
            for worker, run in self._fresh(now)
            if run.epoch >= self._epoch
            and (limit is None or run.epoch <= limit)
            and (worker, run.epoch) not in self._exhausted
            and (run.live or run.last > self.positions.get(run.epoch, -1))
        ]
        return min(found, key=lambda item: (item[1].epoch, not item[1].last_us, item[1].first), default=None)

    def _unknown_owner(self, now: float) -> bool:
        """Whether frames wait whose worker has not said what it keeps."""
        if not self._held:
            return False
        waiting = self._held[0].epoch
        return not any(run.epoch == waiting for _, run in self._fresh(now))

    def _live(self, pull: FeedPull) -> bool:
        offer = self._offers.get(pull.worker)
        return offer is not None and any(run.epoch == pull.epoch and run.live for run in offer.runs)

    def _seek(self, now: float) -> None:
        self.state = FeedState.SEEKING
        self._since = self._not_before = now
        self._exhausted.clear()
        self._behind.clear()

    def _give_up(self) -> None:
        """Nobody keeps what is missing: the frames that wait go on."""
        held = list(self._held)
        self._drop_held()
        self.state = FeedState.LIVE
        for unit in held:
            if self.state is not FeedState.LIVE:
                return
            if not unit.codec.is_video:
                self._taker.take_sound(unit)
            elif unit.order > self._newest and not (unit.epoch > self._epoch and self._overlaps(unit)):
                self._take(unit)
        if self._overlap:
            self._end_overlap()

    def _hold(self, unit: AccessUnit) -> None:
        self._held.append(unit)
        self._held_bytes += len(unit.payload)
        while self._held_bytes > HELD_BYTES:
            self._held_bytes -= len(self._held.popleft().payload)
            self.forgotten += 1

    def _drop_held(self) -> None:
        self._held.clear()
        self._held_bytes = 0

    def _follows(self, unit: AccessUnit) -> bool:
        """Whether nothing is missing before it. A sequence begins at the time, so it is never the next by chance."""
        return unit.sequence == self.positions.get(self._epoch, -2) + 1

    def _begins_anew(self, unit: AccessUnit) -> bool:
        """Whether epochs are counted anew, as nats-server has lost its store: then nothing of before is compared."""
        if unit.epoch >= self._epoch or unit.sequence < self.positions.get(self._epoch, -1) + NEW_STORE_US:
            return False
        self._floor = self.positions.get(self._epoch, -1)
        self.positions.clear()
        self._epoch = -1
        self._taker.begin_again()
        return True

    def _join(self) -> None:
        """Goes live where the frames that wait follow what was taken."""
        first = self._first_held()
        if first is None or not self._follows(first):
            return
        waiting = list(self._held)
        self._drop_held()
        self.state = FeedState.LIVE
        self._pull = None
        for number, unit in enumerate(waiting):
            if self.state is not FeedState.LIVE:
                return  # the disk did not take it
            if not unit.codec.is_video:
                self._taker.take_sound(unit)
            elif self._follows(unit):
                self._take(unit)
            else:
                self.state = FeedState.SEEKING
                self._exhausted.clear()
                for rest in waiting[number:]:
                    self._hold(rest)
                return

    def _first_held(self) -> AccessUnit | None:
        """The first picture that waits and is new. What stands before it is forgotten, but the sound right there."""
        held, last = self._held, self._newest
        while held and (held[0].order <= last if held[0].codec.is_video else not self._leads_to_next(last)):
            self._held_bytes -= len(held.popleft().payload)
        return next((unit for unit in held if unit.codec.is_video), None)

    def _leads_to_next(self, last: tuple[int, int]) -> bool:
        """Whether the sound that waits first stands right before a picture that is new."""
        picture = next((unit for unit in self._held if unit.codec.is_video), None)
        return picture is None or picture.order > last

    def _overlaps(self, unit: AccessUnit) -> bool:
        """Takes the first pictures of a new epoch where another worker may have read them too; False: it has not.

        Both workers get the same bytes from the camera, so the picture that was recorded last is found again by them.
        When it was captured they may tell differently, on a busy machine by half a second.
        """
        last_us = self._last.capture_us if self._last is not None else self._end_us
        known = self._is_known(unit)
        later = last_us is not None and unit.capture_us > last_us + OVERLAP_US
        if self._follows(unit) or last_us is None or (later and not self._overlap and not known):
            return False
        overlap = self._overlap
        if unit.keyframe and unit.capture_us < last_us - SPLICE_US:
            overlap.clear()
        overlap.append(unit)
        last = self._last
        if last is None:
            # After a restart the payload is not known: footage ends where the file does.
            if unit.capture_us < last_us - OVERLAP_US:
                return True
            self._take_from_keyframe(last_us)
            return True
        if unit.payload == last.payload and abs(unit.capture_us - last.capture_us) < SPLICE_US:
            overlap.clear()
            self._epoch = unit.epoch
            self.positions[unit.epoch] = unit.sequence
            self._shift_90k = last.dts_90k - unit.dts_90k
            return True
        if not known and unit.capture_us > last_us + SPLICE_US:
            self._take_from_keyframe(last_us)
        return True

    def _is_known(self, unit: AccessUnit) -> bool:
        """Whether it was taken a moment ago, from another worker."""
        mark = _mark(unit.payload)
        return any(mark == other and abs(unit.capture_us - at) < SPLICE_US for other, at in self._recent)

    def _end_overlap(self) -> None:
        """An epoch ended while its beginning was still compared with the footage before."""
        last_us = self._last.capture_us if self._last is not None else self._end_us
        newest = self._overlap[-1]
        if last_us is not None and newest.capture_us > last_us + OVERLAP_US:
            self._take_from_keyframe(last_us)
        else:
            self._epoch = newest.epoch
            self.positions[newest.epoch] = newest.sequence
            self._overlap.clear()

    def _take_from_keyframe(self, last_us: int) -> None:
        """The two workers' pictures differ: goes on with the GOP in which the footage ends, lest any be lost."""
        overlap, self._overlap = self._overlap, []
        begin = 0
        for index, unit in enumerate(overlap):
            if unit.keyframe and (unit.capture_us <= last_us + OVERLAP_US or not overlap[begin].keyframe):
                begin = index
        for unit in overlap[begin:]:
            if self.state is not FeedState.RESTING:
                self._take(unit)

    def _take(self, unit: AccessUnit) -> None:
        if unit.epoch != self._epoch:
            if unit.epoch < self._epoch:  # nats-server has lost its store, and the same worker reads on
                self._floor = unit.sequence - 1
                self.positions.clear()
            self._epoch = unit.epoch
            for old in sorted(self.positions)[:-MOST_EPOCHS]:
                del self.positions[old]
                self._readers.pop(old, None)
        self.positions[unit.epoch] = max(unit.sequence, self.positions.get(unit.epoch, -1))
        if self._shift_90k is not None:
            unit = self._shifted(unit, self._shift_90k)
        self._last = unit
        self._recent.append((_mark(unit.payload), unit.capture_us))
        self._taker.take_picture(unit)

    def _shifted(self, unit: AccessUnit, shift_90k: int) -> AccessUnit:
        """Behind a splice time stamps go on with the first worker's; the next keyframe begins a run of its own."""
        if unit.keyframe or unit.discontinuity:
            self._shift_90k = None
            return unit._replace(flags=unit.flags | Flags.DISCONTINUITY)
        return unit._replace(dts_90k=unit.dts_90k + shift_90k, pts_90k=unit.pts_90k + shift_90k)


def _mark(payload: bytes | memoryview) -> int:
    """Tells a picture from others of the last seconds: its length, its first slice's header, and its end."""
    return crc32(payload[-32:], crc32(payload[:64], len(payload)))


def runs_by_camera(runs: Iterable[KeptRun]) -> dict[Id, tuple[KeptRun, ...]]:
    """A report's runs, by camera."""
    found: dict[Id, list[KeptRun]] = {}
    for run in runs:
        found.setdefault(run.camera, []).append(run)
    return {camera: tuple(each) for camera, each in found.items()}
