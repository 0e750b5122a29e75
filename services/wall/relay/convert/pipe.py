"""What goes through the pipes of a converter's process: each message stands behind its length.

Live pictures and sound: access-unit messages in, others out. Footage is asked for: a request is `SHOW` or `HIDE` and an
access-unit message, or nothing, which drains the decoder; the answer's access-unit messages end with an empty one.
"""

from struct import Struct
from typing import Final

LENGTH: Final = Struct(">I")
SHOW: Final = b"\1"
HIDE: Final = b"\0"
"""The picture is not wanted: it is decoded only for the sake of those after it."""
