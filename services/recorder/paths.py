"""Where a segment lies: ``<site>/<camera>/<profile>/<YYYY>/<MM>/<DD>/<HH>/<start>.mp4`` below ``recordings/``."""

import re
from datetime import UTC, datetime
from pathlib import PurePath, PurePosixPath
from typing import Final, NamedTuple

from services.mesh.subjects import is_id

RECORDINGS: Final = "recordings"
INDEX: Final = "index.sqlite3"
NEW_SUFFIX: Final = ".new"
"""Of a file that is to replace a segment."""
_NAME: Final = re.compile(r"(\d{8}T\d{6})\.(\d{3})Z\.mp4")


class Stream(NamedTuple):
    """One profile of one camera."""

    site: str
    camera: str
    profile: str

    @property
    def folder(self) -> PurePosixPath:
        """Below ``recordings/``."""
        return PurePosixPath(self.site, self.camera, self.profile)


def hour_folder(stream: Stream, at_us: int) -> PurePosixPath:
    """The folder of the segments that begin in the same hour as ``at_us``."""
    return stream.folder / _utc(at_us).strftime("%Y/%m/%d/%H")


def segment_path(stream: Stream, start_us: int) -> PurePosixPath:
    """The path of the segment that begins at ``start_us``: ``…/20231114T221320.123Z.mp4``."""
    start = _utc(start_us)
    return hour_folder(stream, start_us) / f"{start:%Y%m%dT%H%M%S}.{start.microsecond // 1000:03d}Z.mp4"


def parse_path(path: PurePath) -> tuple[Stream, int] | None:
    """The stream and the start in whole ms (as µs) of a path below ``recordings/``; None for what is no segment's."""
    parts = path.parts
    if len(parts) != 8:
        return None
    match = _NAME.fullmatch(parts[7])
    stream = Stream(*parts[:3])
    if not match or not all(map(is_id, stream)):
        return None
    try:
        start = datetime.strptime(match[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    start_us = int(start.timestamp()) * 1_000_000 + int(match[2]) * 1000
    return (stream, start_us) if segment_path(stream, start_us) == PurePosixPath(*parts) else None


def _utc(at_us: int) -> datetime:
    seconds, micros = divmod(at_us, 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=micros)
