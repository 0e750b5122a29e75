"""Where a segment lies: ``<site>/<camera>/<profile>/<YYYY>/<MM>/<DD>/<HH>/<start>.mp4`` below ``recordings/``."""

import re
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import PurePath, PurePosixPath
from typing import Final, NamedTuple

from services.contracts.subjects import is_id

RECORDINGS: Final = "recordings"
INDEX: Final = "index.sqlite3"
NEW_SUFFIX: Final = ".new"
"""Of a file that is to replace a segment."""
_HOUR_US: Final = 3600 * 1_000_000
_NAME: Final = re.compile(r"(\d{8}T\d{6})\.(\d{3})Z\.mp4")


class RecordedStream(NamedTuple):
    """One profile of one camera."""

    site: str
    camera: str
    profile: str

    @property
    def folder(self) -> PurePosixPath:
        """Below ``recordings/``."""
        return PurePosixPath(self.site, self.camera, self.profile)


def hour_folder(stream: RecordedStream, at_us: int) -> PurePosixPath:
    """The folder of the segments that begin in the same hour as ``at_us``."""
    return _hour(stream, at_us // _HOUR_US)[0]


def segment_path(stream: RecordedStream, start_us: int) -> PurePosixPath:
    """The path of the segment that begins at ``start_us``: ``…/20231114T221320.123Z.mp4``."""
    hour, in_hour_us = divmod(start_us, _HOUR_US)
    folder, begin = _hour(stream, hour)
    minute, in_minute_ms = divmod(in_hour_us // 1000, 60_000)
    return folder / f"{begin}{minute:02d}{in_minute_ms // 1000:02d}.{in_minute_ms % 1000:03d}Z.mp4"


@lru_cache(maxsize=4096)
def _hour(stream: RecordedStream, hour: int) -> tuple[PurePosixPath, str]:
    """The folder of an hour since 1970, and how the names in it begin; asked for some times for every segment."""
    begin = datetime.fromtimestamp(hour * 3600, UTC)
    return stream.folder / f"{begin:%Y/%m/%d/%H}", f"{begin:%Y%m%dT%H}"


def parse_path(path: PurePath) -> tuple[RecordedStream, int] | None:
    """The stream and the start in whole ms (as µs) of a path below ``recordings/``; None for what is no segment's."""
    parts = path.parts
    if len(parts) != 8:
        return None
    match = _NAME.fullmatch(parts[7])
    stream = RecordedStream(*parts[:3])
    if not match or not all(map(is_id, stream)):
        return None
    try:
        start = datetime.strptime(match[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    start_us = int(start.timestamp()) * 1_000_000 + int(match[2]) * 1000
    return (stream, start_us) if segment_path(stream, start_us) == PurePosixPath(*parts) else None
