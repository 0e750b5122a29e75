"""How a relay and a converter's process talk: messages, each behind its length.

Live pictures and sound: access-unit messages go in, others come out. Footage is answered request by request: a request
is `SHOW` or `HIDE` and an access-unit message; an empty one drains the decoder. An empty message ends each answer.

A converter is started while a viewer waits: it imports this, and nothing of `services.mesh`.
"""

from struct import Struct
from typing import Final

LENGTH: Final = Struct(">I")
SHOW: Final = b"\1"
HIDE: Final = b"\0"
"""The picture is decoded for the sake of those after it, and not sent."""
