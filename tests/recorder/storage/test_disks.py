"""On which disk a stream's next segment goes."""

from services.recorder.storage.disks import DiskRoom, choose_disk


def test_a_stream_stays_on_its_disk_while_there_is_room() -> None:
    rooms = {"a": DiskRoom(10, 5), "b": DiskRoom(1000, 0)}
    assert choose_disk(rooms, "a") == "a"
    assert choose_disk(rooms, None) == "b"
    assert choose_disk(rooms, "gone") == "b"
    assert choose_disk({"a": DiskRoom(0, 5), "b": DiskRoom(1000, 0)}, "a") == "b"
    assert choose_disk({"a": DiskRoom(-5, 5), "b": DiskRoom(-1, 0)}, "a") == "a"
    assert choose_disk({}, "a") is None


def test_new_streams_go_where_there_is_most_room_for_each() -> None:
    placed = {"a": 0, "b": 0}
    for _ in range(30):
        disk = choose_disk({"a": DiskRoom(2000, placed["a"]), "b": DiskRoom(1000, placed["b"])}, None)
        assert disk is not None
        placed[disk] += 1
    assert placed == {"a": 20, "b": 10}
