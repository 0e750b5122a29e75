"""G.711's sample rate and channels, which stand in no frame of it.

RFC 3551 (4.5.14) knows 8 kHz, one channel, and allows others; cameras send 16 kHz and more.
"""

from struct import Struct
from typing import Final, NamedTuple

from services.media.nal import BitstreamError

_PACKED: Final = Struct(">IB")
_MAX_HZ: Final = 192_000


class G711Config(NamedTuple):
    """How fast the bytes of a frame are played: one a sample and channel."""

    sample_rate_hz: int = 8000
    channels: int = 1

    def pack(self) -> bytes:
        """As access units carry it: four bytes of rate and one of channels; nothing for 8 kHz and one channel."""
        return b"" if self == G711Config() else _PACKED.pack(*self)


def parse_config(data: bytes) -> G711Config:
    """What `G711Config.pack` wrote. Raises `BitstreamError`."""
    if not data:
        return G711Config()
    if len(data) != _PACKED.size:
        raise BitstreamError(f"{len(data)} bytes where G.711's rate and channels stand")
    found = G711Config(*_PACKED.unpack(data))
    if not (0 < found.sample_rate_hz <= _MAX_HZ and found.channels in (1, 2)):
        raise BitstreamError("a rate or number of channels that G.711 has not")
    return found
