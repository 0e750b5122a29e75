"""The keep on the bus: it hears what is safe, says what is kept, and hands over what recorders ask for."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from services.contracts import subjects
from services.contracts.frames import begins_gop, is_picture, order_of
from services.contracts.keeping import KeepingError, KeptReport, PullAnswer, PullQuestion, SafeReport, join_messages
from services.ingest.keeping.chunks import CHUNK_BYTES, FootageChunk, KeptCamera, messages_behind
from services.ingest.keeping.keep import Keep, SpoolJob
from services.ingest.keeping.spool import Spool, SpoolError
from services.mesh import transfer
from services.mesh.bus import BusMessage
from services.mesh.clock import sleep
from services.mesh.lifecycle import Service
from services.mesh.log import get_logger
from services.mesh.metrics import counter, gauge

log = get_logger()

TICK_SECONDS: Final = 0.5
REPORT_TICKS: Final = 2
"""A report each second."""
ADOPT_TICKS: Final = 20
"""So often it looks for what another worker of this machine left."""
_LENGTH_BYTES: Final = 4
_ROOM_BYTES: Final = 64
"""In a message to nats-server, for what stands around the frames."""
PULL_BYTES_PER_SECOND: Final = 32_000_000
"""For each pull; a recorder has a few at a time."""

_memory = gauge("ingest_kept_bytes", "Footage in memory that recorders have not acknowledged")
_spool = gauge("ingest_spool_bytes", "Footage in the spool on disk")
_dropped = counter("ingest_kept_dropped_bytes", "Footage that was dropped unacknowledged because a bound was reached")


class Handover:
    """One worker's; `run` it, then `close`."""

    def __init__(
        self,
        service: Service,
        keep: Keep,
        *,
        worker: str,
        folder: Path,
        floor_bytes: int,
        reachable: Callable[[], bool],
        catch_up: Callable[[], None],
    ) -> None:
        """``folder`` holds the spools of all workers. ``reachable``: whether anybody can acknowledge just now.
        ``catch_up()`` puts into the keep what was published and is not kept yet."""
        self._service = service
        self._keep = keep
        self._worker = worker
        self._folder = folder
        self._floor_bytes = floor_bytes
        self._reachable = reachable
        self._catch_up = catch_up
        self._hurry = asyncio.Event()
        self._writing: asyncio.Task[None] | None = None
        self._spool_off = False
        """It is wanted, and could not be opened."""

    def open_spool(self) -> None:
        """Opens the spool; without one footage is kept in memory alone. Call it again where it could not be opened."""
        try:
            self._keep.spool = Spool(self._folder / self._worker, floor_bytes=self._floor_bytes)
        except SpoolError as error:
            if not self._spool_off:
                log.warning("spool.off", error=error)
            self._spool_off = True
        else:
            if self._spool_off:
                log.info("spool.on")
            self._spool_off = False

    def tell_soon(self) -> None:
        """Something begins or ends: recorders are told at once."""
        self._hurry.set()

    async def run(self) -> None:
        """Until it is cancelled."""
        bus, home = self._service.bus, self._service.home
        if self._keep.spool is not None:
            await self._adopt(beside=False)  # those beside belong to workers that are starting, too
        subscriptions = [
            await bus.subscribe(subjects.safe(home, "*"), self._on_safe),
            await bus.subscribe(subjects.pull(home, self._worker), self._on_pull),
        ]
        tick = 0
        try:
            while True:
                self.turn()
                if tick % REPORT_TICKS == 0 or self._hurry.is_set():
                    self._hurry.clear()
                    await self._tell()
                if tick % ADOPT_TICKS == ADOPT_TICKS - 1 and self._writing is None:
                    if self._spool_off:
                        self.open_spool()
                    if self._keep.spool is not None:
                        await self._adopt()
                tick += 1
                await self._pause()
        finally:
            for subscription in subscriptions:
                await subscription.unsubscribe()

    async def _pause(self) -> None:
        """A tick, or less where there is something to tell."""
        try:
            async with asyncio.timeout(TICK_SECONDS):
                await self._hurry.wait()
        except TimeoutError:
            pass

    def turn(self) -> None:
        """Releases, enforces the bounds, and begins to write what has to go to disk."""
        now = self._service.clock.monotonic()
        keep = self._keep
        keep.release()
        dropped_bytes = keep.dropped_bytes
        keep.enforce(now)
        _dropped.inc(keep.dropped_bytes - dropped_bytes)
        _memory.set(keep.memory_bytes)
        _spool.set(keep.spool.size_bytes if keep.spool is not None else 0)
        if self._writing is not None and self._writing.done():
            self._writing = None
        if self._writing is None:
            self._writing = self._begin_write()

    def _begin_write(self) -> "asyncio.Task[None] | None":
        spool = self._keep.spool
        first = self._next_job()
        if spool is None or first is None:
            return None

        async def write() -> None:
            job: SpoolJob | None = first
            while job is not None:
                spool.begin_work()
                places = await asyncio.to_thread(spool.write, job.rows())
                self._keep.spooled(job, places)
                # A busy machine's ticks are late: what did not fit into a batch does not wait for the next one.
                job = self._next_job() if job.is_full and len(places) == len(job.chunks) else None

        return self._service.tasks.create_task(write(), name="spool")

    def _next_job(self) -> SpoolJob | None:
        return self._keep.to_spool(self._service.clock.monotonic(), urgent=not self._reachable())

    async def close(self) -> None:
        """Writes all that nobody has acknowledged, so that the next worker of this machine hands it over."""
        spool = self._keep.spool
        if spool is None:
            return
        if self._writing is not None:
            await asyncio.wait((self._writing,))
        self._keep.release()
        for kept in self._keep.cameras.values():
            kept.end_reading()
        while (job := self._keep.to_spool(self._service.clock.monotonic(), urgent=True)) is not None:
            spool.begin_work()
            places = await asyncio.to_thread(spool.write, job.rows())
            self._keep.spooled(job, places)
            if len(places) < len(job.chunks):
                break
        spool.close()

    async def _adopt(self, *, beside: bool = True) -> None:
        spool, clock = self._keep.spool, self._service.clock
        assert spool is not None
        spool.begin_work()
        found = await asyncio.to_thread(spool.load, clock.monotonic(), clock.now_us(), beside=beside)
        self._keep.adopt(found)
        if found:
            log.info("spool.adopted", chunks=len(found), cameras=len({item.camera for item in found}))
            self.tell_soon()

    async def _tell(self) -> None:
        self._catch_up()
        report = KeptReport(self._worker, tuple(self._keep.runs()), spooled=self._keep.spool is not None)
        await self._service.bus.publish(subjects.kept(self._service.home, self._worker), report.pack())

    async def _on_safe(self, message: BusMessage) -> None:
        try:
            self._keep.acknowledge(SafeReport.unpack(message.data))
        except KeepingError as error:
            log.warning("keep.bad_message", error=error)

    async def _on_pull(self, message: BusMessage) -> None:
        try:
            question = PullQuestion.unpack(message.data)
        except (ValidationError, ValueError) as error:
            log.warning("keep.bad_question", error=error)
            return
        self._catch_up()
        kept = self._keep.find(question.camera, question.epoch)
        answer = PullAnswer()
        if kept is not None:
            control = await transfer.send(
                self._service.bus,
                self._service.tasks,
                question.deliver_to,
                self._payloads(kept, question),
                name=f"pull of {question.camera}",
                clock=self._service.clock,
            )
            answer = PullAnswer(control=control, dropped_to=kept.dropped_behind(question.epoch, question.after))
        await self._service.bus.publish(message.reply, answer.pack())

    async def _payloads(self, kept: KeptCamera, question: PullQuestion) -> AsyncIterator[bytes]:
        epoch, after = question.epoch, question.after
        if question.whole_gop and after is not None:
            after = await self._before_gop(kept, epoch, after)
        while (chunk := kept.next_chunk(epoch, after)) is not None:
            messages = await self._messages(chunk)
            if messages is None:
                after = chunk.last
                continue
            messages = messages_behind(messages, after)
            if not messages:
                return
            after = order_of(next(each for each in reversed(messages) if is_picture(each)))[1]
            for payload in _payloads_of(messages, self._service.bus.max_payload_bytes or CHUNK_BYTES):
                yield payload
                await sleep(self._service.clock, len(payload) / PULL_BYTES_PER_SECOND)
            self._catch_up()

    async def _before_gop(self, kept: KeptCamera, epoch: int, after: int) -> int | None:
        """The sequence before that of the keyframe at or before the next picture; None: begin with all that is kept."""
        following = kept.next_chunk(epoch, after)
        if following is None:
            return after
        for chunk in (following, kept.gop_before(following)):
            messages = await self._messages(chunk) or []
            keyframe = _last_keyframe(messages, after)
            if keyframe is not None:
                return keyframe - 1
        return after

    async def _messages(self, chunk: FootageChunk) -> list[bytes] | None:
        """None where they are damaged on the disk, or were released meanwhile."""
        if chunk.messages is not None:
            return chunk.messages
        spool = self._keep.spool
        if spool is None or chunk.place is None:
            return None
        try:
            return await asyncio.to_thread(spool.read, chunk.place)
        except SpoolError as error:
            log.warning("spool.damaged", error=error)
            return None


def _payloads_of(messages: list[bytes], most_bytes: int) -> Iterator[bytes]:
    """Joined, a chunk's size each at most. Messages too large for nats-server are left out, as they were live."""
    room = most_bytes - _ROOM_BYTES
    batch: list[bytes] = []
    size_bytes = 0
    for message in messages:
        if len(message) > room:
            continue
        if batch and size_bytes + len(message) > min(CHUNK_BYTES, room):
            yield join_messages(batch)
            batch, size_bytes = [], 0
        batch.append(message)
        size_bytes += len(message) + _LENGTH_BYTES
    if batch:
        yield join_messages(batch)


def _last_keyframe(messages: list[bytes], after: int) -> int | None:
    """The sequence of the last keyframe at or before the first picture behind ``after``."""
    found: int | None = None
    for message in messages:
        if not is_picture(message):
            continue
        sequence = order_of(message)[1]
        if begins_gop(message):
            found = sequence
        if sequence > after:
            break
    return found
