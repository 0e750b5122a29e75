"""A frame on its way to many viewers: one access unit, packetized once, laid out once for each header layout in use."""

from typing import Final

from services.contracts.frames import AccessUnit, Codec
from services.media.codecs import VIDEO
from services.media.output_order import Placement
from services.media.packetize import Packetizer
from services.wall.relay.engine.template import MAX_PAYLOAD_BYTES, PacketLayout, lay_out

Shape = tuple[int, int]
"""What a viewer's packets have around the payload: bytes of header extension, bytes of authentication tag."""

_PACKETIZERS: Final[dict[Codec, Packetizer]] = {
    Codec.of(codec.name): codec.packetize for codec in VIDEO.values() if codec.packetize is not None
}


def can_send(codec: Codec) -> bool:
    """Whether there is an RTP payload format for it here."""
    return codec in _PACKETIZERS


class Frame:
    """An access unit and its packets. Shared by all slots that show it; keep it no longer than needed.

    One in a codec without a payload format here (see `can_send`) has no packets: it is for listeners and converters.
    Raises `BitstreamError` where the payload of H.264 or H.265 is no length-prefixed NAL units.
    """

    __slots__ = ("_payloads", "codec", "damaged", "keyframe", "layouts", "placement", "unit")

    def __init__(self, unit: AccessUnit) -> None:
        self.unit = unit
        self.keyframe = unit.keyframe
        self.damaged = unit.damaged
        self.codec = int(unit.codec)
        self.placement = Placement.IN_ORDER
        """Where it stands among those before it, as its feed has found out. A droppable one is sent to nobody."""
        self._payloads = self._packetize()
        self.layouts: dict[Shape, PacketLayout] = {}
        """Those that `layout` was asked for."""

    def layout(self, shape: Shape) -> PacketLayout:
        """The packets for viewers whose packets have this shape."""
        layout = self.layouts.get(shape)
        if layout is None:
            layout = self.layouts[shape] = PacketLayout(lay_out(self._payloads or self._packetize(), *shape))
            self._payloads = []  # they are in the layout now, and hardly any frame needs another one
        return layout

    def _packetize(self) -> list[bytes]:
        packetize = _PACKETIZERS.get(self.unit.codec)
        return packetize(self.unit.payload, MAX_PAYLOAD_BYTES) if packetize is not None else []

    @property
    def size_bytes(self) -> int:
        """Of the payload."""
        return len(self.unit.payload)
