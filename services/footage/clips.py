"""One MP4 of a range, out of the samples that the recorders send (`services.contracts.clips`).

Nothing is transcoded. Only the tables are held in memory, never the footage.
"""

from array import array
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import accumulate
from typing import Final, NamedTuple

import services
from services.contracts.clips import CLIP, MAX_CLIP_US, ClipChunk, ClipOpened, ClipQuestion, ClipTable
from services.contracts.errors import InvalidInputError, NotFoundError, UnavailableError
from services.contracts.models import Id
from services.contracts.permissions import SYSTEM, Actor
from services.contracts.recordings import FootageTimeline, TimelineQuestion
from services.footage.owners import Owner, ask_recorder, open_transfer
from services.footage.timeline import ask_timeline
from services.media.mp4 import progressive
from services.media.mp4.progressive import Chunk, ChunkSamples, ClipTrack
from services.media.mp4.tracks import Track
from services.media.time import SECOND_US, rescale, us_from_90k, us_to_90k
from services.mesh.bus import Bus
from services.mesh.transfer import Incoming

_VIDEO, _AUDIO = 0, 1
MAX_TABLES_BYTES: Final = 256 * 1024 * 1024
"""Of one clip, held in memory: twice what a day with sound has at 30 pictures a second."""
_SAME_US: Final = 50_000
"""Pictures of two recorders that are so close are one."""


class ClipPiece(NamedTuple):
    """A stretch of a clip and the recorder that has it."""

    recorder: Id
    from_us: int
    to_us: int


def clip_name(camera: Id, from_us: int) -> str:
    """The name of a clip's file: its camera and the time that was asked for, in UTC."""
    return f"{camera}_{datetime.fromtimestamp(from_us // 1_000_000, UTC):%Y-%m-%dT%H%M%S}Z.mp4"


def plan_clip(timeline: FootageTimeline) -> list[ClipPiece]:
    """Which recorder to ask for which stretch: as few stretches as the best footage allows."""
    pieces: list[ClipPiece] = []
    for item in timeline.ranges:
        if pieces and pieces[-1].recorder == item.recorder:
            pieces[-1] = pieces[-1]._replace(to_us=item.to_us)
        else:
            pieces.append(ClipPiece(item.recorder, item.from_us, item.to_us))
    return pieces


class KeptBytes(NamedTuple):
    """Which bytes of a chunk are in the clip."""

    keep_bytes: int
    skip_bytes: int


@dataclass
class ClipLayout:
    """A clip out of the tables of its pieces: the header, and which of the pieces' bytes follow it."""

    header: bytes
    data_bytes: int
    start_us: int
    """Capture time of what is shown first."""
    lead_us: int
    """How long before that its first picture begins: decoded, and left out of the show by the edit list."""
    duration_us: int
    thinned: bool
    made_up: bool
    """Some of it is a demo's: no camera took these pictures. The clip's own description says so as well (``made``)."""
    kept: list[list[KeptBytes]] = field(default_factory=list)
    """One for each chunk of each piece."""


def lay_out_clip(
    from_us: int, to_us: int, pieces: Sequence[tuple[int, Sequence[ClipTable]]], info: dict[str, object]
) -> ClipLayout:
    """Pure: ``pieces`` are each the ``from_us`` of its question and its tables, in order of time.

    Where pieces overlap the later one goes on from its first picture, which is a keyframe. Raises `NotFoundError` where
    there is no picture between ``from_us`` and ``to_us``.
    """
    tracks = [_Track(0), _Track(1)]
    starts = [_first_picture(tables, (piece_from - from_us)) for piece_from, tables in pieces]
    order: list[tuple[int, _Placed]] = []
    for number, (piece_from, tables) in enumerate(pieces):
        end_us = min([to_us - from_us, *(start for start in starts[number + 1 :] if start is not None)])
        for table in tables:
            for chunk in table.chunks:
                description = table.tracks[chunk.track]
                if description is None:
                    raise UnavailableError("a recorder's answer names a track that it does not describe")
                offset = rescale(piece_from - from_us, SECOND_US, description.timescale)
                placed = _Placed(chunk, description, chunk.at + offset)
                placed.cut(rescale(end_us, SECOND_US, description.timescale))
                order.append((number, placed))
                tracks[chunk.track].add(placed)
    video = tracks[_VIDEO]
    if not video.placed:
        raise NotFoundError("there is no footage in this range; the timeline shows where there is some")
    shown_us = max(0, us_from_90k(video.first_shown()))
    end_90k = min(us_to_90k(to_us - from_us), video.shown_end())
    duration_90k = max(end_90k - us_to_90k(shown_us), 1)
    used = [track for track in tracks if track.placed]
    if damaged_us := sum(us_from_90k(placed.damaged) for _, placed in order if placed.chunk.track == _VIDEO):
        info = {**info, "damaged_seconds": damaged_us / 1e6}
    made = next((table.made for _, tables in pieces for table in tables if table.made), "")
    if made:
        info = {**info, "made": made}
    header, data_bytes = progressive.header(
        [
            ClipTrack(track.timescale, track.first_shown() - rescale(shown_us, SECOND_US, track.timescale))
            for track in used
        ],
        (
            Chunk(min(placed.chunk.track, len(used) - 1), placed.description, placed.samples)
            for _, placed in order
            if len(placed)
        ),
        created_us=from_us + shown_us,
        duration_90k=duration_90k,
        info={"software": f"pantau {services.__version__}", **info},
    )
    layout = ClipLayout(
        header,
        data_bytes,
        from_us + shown_us,
        shown_us - us_from_90k(video.first_shown()),
        us_from_90k(duration_90k),
        any(table.tier != "full" for _, tables in pieces for table in tables),
        bool(made),
        [[] for _ in pieces],
    )
    for number, placed in order:
        layout.kept[number].append(placed.kept())
    return layout


class _Placed:
    """A chunk's samples as they are in the clip."""

    def __init__(self, chunk: ClipChunk, description: Track, at: int) -> None:
        self.chunk = chunk
        self.description = description
        self.at = at
        sizes, durations, offsets, marks = (chunk.samples[number::4] for number in range(4))
        self.samples = ChunkSamples(
            sizes, durations, array("i", offsets.tobytes()),
            [index for index, mark in enumerate(marks) if mark & 1],
            [index for index, mark in enumerate(marks) if mark & 2],
        )  # fmt: skip
        """The samples that are kept."""
        self.end = at + sum(durations)
        """Where the last sample's duration ends."""
        self._bytes = self._kept_bytes = sum(sizes)

    def cut(self, end: int) -> None:
        """Leaves out samples that no picture before ``end`` needs."""
        sizes, durations, offsets, keyframes, damaged = self.samples
        count, time, slack = len(sizes), self.end, rescale(_SAME_US, SECOND_US, self.description.timescale)
        while count:
            duration = durations[count - 1]
            time -= duration
            # Two recorders may differ by a little about when the same picture was taken. A slow camera's lasts seconds.
            if time + offsets[count - 1] + min(duration // 2, slack) < end:
                break
            count -= 1
        if count < len(sizes):
            keyframes, damaged = ([index for index in marked if index < count] for marked in (keyframes, damaged))
            self.samples = ChunkSamples(sizes[:count], durations[:count], offsets[:count], keyframes, damaged)
            self.end = self.at + sum(durations[:count])
            self._kept_bytes = sum(sizes[:count])

    def last_until(self, end: int) -> None:
        """The last sample lasts until the next chunk's first, over gaps too."""
        durations = self.samples.durations
        before = self.end - durations[-1]
        durations[-1] = min(max(end - before, 1), progressive.MAX_DURATION)
        self.end = before + durations[-1]

    def first_shown(self) -> int:
        """Presentation time of the first sample."""
        return self.at + self.samples.composition_offsets[0]

    def shown_end(self) -> int:
        """When the last picture that is shown ends."""
        _, durations, offsets, _, _ = self.samples
        shown = zip(accumulate(durations, initial=self.at), offsets, durations, strict=False)
        return max((time + offset + duration for time, offset, duration in shown), default=self.at)

    @property
    def damaged(self) -> int:
        """How long its damaged samples last."""
        return sum(self.samples.durations[index] for index in self.samples.damaged)

    def kept(self) -> KeptBytes:
        """How many of its bytes are in the clip."""
        return KeptBytes(self._kept_bytes, self._bytes - self._kept_bytes)

    def __len__(self) -> int:
        return len(self.samples.sizes_bytes)


class _Track:
    """A track as it grows: each chunk's last sample lasts until the next chunk, over gaps too."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.placed: list[_Placed] = []

    def add(self, placed: _Placed) -> None:
        if not len(placed):
            return
        if self.placed:
            self.placed[-1].last_until(placed.at)
        self.placed.append(placed)

    @property
    def timescale(self) -> int:
        return self.placed[0].description.timescale

    def first_shown(self) -> int:
        return self.placed[0].first_shown()

    def shown_end(self) -> int:
        return self.placed[-1].shown_end()


def _first_picture(tables: Sequence[ClipTable], offset_us: int) -> int | None:
    """When a piece's first picture is shown, in µs since the clip's ``from_us``."""
    for table in tables:
        for chunk in table.chunks:
            if chunk.track == _VIDEO and len(chunk.samples) and (track := table.tracks[_VIDEO]) is not None:
                return us_from_90k(_Placed(chunk, track, chunk.at).first_shown()) + offset_us
    return None


class Clip:
    """An open clip: `layout` says what it is, iterating gives its bytes. Close it by leaving ``async with``."""

    def __init__(self, layout: ClipLayout, timeline: FootageTimeline, sources: Sequence[Incoming]) -> None:
        self.layout = layout
        self.timeline = timeline
        self._sources = sources

    @property
    def size_bytes(self) -> int:
        """Of the whole file."""
        return len(self.layout.header) + self.layout.data_bytes

    async def chunks(self) -> AsyncIterator[bytes]:
        """The bytes of the file. Raises `UnavailableError` where a recorder fails: the file is then incomplete."""
        yield self.layout.header
        for source, kept in zip(self._sources, self.layout.kept, strict=True):
            reader = _Data(source)
            for keep_bytes, skip_bytes in kept:
                async for data in reader.take(keep_bytes):
                    yield data
                async for _ in reader.take(skip_bytes):
                    pass
            await source.close()


class _Data:
    """The bytes behind a transfer's tables."""

    def __init__(self, source: Incoming) -> None:
        self._source = source
        self._rest = memoryview(b"")

    async def take(self, size_bytes: int) -> AsyncIterator[bytes]:
        while size_bytes:
            if not self._rest:
                try:
                    message = await anext(self._source)
                except StopAsyncIteration:
                    raise UnavailableError("a recorder sent less than it said; try again") from None
                if len(message) <= size_bytes:  # all of it, mostly: no copy
                    size_bytes -= len(message)
                    yield message
                    continue
                self._rest = memoryview(message)
            part = self._rest[:size_bytes]
            self._rest = self._rest[len(part) :]
            size_bytes -= len(part)
            yield bytes(part)


async def open_clip(
    bus: Bus,
    home: Id,
    question: TimelineQuestion,
    *,
    recorders: int,
    stack: AsyncExitStack,
    actor: Actor = SYSTEM,
    info: dict[str, object] | None = None,
    owner: Owner | None = None,
) -> Clip:
    """Opens a clip of the question's range. ``stack`` closes its transfers; ``owner`` is whose recorders have it.

    Raises `InvalidInputError`, `NotFoundError` where there is no footage, `UnavailableError`, `NotGrantedError`.
    """
    if not 0 < question.to_us - question.from_us <= MAX_CLIP_US:
        raise InvalidInputError("a clip ends after it begins, and is at most 24 hours long")
    timeline, _ = await ask_timeline(bus, home, question, recorders=recorders, actor=actor, owner=owner)
    sources: list[Incoming] = []
    tables: list[tuple[int, list[ClipTable]]] = []
    tables_bytes = 0
    for piece in plan_clip(timeline):
        incoming = await stack.enter_async_context(await open_transfer(bus, owner))
        opened = await ask_recorder(
            bus,
            home,
            owner,
            piece.recorder,
            CLIP,
            ClipQuestion(
                camera=question.camera,
                site=question.site,
                profile=question.profile,
                from_us=piece.from_us,
                to_us=piece.to_us,
                deliver_to=incoming.deliver_to,
            ),
            ClipOpened,
            actor,
        )
        await incoming.accept(opened.control)
        found: list[ClipTable] = []
        async for message in incoming:
            if message[:1] == b"E":
                break
            tables_bytes += len(message)
            if tables_bytes > MAX_TABLES_BYTES:  # an owner's recorder may be hostile
                raise UnavailableError("a recorder's answer is too long; ask for a shorter clip")
            found.append(ClipTable.unpack(message))
        sources.append(incoming)
        tables.append((piece.from_us, found))
    described = {"camera": question.camera, "profile": question.profile, **(info or {})}
    layout = lay_out_clip(question.from_us, question.to_us, tables, described)
    return Clip(layout, timeline, sources)
