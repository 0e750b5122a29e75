"""How kept footage is cut into payloads and written to disk, and with which keyframe a hand-over begins."""

import asyncio
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from services.contracts.keeping import split_messages
from services.contracts.models import Id
from services.ingest.keeping.chunks import CHUNK_BYTES, FootageChunk, SpoolPlace
from services.ingest.keeping.handover import Handover, _last_keyframe, _payloads_of
from services.ingest.keeping.keep import BATCH_BYTES, Keep, KeepLimits
from services.ingest.keeping.spool import Spool
from services.mesh.clock import SystemClock
from services.mesh.lifecycle import Service
from tests.ingest.keeping.made import picture, pictures, sound


def test_payloads_hold_all_messages_in_order_and_are_no_larger_than_a_chunk() -> None:
    messages = pictures(0, 100, size_bytes=50_000)
    payloads = list(_payloads_of(messages, 8 * 1024 * 1024))
    assert [message for payload in payloads for message in split_messages(payload)] == messages
    assert 1 < len(payloads) < 10
    assert all(len(payload) <= CHUNK_BYTES + 100_000 for payload in payloads)


def test_no_payload_is_too_large_for_nats_server_and_what_is_was_not_sent_live_either() -> None:
    messages = [*pictures(0, 10, size_bytes=20_000), picture(10, size_bytes=70_000), *pictures(11, 3)]
    payloads = list(_payloads_of(messages, 65_536))
    assert all(len(payload) <= 65_536 for payload in payloads)
    assert [each for payload in payloads for each in split_messages(payload)] == [*messages[:10], *messages[11:]]


def test_who_has_no_open_file_begins_with_the_keyframe_at_or_before_the_next_picture() -> None:
    messages = [message for number in range(20) for message in (picture(number), sound(number))]
    assert _last_keyframe(messages, 1007) == 1005
    assert _last_keyframe(messages, 1009) == 1010  # the next one is a keyframe
    assert _last_keyframe(messages[2:8], 1002) is None  # that GOP began earlier


async def test_what_does_not_fit_into_a_batch_is_written_at_once_and_what_comes_meanwhile_with_the_next_tick(
    tmp_path: Path,
) -> None:
    clock, large_bytes = SystemClock(), BATCH_BYTES // 6 + 1
    keep = Keep(KeepLimits(), lambda _: ("rec-1",))

    class BusySpool(Spool):
        sizes: list[int]

        def write(self, chunks: Iterable[tuple[Id, Id, FootageChunk]]) -> list[SpoolPlace]:
            places = super().write(chunks)
            self.sizes.append(len(places))
            if len(self.sizes) < 10:  # the camera goes on
                keep.camera("city", "cam-1").add_message(picture(100 + len(self.sizes)), clock.monotonic())
            return places

    keep.spool = spool = BusySpool(tmp_path / "w-1")
    spool.sizes = []
    for message in pictures(0, 8, size_bytes=large_bytes):
        keep.camera("city", "cam-1").add_message(message, clock.monotonic())
    async with asyncio.TaskGroup() as tasks:
        handover = Handover(
            cast("Service", SimpleNamespace(tasks=tasks, clock=clock)),
            keep,
            worker="w-1",
            folder=tmp_path,
            floor_bytes=0,
            reachable=lambda: False,
            catch_up=lambda: None,
        )
        handover.turn()
    assert spool.sizes == [6, 3], "two large ones, and what came during the first batch"
