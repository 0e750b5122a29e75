"""Ranged reads behave as a file's."""

import hashlib
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.recorder.archive.archive import ArchiveError, ArchiveTrouble
from services.recorder.archive.catalogue import ArchivedCopy
from services.recorder.archive.reader import BLOCK_BYTES, MAX_AHEAD_BLOCKS, ArchiveReader, RangeReader
from services.recorder.storage.paths import RecordedStream
from services.recorder.storage.rows import Tier

if TYPE_CHECKING:
    from services.recorder.archive.store import ObjectStore

CONTENT = bytes(range(256)) * (BLOCK_BYTES * 5 // 256) + b"the end"


def reader(requests: list[tuple[int, int]], content: bytes = CONTENT) -> RangeReader:
    def fetch(at: int, size: int) -> bytes:
        assert 0 <= at < at + size <= len(content), "asked for what is not there"
        requests.append((at, size))
        return content[at : at + size]

    return RangeReader(fetch, len(content))


@given(st.lists(st.tuples(st.integers(0, len(CONTENT) + 10), st.integers(0, 2 * BLOCK_BYTES)), max_size=20))
def test_any_reads_give_what_a_file_gives(reads: list[tuple[int, int]]) -> None:
    subject = reader([])
    for at, size in reads:
        assert subject.read(at, size) == CONTENT[at : at + size]


def test_reading_on_asks_for_more_each_time_and_for_nothing_twice() -> None:
    requests: list[tuple[int, int]] = []
    content = bytes(BLOCK_BYTES * 100)
    subject = reader(requests, content)
    for at in range(0, len(content), 1000):
        subject.read(at, 1000)
    assert sum(size for _, size in requests) == len(content)
    assert len(requests) < 12
    assert max(size for _, size in requests) == MAX_AHEAD_BLOCKS * BLOCK_BYTES


def test_a_jump_costs_one_block() -> None:
    requests: list[tuple[int, int]] = []
    subject = reader(requests)
    subject.read(0, 8)
    subject.read(4 * BLOCK_BYTES, 8)
    assert requests == [(0, BLOCK_BYTES), (4 * BLOCK_BYTES, BLOCK_BYTES)]


def test_a_large_read_is_one_request() -> None:
    requests: list[tuple[int, int]] = []
    assert reader(requests).read(10, 3 * BLOCK_BYTES) == CONTENT[10 : 10 + 3 * BLOCK_BYTES]
    assert len(requests) == 1


class OneObject:
    """As much of an object store as reading takes."""

    def __init__(self, content: bytes | None) -> None:
        self._content = content

    def fetch_range(self, _key: str, at: int, size: int) -> bytes:
        if self._content is None:
            raise FileNotFoundError("the object is not there")
        return self._content[at : at + size]


@pytest.mark.parametrize("stored", [CONTENT, CONTENT[:-1] + b"?", None])
def test_what_is_handed_out_as_evidence_is_compared_with_what_was_sent(stored: bytes | None) -> None:
    stream = RecordedStream("city", "cam-1", "main")
    copy = ArchivedCopy(stream, 0, 60_000_000, len(CONTENT), Tier.FULL, hashlib.sha256(CONTENT).digest(), 0)
    subject = ArchiveReader(cast("ObjectStore", OneObject(stored)), monotonic=lambda: 0.0)
    if stored == CONTENT:
        with subject.opened_verified(copy) as (read, size):
            assert (read(5, 100), size) == (CONTENT[5:105], len(CONTENT))
        return
    with pytest.raises(ArchiveError) as caught, subject.opened_verified(copy):
        pass
    assert caught.value.trouble is ArchiveTrouble.DIFFERS
