"""Footage of a camera that sends a picture every few seconds, and clips of it as a front makes them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.contracts.frames import Codec
from services.footage.clips import ClipLayout, lay_out_clip
from services.recorder.archive.archive import NoArchive
from services.recorder.reading.clip import tables
from services.recorder.reading.footage import RecordedFootage
from tests.recorder.rig import Rig
from tests.recorder.units import START_US, pictures, stream_of

SECOND_US = 1_000_000


@contextmanager
def slow_footage(folder: Path, every_seconds: int, *, count: int = 30, gop: int = 1) -> Iterator[RecordedFootage]:
    """``count`` pictures, the first at `START_US`."""
    units = pictures(count=count, gop=gop, source=stream_of(Codec.H264, gop=gop))
    with Rig(folder) as rig:
        for number, unit in enumerate(units):
            at_90k = 777_000 + number * every_seconds * 90_000
            at_us = START_US + number * every_seconds * SECOND_US
            rig.feed([unit._replace(pts_90k=at_90k, dts_90k=at_90k, capture_us=at_us)])
            rig.clock.advance(every_seconds)
        rig.settle()
        yield RecordedFootage("rec-1", [rig.disk], NoArchive())


def clip(footage: RecordedFootage, from_us: int, to_us: int) -> tuple[bytes, ClipLayout]:
    """The file, and its layout."""
    found = list(tables(footage.sources("cam-1", "main", from_us, to_us), from_us, to_us))
    layout = lay_out_clip(from_us, to_us, [(from_us, [table for table, _ in found])], {})
    data = b""
    for _, stretches in found:
        for stretch in stretches:
            with stretch.source.opened() as (read, _):
                data += read(stretch.offset, stretch.size_bytes)
    out, at = layout.header, 0
    for keep_bytes, skip_bytes in layout.kept[0]:
        out += data[at : at + keep_bytes]
        at += keep_bytes + skip_bytes
    return out, layout
