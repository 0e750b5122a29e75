"""The spool's files: what survives a death, a torn tail and a damaged byte, and who takes over what is left."""

import os
from pathlib import Path

import pytest

from services.ingest.keeping.chunks import FootageChunk, KeptCamera
from services.ingest.keeping.spool import Spool, SpoolError
from tests.ingest.keeping.made import START_US, pictures

NOW_US = START_US + 60_000_000


def chunks(first: int, count: int) -> list[tuple[str, str, FootageChunk]]:
    camera = KeptCamera("city", "cam-1")
    for number, message in enumerate(pictures(first, count)):
        if number % 5 == 0:
            camera.end_chunk()
        camera.add_message(message, now=0.0)
    camera.end_reading()
    return [("city", "cam-1", chunk) for chunk in camera.chunks]


def left(folder: Path, first: int = 0, count: int = 20) -> None:
    """What a worker leaves that is killed."""
    spool = Spool(folder)
    assert len(spool.write(chunks(first, count))) == count // 5
    end(spool)


def end(spool: Spool) -> None:
    """As the kernel does when a process ends."""
    while spool._locks:
        os.close(spool._locks.popitem()[1])


def test_the_next_worker_of_the_name_finds_all_of_it(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "w-1")
    made = chunks(0, 20)
    spool.write(made)
    end(spool)
    again = Spool(tmp_path / "w-1")
    found = again.load(now=100.0, now_us=NOW_US)
    assert [(item.site, item.camera, item.chunk.first, item.chunk.last) for item in found] == [
        ("city", "cam-1", chunk.first, chunk.last) for _, _, chunk in made
    ]
    assert all(item.chunk.starts_gop for item in found)
    assert found[0].chunk.kept_at == pytest.approx(40.0)
    place = found[1].chunk.place
    assert place is not None
    assert again.read(place) == pictures(5, 5)
    assert again.load(now=100.0, now_us=NOW_US) == []  # what it has it does not find again


def test_a_torn_tail_costs_the_last_record_alone(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "w-1")
    spool.write(chunks(0, 20))
    end(spool)
    (path,) = (tmp_path / "w-1").glob("*.spool")
    whole = path.read_bytes()
    for cut in (len(whole) - 1, len(whole) - 400, len(whole) // 2, 10):
        path.write_bytes(whole[:cut])
        again = Spool(tmp_path / "w-1")
        found = again.load(now=100.0, now_us=NOW_US)
        assert len(found) == sum(1 for at in range(1, 5) if at * len(whole) // 4 <= cut)
        for item in found:
            assert item.chunk.place is not None
            again.read(item.chunk.place)
        end(again)


def test_a_changed_byte_is_noticed(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "w-1")
    places = spool.write(chunks(0, 20))
    spool.begin_work()
    spool.hold(places)
    (path,) = (tmp_path / "w-1").glob("*.spool")
    data = bytearray(path.read_bytes())
    data[places[2].at + places[2].size_bytes // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(SpoolError, match="damaged"):
        spool.read(places[2])
    assert spool.read(places[3]) == pictures(15, 5)


def test_a_file_that_was_torn_is_not_written_on(tmp_path: Path) -> None:
    left(tmp_path / "w-1")
    with (tmp_path / "w-1" / "000001.spool").open("ab") as torn:
        torn.write(b"PKP1 and then the power went")
    spool = Spool(tmp_path / "w-1")
    spool.write(chunks(20, 20))
    end(spool)
    found = Spool(tmp_path / "w-1").load(now=100.0, now_us=NOW_US)
    assert [item.chunk.first - 1000 for item in found] == [0, 5, 10, 15, 20, 25, 30, 35]


def test_what_another_worker_of_the_machine_left_is_taken_over_once_it_is_gone(tmp_path: Path) -> None:
    gone = Spool(tmp_path / "w-1")
    gone.write(chunks(0, 20))
    mine = Spool(tmp_path / "w-2")
    assert mine.load(now=100.0, now_us=NOW_US) == []  # it is still there
    end(gone)
    mine.begin_work()
    found = mine.load(now=100.0, now_us=NOW_US)
    assert len(found) == 4
    places = [item.chunk.place for item in found if item.chunk.place is not None]
    mine.hold(places)
    for place in places:
        mine.release(place)
    assert not list(tmp_path.rglob("*.spool"))
    mine.close()
    assert not (tmp_path / "w-1").exists()


def test_a_worker_that_starts_later_has_its_folder_and_one_that_is_back_gets_it_again(tmp_path: Path) -> None:
    left(tmp_path / "w-2")
    one = Spool(tmp_path / "w-1")
    assert one.load(now=0.0, now_us=NOW_US, beside=False) == []
    end(Spool(tmp_path / "w-2"))  # w-2 starts
    one.begin_work()
    places = [found.chunk.place for found in one.load(now=0.0, now_us=NOW_US) if found.chunk.place]
    one.hold(places)
    with pytest.raises(SpoolError, match="in use"):
        Spool(tmp_path / "w-2")
    for place in places:
        one.release(place)
    Spool(tmp_path / "w-2").close()


def test_two_processes_do_not_use_one_folder(tmp_path: Path) -> None:
    first = Spool(tmp_path / "w-1")
    with pytest.raises(SpoolError, match="in use"):
        Spool(tmp_path / "w-1")
    end(first)
    end(Spool(tmp_path / "w-1"))


def test_a_folder_that_cannot_be_is_refused_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SpoolError, match="Not a directory"):
        Spool(tmp_path / "file" / "w-1")


def test_nothing_is_written_below_the_floor(tmp_path: Path) -> None:
    assert Spool(tmp_path / "w-1", floor_bytes=1 << 60).write(chunks(0, 20)) == []


def test_a_file_goes_with_the_last_chunk_that_somebody_needs(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "w-1")
    spool.begin_work()
    places = spool.write(chunks(0, 20))
    spool.hold(places)
    spool.end_file()
    for place in places[:-1]:
        spool.release(place)
    assert len(list(tmp_path.rglob("*.spool"))) == 1
    spool.release(places[-1])
    assert not list(tmp_path.rglob("*.spool"))
    assert spool.size_bytes == 0
