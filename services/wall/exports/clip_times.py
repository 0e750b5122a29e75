"""What is known of a clip before its pictures are converted, and what the result is said to be.

Apart from `services.wall.exports.burn_in`, which loads FFmpeg: a front only orders exports.
"""

from typing import Final, NamedTuple

CONVERSION: Final = "encoded anew as H.264 (libx264, crf 20) with name and time in the picture; not as it was recorded"
MADE_UP: Final = "made up for a demo, no camera took these pictures at that time"


class ClipTimes(NamedTuple):
    """What the clip's edit list says; libav's own handling of edits leaves out the picture that an edit begins in."""

    start_us: int
    """The time at which the show begins."""
    lead_us: int
    """How long before that the file's first picture was taken."""
    length_us: int
    """Of the show."""
