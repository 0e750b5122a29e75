"""The archive against a real S3 server: what is copied is what was recorded, and serves in its place."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path

import pytest

from services.contracts.errors import UnavailableError
from services.contracts.events import ArchiveDamaged, ArchiveFailed, ArchiveRecovered, Event, RecordingExpired
from services.contracts.evidence.exchange import ALTERED, GAP
from services.contracts.models import Incident
from services.contracts.recordings import FootageGap
from services.recorder.archive.archive import ArchiveError, ArchiveTrouble
from services.recorder.archive.catalogue import CATALOGUE, ArchivedCopy
from services.recorder.archive.s3_archive import DEFAULT_PAUSES, ArchivePauses, S3Archive
from services.recorder.archive.settings import ArchiveSettings
from services.recorder.events import RecorderEvents
from services.recorder.reading import evidence, playback
from services.recorder.reading.clip import payloads
from services.recorder.reading.footage import RecordedFootage, SegmentSource
from services.recorder.retention.holds import Holds
from services.recorder.retention.retention_pass import RetentionPass
from services.recorder.storage.index import Index
from services.recorder.storage.paths import INDEX
from services.recorder.storage.rows import Segment, Tier
from tests.integration.recorders import until
from tests.integration.s3server import S3Server
from tests.recorder.rig import SIGNER, Rig
from tests.recorder.units import START_US, pictures
from tests.support.ports import free_port

pytestmark = pytest.mark.integration
DAY = 86_400


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """One for all tests here; each has a folder of its own in the bucket."""
    made = S3Server(tmp_path_factory.mktemp("s3"))
    asyncio.run(made.start())
    yield made
    asyncio.run(made.kill())


@pytest.fixture
def settings(server: S3Server, request: pytest.FixtureRequest) -> ArchiveSettings:
    return server.settings(url=f"s3://city-archive/{request.node.name}")


class Copies:
    """An archive over a rig's disk, without a bus."""

    def __init__(self, rig: Rig, settings: ArchiveSettings, pauses: ArchivePauses = DEFAULT_PAUSES) -> None:
        self.rig = rig
        self.events: list[Event] = []
        self.incidents: list[Incident] = []
        self.archive = S3Archive(
            settings, rig.disk.directory, [rig.disk], clock=rig.clock, holds=self.holds,
            events=RecorderEvents("rec-1", "city", rig.clock, self.events.append), pauses=pauses,
        )  # fmt: skip
        assert self.archive.open()
        assert self.archive.catalogue is not None
        self.store, self.catalogue = self.archive.store, self.archive.catalogue
        self.uploader, self.audit = self.archive.uploader(), self.archive.audit()
        self.footage = RecordedFootage("rec-1", [rig.disk], self.archive)

    def holds(self) -> Holds:
        return Holds(self.incidents, self.rig.clock.now_us())

    async def copy_all(self) -> None:
        while await self.uploader.copy_some():
            pass

    async def content(self, segment: Segment) -> bytes:
        key = str(self.rig.path(segment).relative_to(self.rig.disk.recordings))
        return await self.content_of(key)

    async def content_of(self, key: str) -> bytes:
        return b"".join([data async for data in self.store.read_object(key, await self.store.object_size(key))])

    async def look_after(self) -> None:
        """An audit, after which all is looked at again."""
        await self.audit.run_once()
        self.uploader.retry_all()

    def keep(self, ladder: str, budget_bytes: int = 0) -> RetentionPass:
        return self.rig.retention(ladder, budget_bytes=budget_bytes, archive=self.archive)

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.archive.run())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


def record(rig: Rig, minutes: int) -> list[Segment]:
    rig.feed(pictures(count=25 * 60 * minutes))
    rig.settle()
    return rig.segments()


def everything(footage: RecordedFootage, from_us: int, to_us: int) -> dict[str, list[bytes]]:
    """What a range gives in every way that footage is asked for."""

    def sources() -> list[SegmentSource]:
        return footage.sources("cam-1", "main", from_us, to_us)

    make: dict[str, Callable[[], Iterator[bytes]]] = {
        "frames": lambda: playback.messages(sources(), from_us, to_us, "frames"),
        "backwards": lambda: playback.messages(sources(), from_us, to_us, "backwards"),
        "clip": lambda: payloads(sources(), from_us, to_us),
        "evidence": lambda: evidence.messages(sources(), from_us, to_us, SIGNER),
    }
    return {name: list(how()) for name, how in make.items()}


async def test_what_is_stored_is_what_was_recorded_and_is_stored_once(
    settings: ArchiveSettings, tmp_path: Path
) -> None:
    with Rig(tmp_path) as rig:
        segments = record(rig, 3)
        archive = Copies(rig, settings)
        assert await archive.uploader.copy_some()
        assert all(archive.archive.covers(segment) for segment in segments)
        for segment in segments:
            assert await archive.content(segment) == rig.path(segment).read_bytes()
        assert not await archive.uploader.copy_some()
        assert archive.events == []


async def test_footage_is_the_same_from_the_archive_when_the_disk_has_it_no_more(
    settings: ArchiveSettings, tmp_path: Path
) -> None:
    with Rig(tmp_path) as rig:
        segments = record(rig, 3)
        archive = Copies(rig, settings)
        from_us, to_us = segments[0].start_us + 20_000_000, segments[2].start_us + 20_000_000
        before = await asyncio.to_thread(everything, archive.footage, from_us, to_us)
        timeline = archive.footage.timeline("cam-1", "main", 0, 1 << 60)
        await archive.copy_all()
        rig.clock.advance(2 * DAY)
        archive.keep("full 1d").run(Holds([], 0))
        assert rig.segments() == []
        assert await asyncio.to_thread(everything, archive.footage, from_us, to_us) == before
        after = archive.footage.timeline("cam-1", "main", 0, 1 << 60)
        assert [(r.from_us, r.to_us, r.tier, r.archived) for r in after.ranges] == [
            (r.from_us, r.to_us, "full", True) for r in timeline.ranges
        ]


async def test_thinned_footage_is_whole_where_the_archive_has_it_whole(
    settings: ArchiveSettings, tmp_path: Path
) -> None:
    with Rig(tmp_path) as rig:
        segments = record(rig, 4)
        archive = Copies(rig, settings)
        await archive.copy_all()
        rig.clock.advance((segments[1].end_us - rig.clock.now_us()) / 1e6 + DAY + 1)
        archive.keep("full 1d, keyframes 9d every 10s").run(Holds([], 0))
        assert [segment.tier for segment in rig.segments()] == [Tier.KEYFRAMES] * 2 + [Tier.FULL] * 2
        ranges = archive.footage.timeline("cam-1", "main", 0, 1 << 60).ranges
        assert [(r.from_us, r.to_us, r.tier, r.archived) for r in ranges] == [
            (segments[0].start_us, segments[1].end_us, "full", True),
            (segments[2].start_us, segments[3].end_us, "full", False),
        ]
        sources = archive.footage.sources("cam-1", "main", 0, 1 << 60)
        frames = await asyncio.to_thread(lambda: list(playback.messages(sources, 0, 1 << 60, "frames")))
        assert len(frames) == 25 * 240


async def test_nothing_goes_uncopied_by_age_but_near_the_floor_recording_goes_on(
    settings: ArchiveSettings, tmp_path: Path
) -> None:
    with Rig(tmp_path) as rig:
        segments = record(rig, 3)
        archive = Copies(rig, settings)
        rig.clock.advance(9 * DAY)
        assert archive.keep("full 1d").run(Holds([], 0)).done == []
        assert rig.segments() == segments
        outcome = archive.keep("full 1d", budget_bytes=segments[2].size_bytes).run(Holds([], 0))
        assert outcome.uncopied == len(outcome.done) >= 2
        await archive.copy_all()
        assert len(archive.keep("full 1d").run(Holds([], 0)).done) == 3 - len(outcome.done)
        assert rig.segments() == []


@pytest.mark.parametrize(
    ("wrong", "trouble"),
    [
        ({"secret_access_key": "not-the-secret"}, ArchiveTrouble.REFUSED),
        ({"access_key_id": "AKIAUNKNOWN"}, ArchiveTrouble.REFUSED),
        ({"url": "s3://no-such-bucket/x"}, ArchiveTrouble.NO_BUCKET),
        ({"endpoint": "http://127.0.0.1:1"}, ArchiveTrouble.UNREACHABLE),
    ],
)
async def test_what_is_wrong_is_said_and_no_secret_with_it(
    server: S3Server,
    wrong: dict[str, str],
    trouble: ArchiveTrouble,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    settings = server.settings(**wrong)
    with Rig(tmp_path) as rig:
        segments = record(rig, 1)
        archive = Copies(rig, settings, ArchivePauses(copies=0.05, longest_retry=0.1))
        async with archive.working():
            await until(lambda: archive.archive.health.failures > 2)
        (told,) = archive.events
        assert isinstance(told, ArchiveFailed)
        assert (told.because, told.waiting_segments, told.waiting_bytes) == (trouble, 1, segments[0].size_bytes)
        if trouble is ArchiveTrouble.REFUSED:
            assert "PANTAU_ARCHIVE_SECRET_ACCESS_KEY" in told.detail
        with pytest.raises(ArchiveError):
            await asyncio.to_thread(archive.store.fetch_range, "x", 0, 1)
        said = told.detail + "".join(capfd.readouterr())
        assert settings.secret_access_key.get_secret_value() not in said


class Cable:
    """A line to the server that can be cut."""

    def __init__(self, to_port: int) -> None:
        self._to_port = to_port
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = free_port()

    async def plug(self) -> None:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", self.port)

    async def cut(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._to_port)
        self._writers |= {writer, back}

        async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            with suppress(OSError):
                while data := await source.read(65536):
                    target.write(data)
                    await target.drain()
            target.close()

        await asyncio.gather(pump(reader, back), pump(there, writer))


async def test_a_server_that_goes_and_comes_back_gets_all_and_each_is_told_once(
    server: S3Server, settings: ArchiveSettings, tmp_path: Path
) -> None:
    cable = Cable(server.port)
    await cable.plug()
    through = settings.model_copy(update={"endpoint": f"http://127.0.0.1:{cable.port}"})
    with Rig(tmp_path) as rig:
        first = record(rig, 2)
        archive = Copies(rig, through, ArchivePauses(copies=0.05, longest_retry=0.2))
        async with archive.working():
            await until(lambda: all(archive.archive.covers(segment) for segment in first))
            await cable.cut()
            more = pictures(count=25 * 120, start_us=START_US + 200_000_000, first_sequence=9000)
            await asyncio.to_thread(rig.feed, more)
            await asyncio.to_thread(rig.settle)
            await until(lambda: archive.archive.health.failures > 3)
            assert not any(archive.archive.covers(segment) for segment in rig.segments()[2:])
            with pytest.raises(UnavailableError, match="does not answer"):
                await asyncio.to_thread(archive.store.fetch_range, archive.catalogue.older(1 << 62)[0].key, 0, 8)
            await cable.plug()
            await until(lambda: all(archive.archive.covers(segment) for segment in rig.segments()))
            await until(lambda: len(archive.events) == 2)
        failed, back = archive.events
        assert isinstance(failed, ArchiveFailed)
        assert failed.because == "unreachable"
        assert isinstance(back, ArchiveRecovered)
    await cable.cut()


async def test_a_corrupted_copy_is_found_told_and_made_again_while_the_footage_is_there(
    settings: ArchiveSettings, tmp_path: Path
) -> None:
    async def spoiled(content: bytes) -> AsyncIterator[bytes]:
        yield content[:50_000] + bytes([content[50_000] ^ 1]) + content[50_001:]

    with Rig(tmp_path) as rig:
        segments = record(rig, 2)
        archive = Copies(rig, settings)
        await archive.copy_all()
        for copy in archive.catalogue.older(1 << 62):
            await archive.store.put_object(copy.key, spoiled(await archive.content_of(copy.key)))
        rig.clock.advance(31 * DAY)
        await archive.look_after()
        assert [type(event) for event in archive.events] == [ArchiveDamaged] * 2
        assert not any(archive.archive.covers(segment) for segment in segments)
        rig.path(segments[1]).unlink()  # this one cannot be made again
        await archive.copy_all()
        assert archive.archive.covers(segments[0])
        assert await archive.content(segments[0]) == rig.path(segments[0]).read_bytes()
        with closing(Index.open(rig.disk.recordings / INDEX, durable=False)) as index, index:
            index.forget_segments([segments[1]])
        sources = archive.footage.sources("cam-1", "main", segments[1].start_us, segments[1].end_us)
        messages = await asyncio.to_thread(
            lambda: list(evidence.messages(sources, segments[1].start_us, segments[1].end_us, SIGNER))
        )
        gaps = [FootageGap.unpack(message[1:]) for message in messages if message[:1] == GAP]
        assert ALTERED in {gap.cause for gap in gaps}


async def test_copies_go_with_their_age_and_held_ones_stay(settings: ArchiveSettings, tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        segments = record(rig, 3)
        archive = Copies(rig, settings.model_copy(update={"keep": "30d", "recheck_days": 0}))
        await archive.copy_all()
        held = segments[1]
        archive.incidents.append(
            Incident(id="i-1", title="t", cameras=("cam-1",), from_us=held.start_us + 1, to_us=held.end_us - 1)
        )
        rig.clock.advance(31 * DAY)
        await archive.look_after()
        (told,) = archive.events
        assert isinstance(told, RecordingExpired)
        assert (told.from_us, told.to_us, told.because) == (segments[0].start_us, segments[2].end_us, "archive")
        assert told.remains_in == "disk"
        assert [copy.start_us for copy in archive.catalogue.older(1 << 62)] == [held.start_us]
        left = [item.key for page in archive.store.list_pages() for item in page]
        assert left == [str(rig.path(held).relative_to(rig.disk.recordings))]
        assert not await archive.uploader.copy_some()  # what is too old for the archive is not copied again


async def test_only_held_footage_is_copied_where_that_is_wanted(settings: ArchiveSettings, tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        segments = record(rig, 3)
        archive = Copies(rig, settings.model_copy(update={"what": "held"}))
        assert not await archive.uploader.copy_some()
        archive.incidents.append(
            Incident(id="i-1", title="t", cameras=("cam-1",), from_us=segments[2].start_us + 1, to_us=None)
        )
        await archive.copy_all()
        assert [archive.archive.covers(segment) for segment in segments] == [False, False, True]


async def test_a_lost_catalogue_is_made_anew_from_the_bucket_and_takes_no_damaged_object(
    settings: ArchiveSettings, tmp_path: Path
) -> None:
    async def garbage() -> AsyncIterator[bytes]:
        yield b"not a segment"

    with Rig(tmp_path) as rig:
        record(rig, 2)
        archive = Copies(rig, settings)
        await archive.copy_all()
        before = [copy._replace(checked_us=0) for copy in archive.catalogue.older(1 << 62)]
        entries = [archive.catalogue.gops(copy) for copy in before]
        await archive.store.put_object("city/cam-1/main/2023/11/14/23/20231114T230000.000Z.mp4", garbage())
        archive.catalogue.close()
        (tmp_path / CATALOGUE).unlink()
        for suffix in ("-wal", "-shm"):
            (tmp_path / f"{CATALOGUE}{suffix}").unlink(missing_ok=True)
        again = Copies(rig, settings)
        await again.look_after()
        after = again.catalogue.older(1 << 62)
        assert [copy._replace(checked_us=0) for copy in after] == before
        assert [again.catalogue.gops(copy) for copy in after] == entries


@pytest.mark.parametrize("error", [sqlite3.OperationalError("disk I/O error"), RuntimeError("a mistake of ours")])
async def test_whatever_breaks_is_told_and_tried_again_and_ends_nothing(
    settings: ArchiveSettings, tmp_path: Path, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Rig(tmp_path) as rig:
        segments = record(rig, 1)
        archive = Copies(rig, settings, ArchivePauses(copies=0.05, longest_retry=0.1))
        put_copy, broken = archive.catalogue.put_copy, True

        def failing(copy: ArchivedCopy, entries: bytes) -> None:
            if broken:
                raise error
            put_copy(copy, entries)

        monkeypatch.setattr(archive.catalogue, "put_copy", failing)
        async with archive.working():
            await until(lambda: archive.archive.health.failures > 1)
            assert not archive.archive.covers(segments[0])
            broken = False
            await until(lambda: archive.archive.covers(segments[0]))
            await until(lambda: len(archive.events) == 2)
        assert [type(event) for event in archive.events] == [ArchiveFailed, ArchiveRecovered]
