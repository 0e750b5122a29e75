"""What a worker keeps, for whom, and what goes when a bound is reached."""

from itertools import pairwise
from pathlib import Path

from services.contracts.frames import order_of
from services.contracts.keeping import SafeFootage, SafeReport
from services.ingest.keeping.chunks import KeptCamera, messages_behind
from services.ingest.keeping.keep import DEFAULT_LIMITS, SPOOL_AFTER_SECONDS, Keep, KeepLimits
from services.ingest.keeping.spool import Spool
from tests.ingest.keeping.made import picture, pictures, sound


def kept(count: int, *, gops_a_chunk: int = 1) -> KeptCamera:
    camera = KeptCamera("city", "cam-1")
    for number, message in enumerate(pictures(0, count)):
        if number % (5 * gops_a_chunk) == 0:
            camera.end_chunk()
        camera.add_message(message, now=number * 0.04)
    return camera


def first(camera: KeptCamera) -> int:
    return camera.chunks[0].first - 1000


def test_a_gop_goes_when_all_of_it_is_acknowledged_and_the_one_that_grows_stays() -> None:
    camera = kept(23)
    camera.acknowledge("rec-1", 1, 1012)
    camera.release(("rec-1",))
    assert first(camera) == 10  # 10 to 12 are the beginning of a GOP that a stand-in could begin with
    camera.acknowledge("rec-1", 1, 1022)
    camera.release(("rec-1",))
    assert (first(camera), len(camera.chunks)) == (20, 1)


def test_an_acknowledgement_that_comes_late_or_twice_brings_nothing_back() -> None:
    camera = kept(20)
    for sequence in (1014, 1009, 1014):
        camera.acknowledge("rec-1", 1, sequence)
        camera.release(("rec-1",))
    assert first(camera) == 15


def test_two_copies_acknowledge_apart() -> None:
    camera = kept(20)
    camera.acknowledge("rec-1", 1, 1019)
    camera.release(("rec-1", "rec-2"))
    assert first(camera) == 0
    camera.acknowledge("rec-2", 1, 1009)
    camera.release(("rec-1", "rec-2"))
    assert first(camera) == 10


def test_a_stand_in_gets_all_since_the_last_acknowledgement_of_the_one_before() -> None:
    camera = kept(20)
    camera.acknowledge("rec-1", 1, 1009)
    camera.release(("rec-1",))
    camera.release(("rec-2",))
    assert first(camera) == 10


def test_of_a_camera_that_nobody_records_the_last_gop_stays() -> None:
    camera = kept(23)
    camera.release(())
    assert first(camera) == 20


def test_a_new_epoch_is_a_run_of_its_own() -> None:
    camera = kept(10)
    for message in pictures(10, 10, epoch=2):
        camera.add_message(message, now=1.0)
    runs = list(camera.runs())
    assert [(run.epoch, run.first - 1000, run.last - 1000, run.live) for run in runs] == [
        (1, 0, 9, False),
        (2, 10, 19, True),
    ]
    camera.end_reading()
    assert not any(run.live for run in camera.runs())


def test_sound_comes_with_the_picture_that_it_followed() -> None:
    messages = [picture(0), sound(0), picture(1), sound(1), sound(2), picture(2)]
    assert messages_behind(messages, 1000) == messages[1:]
    assert messages_behind(messages, 1001) == messages[3:]
    assert messages_behind(messages, 1002) == []


def a_keep(folder: Path | None, limits: KeepLimits = DEFAULT_LIMITS) -> Keep:
    keep = Keep(limits, lambda _: ("rec-1",))
    if folder is not None:
        keep.spool = Spool(folder)
    return keep


def fill(keep: Keep, count: int, *, begin: int = 0, size_bytes: int = 100) -> None:
    camera = keep.camera("city", "cam-1")
    for number, message in enumerate(pictures(begin, count, size_bytes=size_bytes), start=begin):
        if number % 5 == 0:
            camera.end_chunk()
        camera.add_message(message, now=number * 0.04)


def write(keep: Keep, now: float, *, urgent: bool = False) -> int:
    job = keep.to_spool(now, urgent=urgent)
    if job is None:
        return 0
    assert keep.spool is not None
    keep.spool.begin_work()
    keep.spooled(job, keep.spool.write(job.rows()))
    return len(job.chunks)


def test_nothing_is_written_while_recorders_acknowledge(tmp_path: Path) -> None:
    keep = a_keep(tmp_path / "w-1")
    fill(keep, 100)
    keep.acknowledge(SafeReport("rec-1", (SafeFootage("cam-1", 1, 1089),)))
    keep.release()
    assert write(keep, now=5.0) == 0
    assert not list(tmp_path.rglob("*.spool"))


def test_what_nobody_acknowledges_goes_to_disk_and_is_gone_from_there_once_it_is(tmp_path: Path) -> None:
    keep = a_keep(tmp_path / "w-1")
    fill(keep, 103)
    assert write(keep, now=SPOOL_AFTER_SECONDS + 10) == 20  # all but the chunk that grows
    assert keep.memory_bytes < 1000
    assert write(keep, now=SPOOL_AFTER_SECONDS + 10, urgent=True) == 1
    assert keep.memory_bytes == 0
    keep.acknowledge(SafeReport("rec-1", (SafeFootage("cam-1", 1, 1102),)))
    keep.camera("city", "cam-1").end_reading()
    keep.release()
    assert not keep.cameras
    assert keep.spool is not None
    keep.spool.end_file()
    assert not list(tmp_path.rglob("*.spool"))


def test_past_the_time_the_oldest_goes_and_is_told(tmp_path: Path) -> None:
    keep = a_keep(tmp_path / "w-1", KeepLimits(seconds=2.0))
    fill(keep, 100)
    write(keep, now=4.0, urgent=True)
    keep.enforce(now=4.0)
    camera = keep.camera("city", "cam-1")
    assert first(camera) == 50
    assert camera.dropped_behind(1, 1010) == 1049
    assert camera.dropped_behind(1, 1049) is None
    assert keep.dropped_bytes > 0


def test_past_the_spool_s_size_its_oldest_file_goes(tmp_path: Path) -> None:
    keep = a_keep(tmp_path / "w-1", KeepLimits(spool_bytes=100_000))
    for begin in range(0, 100, 25):
        fill(keep, 25, begin=begin, size_bytes=2_000)
        write(keep, now=50.0, urgent=True)
        assert keep.spool is not None
        keep.spool.end_file()
    keep.enforce(now=4.0)
    assert first(keep.camera("city", "cam-1")) == 75
    assert len(list(tmp_path.rglob("*.spool"))) == 1


def test_without_a_spool_memory_is_the_bound() -> None:
    keep = a_keep(None, KeepLimits(memory_bytes=50_000))
    fill(keep, 200, size_bytes=1_000)
    assert write(keep, now=100.0) == 0
    keep.enforce(now=8.0)
    assert 30_000 < keep.memory_bytes <= 50_000
    sequences = [chunk.first for chunk in keep.camera("city", "cam-1").chunks]
    assert all(b - a == 5 for a, b in pairwise(sequences))


def test_what_is_acknowledged_while_it_is_written_leaves_memory_once(tmp_path: Path) -> None:
    keep = a_keep(tmp_path / "w-1")
    fill(keep, 100)
    job = keep.to_spool(100.0, urgent=True)
    assert job is not None
    assert keep.spool is not None
    keep.spool.begin_work()
    places = keep.spool.write(job.rows())
    keep.acknowledge(SafeReport("rec-1", (SafeFootage("cam-1", 1, 1099),)))
    keep.camera("city", "cam-1").end_reading()
    keep.release()
    keep.spooled(job, places)
    assert keep.memory_bytes == 0
    keep.spool.end_file()
    assert not list(tmp_path.rglob("*.spool"))


def test_a_disk_that_does_not_follow_costs_what_is_in_memory_and_nothing_that_it_has(tmp_path: Path) -> None:
    keep = a_keep(tmp_path / "w-1", KeepLimits(memory_bytes=50_000, writing_bytes=10_000))
    fill(keep, 50, size_bytes=1_000)
    write(keep, now=50.0, urgent=True)
    fill(keep, 100, begin=50, size_bytes=1_000)
    keep.enforce(now=8.0)
    camera = keep.camera("city", "cam-1")
    assert first(camera) == 0, "what is on disk stays"
    assert 40_000 < keep.memory_bytes <= 60_000
    assert keep.dropped_bytes > 0
    assert camera.dropped_behind(1, 1049) is not None


def test_while_it_is_not_known_who_records_nothing_is_released() -> None:
    keep = Keep(KeepLimits(), lambda _: None)
    fill(keep, 50)
    keep.release()
    assert first(keep.camera("city", "cam-1")) == 0


def test_short_gops_share_a_chunk_and_long_ones_have_several() -> None:
    camera = KeptCamera("city", "cam-1")
    for number in range(0, 500, 5):  # keyframes alone, as MJPEG
        camera.add_message(picture(number), now=0.0)
    assert len(camera.chunks) < 10
    camera = KeptCamera("city", "cam-1")
    for number in range(1, 5):
        camera.add_message(picture(number, size_bytes=600_000), now=0.0)
    assert [chunk.starts_gop for chunk in camera.chunks] == [False, False]
    assert order_of((camera.chunks[1].messages or [])[0])[1] == 1003
