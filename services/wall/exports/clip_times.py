"""What is known of a clip before its pictures are converted, and what the result is said to be.

Apart from `services.wall.exports.clip_conversion`, which loads FFmpeg: a front only orders exports.
"""

from typing import Final, NamedTuple

MADE_UP: Final = "made up for a demo, no camera took these pictures at that time"


def conversion_of(*, named: bool, masked: bool) -> str:
    """What was done to pictures that hold the camera's name and the time, or privacy masks; empty: nothing."""
    drawn = [*(["name and time"] if named else []), *(["privacy masks"] if masked else [])]
    if not drawn:
        return ""
    what = " and ".join(drawn)
    return f"encoded anew as H.264 (libx264, crf 20) with {what} in the picture; not as it was recorded"


class ClipTimes(NamedTuple):
    """What the clip's edit list says; libav's own handling of edits leaves out the picture that an edit begins in."""

    start_us: int
    """The time at which the show begins."""
    lead_us: int
    """How long before that the file's first picture was taken."""
    length_us: int
    """Of the show."""
