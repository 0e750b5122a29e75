"""One camera's kept footage: chunks of messages in order, released by acknowledgements. Pure."""

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final, NamedTuple

from services.contracts.frames import begins_gop, capture_us_of, is_picture, order_of
from services.contracts.keeping import KeptRun
from services.contracts.models import Id

CHUNK_BYTES: Final = 1024 * 1024
CHUNK_MESSAGES: Final = 512
"""A chunk that has grown to one of these ends, also within a GOP."""
SHORT_GOP_MESSAGES: Final = 16
"""GOPs of fewer messages share a chunk: MJPEG has a keyframe each frame."""


class SpoolPlace(NamedTuple):
    """Where a chunk stands on disk."""

    file: int
    """The spool's number for the file."""
    at: int
    size_bytes: int


class FootageChunk:
    """Messages of one epoch in order of their arrival, beginning with a picture; sound stands among the pictures."""

    __slots__ = (
        "epoch",
        "first",
        "first_us",
        "kept_at",
        "last",
        "last_us",
        "messages",
        "place",
        "size_bytes",
        "starts_gop",
    )

    def __init__(self, *, epoch: int, first: int, first_us: int, starts_gop: bool, kept_at: float) -> None:
        self.epoch = epoch
        self.first = first
        """Sequence of its first picture."""
        self.first_us = first_us
        self.starts_gop = starts_gop
        """Whether its first picture is a keyframe."""
        self.kept_at = kept_at
        """When it began, by `Clock.monotonic`."""
        self.last = first
        """Sequence of its last picture; while it grows, of its first."""
        self.last_us = first_us
        self.messages: list[bytes] | None = []
        """None once it stands on disk alone."""
        self.size_bytes = 0
        self.place: SpoolPlace | None = None

    def end(self) -> None:
        """It grows no more."""
        assert self.messages is not None
        for message in reversed(self.messages):
            if is_picture(message):
                self.last, self.last_us = order_of(message)[1], capture_us_of(message)
                return


class DroppedFootage(NamedTuple):
    """Up to where footage was dropped without an acknowledgement."""

    epoch: int
    sequence: int


class KeptCamera:
    """One camera's chunks, oldest first, ordered by (epoch, sequence). The newest grows."""

    def __init__(self, site: Id, camera: Id) -> None:
        self.site = site
        self.camera = camera
        self.chunks: deque[FootageChunk] = deque()
        self.dropped: DroppedFootage | None = None
        self.live_epoch: int | None = None
        """The epoch under which this worker reads the camera now; None: it does not."""
        self.memory_bytes = 0
        self._growing: FootageChunk | None = None
        self._acknowledged: dict[Id, dict[int, int]] = {}
        """Recorder → epoch → sequence."""

    def add_message(self, message: bytes, now: float) -> None:
        """Keeps the next message. Nothing is copied; sound before the first picture is not kept."""
        growing = self._growing
        if is_picture(message) and (
            growing is None
            or growing.messages is None
            or (begins_gop(message) and len(growing.messages) >= SHORT_GOP_MESSAGES)
            or growing.size_bytes >= CHUNK_BYTES
            or len(growing.messages) >= CHUNK_MESSAGES
            or (begins_gop(message) and order_of(message)[0] != growing.epoch)
        ):
            growing = self._begin(message, now)
        if growing is None:
            return
        assert growing.messages is not None
        growing.messages.append(message)
        growing.size_bytes += len(message)
        self.memory_bytes += len(message)

    def add_messages(self, messages: Sequence[bytes], now: float) -> None:
        """As `add_message`, of several."""
        at = 0
        for begin in [place for place, message in enumerate(messages) if begins_gop(message)]:
            self._add_within_gop(messages[at:begin], now)
            self.add_message(messages[begin], now)
            at = begin + 1
        self._add_within_gop(messages[at:], now)

    def _add_within_gop(self, messages: Sequence[bytes], now: float) -> None:
        growing, size_bytes = self._growing, sum(map(len, messages))
        if (
            growing is None
            or growing.messages is None
            or growing.size_bytes + size_bytes > CHUNK_BYTES
            or len(growing.messages) + len(messages) > CHUNK_MESSAGES
        ):
            for message in messages:
                self.add_message(message, now)
            return
        growing.messages += messages
        growing.size_bytes += size_bytes
        self.memory_bytes += size_bytes

    def _begin(self, message: bytes, now: float) -> FootageChunk:
        self.end_chunk()
        epoch, sequence = order_of(message)
        chunk = FootageChunk(
            epoch=epoch,
            first=sequence,
            first_us=capture_us_of(message),
            starts_gop=begins_gop(message),
            kept_at=now,
        )
        self.live_epoch = epoch
        self._growing = chunk
        self.chunks.append(chunk)
        return chunk

    def end_chunk(self) -> None:
        """The next picture begins another chunk."""
        if self._growing is not None:
            self._growing.end()
            self._growing = None

    def end_reading(self) -> None:
        """The worker does not read the camera any more."""
        self.end_chunk()
        self.live_epoch = None

    def adopt_chunk(self, chunk: FootageChunk) -> bool:
        """Takes a chunk that an earlier worker left on the disk; False where it is here already."""
        chunks = self.chunks
        order = chunk.epoch, chunk.first
        if not chunks or (chunks[-1].epoch, chunks[-1].first) < order:
            self.end_chunk()
            chunks.append(chunk)
            return True
        at = next(i for i, each in enumerate(chunks) if (each.epoch, each.first) >= order)
        if (chunks[at].epoch, chunks[at].first) == order:
            return False
        chunks.insert(at, chunk)
        return True

    # Who has it

    def acknowledge(self, recorder: Id, epoch: int, sequence: int) -> None:
        """A recorder has all pictures of ``epoch`` up to ``sequence``. Acknowledgements may come twice, or late."""
        known = self._acknowledged.setdefault(recorder, {})
        known[epoch] = max(sequence, known.get(epoch, -1))

    def release(self, required: tuple[Id, ...]) -> list[FootageChunk]:
        """Lets go what all of ``required`` have, in whole GOPs; the GOP that grows stays. Returns what went.

        Where nobody is required all goes but the last GOP, which a recorder that is assigned later begins with.
        """
        who = [self._acknowledged.get(recorder, {}) for recorder in required]
        count = 0
        for index, chunk in enumerate(self.chunks):
            if chunk.starts_gop:
                count = index
            if chunk is not self._growing and not all(chunk.last <= known.get(chunk.epoch, -1) for known in who):
                return self._take(count)
        if self.live_epoch is None:
            count = len(self.chunks)
        return self._take(count)

    def drop_oldest(self, count: int) -> list[FootageChunk]:
        """The bound is reached: the oldest chunks go without an acknowledgement. Returns them."""
        gone = self._take(count)
        if gone:
            self.dropped = DroppedFootage(gone[-1].epoch, gone[-1].last)
        return gone

    def drop_from_memory(self) -> int:
        """The bound is reached: the oldest chunk goes that is in memory, though older ones stay on disk. Its size."""
        (chunk,) = self.oldest_in_memory
        self.chunks.remove(chunk)
        self.memory_bytes -= chunk.size_bytes
        self.dropped = DroppedFootage(chunk.epoch, chunk.last)
        return chunk.size_bytes

    def _take(self, count: int) -> list[FootageChunk]:
        gone = [self.chunks.popleft() for _ in range(min(count, len(self.chunks)))]
        for chunk in gone:
            if chunk is self._growing:
                self._growing.end()
                self._growing = None
            if chunk.messages is not None:
                self.memory_bytes -= chunk.size_bytes
        if gone:
            for known in self._acknowledged.values():
                for epoch in [epoch for epoch in known if epoch < gone[-1].epoch]:
                    del known[epoch]
        return gone

    def moved_to_disk(self, chunk: FootageChunk, place: SpoolPlace) -> None:
        """The chunk stands on disk; its memory is free."""
        chunk.place = place
        if chunk.messages is not None:
            chunk.messages = None
            self.memory_bytes -= chunk.size_bytes

    # What is there

    @property
    def unspooled(self) -> Iterator[FootageChunk]:
        """Chunks that are in memory and grow no more, oldest first."""
        return (chunk for chunk in self.chunks if chunk.messages is not None and chunk is not self._growing)

    @property
    def oldest_in_memory(self) -> tuple[FootageChunk, ...]:
        """The first of them, where there is one."""
        return tuple(islice(self.unspooled, 1))

    @property
    def growing(self) -> FootageChunk | None:
        """The chunk that the next message joins."""
        return self._growing

    def runs(self) -> Iterator[KeptRun]:
        """What is kept, one run for each epoch."""
        first: FootageChunk | None = None
        before: FootageChunk | None = None
        for chunk in self.chunks:
            if first is not None and before is not None and chunk.epoch != first.epoch:
                yield self._run(first, before)
                first = None
            first = first or chunk
            before = chunk
        if first is not None and before is not None:
            yield self._run(first, before)

    def _run(self, first: FootageChunk, last: FootageChunk) -> KeptRun:
        if last is self._growing:
            last.end()  # notes how far it has grown
        return KeptRun(
            self.site, self.camera, first.epoch, first.first, last.last, first.first_us, last.last_us,
            live=first.epoch == self.live_epoch,
        )  # fmt: skip

    def next_chunk(self, epoch: int, after: int | None) -> FootageChunk | None:
        """The first chunk of ``epoch`` that has, or may still get, a picture behind ``after``."""
        for chunk in self.chunks:
            if chunk.epoch == epoch and (after is None or chunk.last > after or chunk is self._growing):
                return chunk
        return None

    def gop_before(self, chunk: FootageChunk) -> FootageChunk:
        """The chunk with which the GOP begins that ``chunk`` is a part of; itself where nothing earlier is kept."""
        begin = chunk
        for each in self.chunks:
            if each.starts_gop and each.epoch == chunk.epoch:
                begin = each
            if each is chunk:
                break
        return begin

    def dropped_behind(self, epoch: int, after: int | None) -> int | None:
        """Up to which sequence of ``epoch`` footage behind ``after`` was dropped; None: nothing was."""
        dropped = self.dropped
        if dropped is None or dropped.epoch != epoch or (after is not None and dropped.sequence <= after):
            return None
        return dropped.sequence


def messages_behind(messages: list[bytes], after: int | None) -> list[bytes]:
    """A chunk's messages behind the picture ``after``, with the sound behind that picture; empty without a picture."""
    if after is None:
        return messages
    sound_at = 0
    for index, message in enumerate(messages):
        if is_picture(message):
            if order_of(message)[1] > after:
                return messages[sound_at:]
            sound_at = index + 1
    return []
