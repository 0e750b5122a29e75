"""Ingest's keep and a recorder's feed in one world without bus, disk and time: what the model test turns."""

from collections.abc import Iterator
from typing import Final

from services.contracts import frames
from services.contracts.frames import (
    AccessUnit,
    CaptureClockSource,
    Codec,
    Flags,
    PictureInbox,
    PictureRun,
    decode,
    is_picture,
    order_of,
)
from services.ingest.keeping.chunks import KeptCamera, messages_behind
from services.recorder.capture.feed import FeedPull, FeedState, RecorderFeed

GOP: Final = 5
FRAME_US: Final = 40_000
START_US: Final = 1_700_000_000_000_000


class ModelWorker:
    """Reads the camera under an epoch, and keeps what it reads."""

    def __init__(self, name: str, epoch: int, sequence: int, *, late_us: int = 0) -> None:
        """``late_us``: how much later than others it thinks that pictures were captured."""
        self.name = name
        self.late_us = late_us
        self.epoch = epoch
        self.sequence = sequence
        self.kept = KeptCamera("city", "cam-1")
        self.reading = True
        self._begun = False

    def read(self, number: int, now: float) -> AccessUnit | None:
        """The frame of that number as this worker sends it; None before its first keyframe."""
        keyframe = number % GOP == 0
        if not self._begun and not keyframe:
            return None
        flags = Flags.KEYFRAME if keyframe else Flags.NONE
        if not self._begun:
            flags |= Flags.DISCONTINUITY
        self._begun = True
        self.sequence += 1
        unit = AccessUnit(
            flags, Codec.H264, self.epoch, self.sequence, number * 3600, number * 3600,
            START_US + number * FRAME_US + self.late_us, 1000, CaptureClockSource.RTCP, b"frame %d" % number,
        )  # fmt: skip
        self.kept.add_message(frames.encode(unit), now)
        return unit

    def stop(self) -> None:
        self.reading = False
        self.kept.end_reading()


class ModelTaker:
    """A recording whose fragments are GOPs: what was given to it since the last keyframe dies with it."""

    def __init__(self, disk: "list[AccessUnit]") -> None:
        self.disk = disk
        self.waiting: list[AccessUnit] = []
        self.recording = False
        self.fails = False
        self.feed: RecorderFeed | None = None
        self.now = 0.0

    def take_picture(self, unit: AccessUnit) -> None:
        if unit.keyframe:
            if self.fails:
                self._rewind()
                return
            self.disk += self.waiting
            self.waiting = []
            self.recording = True
        if self.recording:
            self.waiting.append(unit)

    def take_run(self, run: PictureRun) -> int:
        if not self.recording:
            return 0
        self.waiting += [run.unit(at) for at in range(len(run))]
        return len(run)

    def _rewind(self) -> None:
        """The disk does not take the GOP that waits."""
        self.waiting = []
        self.recording = False
        assert self.feed is not None
        self.feed.rewind(self.disk[-1].order if self.disk else None, None, self.now)

    def take_sound(self, unit: AccessUnit) -> None:
        raise AssertionError(f"no sound was sent: {unit}")

    def begin_again(self) -> None:
        pass

    @property
    def mid_file(self) -> bool:
        return self.recording


class World:
    """One camera, its workers one after another, one recorder that may die."""

    def __init__(self) -> None:
        self.now = 100.0
        self.sent = 0
        self._offer_at = 0.0
        self.disk: list[AccessUnit] = []
        self.workers = [ModelWorker("w-0", 1, 1_000)]
        self.bus = True
        self.taker = ModelTaker(self.disk)
        self.feed = self._new_feed()
        self.pull: FeedPull | None = None
        self._messages: list[bytes] = []

    def _new_feed(self) -> RecorderFeed:
        positions: dict[int, int] = {}
        for unit in self.disk:
            positions[unit.epoch] = unit.sequence
        end_us = self.disk[-1].capture_us + FRAME_US if self.disk else None
        feed = RecorderFeed(self.taker, positions=positions, end_us=end_us, now=self.now)
        self.taker.feed = feed
        return feed

    # What happens

    def frame(self, *, lost: bool = False) -> None:
        """The camera sends a frame; ``lost``: the bus drops it."""
        self.now += FRAME_US / 1e6
        self.taker.now = self.now
        for worker in self.workers:
            if worker.reading:
                unit = worker.read(self.sent, self.now)
                if unit is not None and self.bus and not lost:
                    if unit.keyframe:
                        self.feed.live(unit, self.now)
                    else:
                        inbox = PictureInbox()
                        assert inbox.put(frames.encode(unit))
                        run = inbox.take()
                        assert run is not None
                        self.feed.live_run(run, self.now)
        self.sent += 1
        if self.bus and self.now >= self._offer_at:
            self.offer()

    def offer(self) -> None:
        """Workers say what they keep, as they do each second."""
        self._offer_at = self.now + 1.0
        for worker in self.workers:
            self.feed.offered(worker.name, tuple(worker.kept.runs()), self.now)

    def acknowledge(self, *, twice: bool = False) -> None:
        """The recorder says what is on its disk."""
        positions: dict[int, int] = {}
        for unit in self.disk:
            positions[unit.epoch] = unit.sequence
        for worker in self.workers:
            for _ in range(1 + twice):
                for epoch, sequence in positions.items():
                    worker.kept.acknowledge("rec-1", epoch, sequence)
                worker.kept.release(("rec-1",))

    def crash(self) -> None:
        """The recorder dies and comes back."""
        self.taker = ModelTaker(self.disk)
        self.taker.fails = False
        self.feed = self._new_feed()
        self.pull = None

    def move(self, overlap: int, *, late_us: int = 0) -> None:
        """Another worker gets the camera; both read it for ``overlap`` frames more."""
        number = len(self.workers)
        epoch = self.workers[-1].epoch + 1
        self.workers.append(ModelWorker(f"w-{number}", epoch, 1_000_000 * (number + 1), late_us=late_us))
        while not self.workers[-1]._begun or overlap > 0:
            self.frame()
            overlap -= 1
        for worker in self.workers[:-1]:
            worker.stop()

    def step_pull(self, count: int) -> None:
        """Some frames of a pull arrive."""
        self.taker.now = self.now
        self.feed.tick(self.now, connected=self.bus)
        if self.pull is None or self.feed.pulling is not self.pull:
            self.pull = self.feed.next_pull(self.now)
            if self.pull is None:
                return
            self._messages = list(self._answer(self.pull))
        for message in self._messages[:count]:
            if self.feed.pulling is self.pull:
                self.feed.pulled(decode(message))
        del self._messages[:count]
        if not self._messages and self.feed.pulling is self.pull:
            self.feed.pull_ended(self.now, complete=True)
            self.pull = None

    def break_pull(self) -> None:
        if self.pull is not None and self.feed.pulling is self.pull:
            self.feed.pull_ended(self.now, complete=False)
        self.pull = None

    def _answer(self, pull: FeedPull) -> Iterator[bytes]:
        """As `services.ingest.keeping.handover` answers."""
        kept = next(worker.kept for worker in self.workers if worker.name == pull.worker)
        after = pull.after
        if pull.whole_gop and after is not None:
            keyframes = [
                order_of(message)[1]
                for chunk in kept.chunks
                if chunk.epoch == pull.epoch
                for message in chunk.messages or ()
                if frames.begins_gop(message)
            ]
            following = next((each for each in keyframes if each == after + 1), None)
            before = max((each for each in keyframes if each <= after), default=None)
            after = after if following is not None or before is None else before - 1
        while (chunk := kept.next_chunk(pull.epoch, after)) is not None:
            messages = messages_behind(list(chunk.messages or ()), after)
            if not messages:
                return
            yield from messages
            after = max(order_of(each)[1] for each in messages if is_picture(each))

    def settle(self) -> None:
        """All is well again, and time goes on."""
        self.bus = True
        self.taker.fails = False
        for _ in range(60):
            self.offer()
            for _ in range(8):
                self.step_pull(1000)
                self.now += 0.15
            self.frame()
            if self.feed.state is FeedState.LIVE and self.sent % GOP == 1:
                numbers = self.numbers()
                if numbers and numbers[-1] == self.sent - 2:
                    return
        raise AssertionError(f"it never became whole: {self.feed.state}, {self.numbers()} of {self.sent}")

    def numbers(self) -> list[int]:
        """The frames on the disk."""
        return [int(unit.payload.split()[1]) for unit in self.disk]
