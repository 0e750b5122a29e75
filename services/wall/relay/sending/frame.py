"""A frame on its way to many viewers: one access unit, packetized and laid out once for each header layout in use."""

from collections.abc import Callable
from typing import Final

from services.contracts.frames import AccessUnit, Codec
from services.media.codecs import VIDEO
from services.media.nal import BitstreamError, check_length_prefixed
from services.media.output_order import Placement
from services.media.packetize import Packetizer
from services.wall.relay.engine.template import MAX_PAYLOAD_BYTES, PacketLayout, lay_out
from services.wall.relay.kernel.library import SendKernel

Shape = tuple[int, int]
"""What a viewer's packets have around the payload: bytes of header extension, bytes of authentication tag."""
LayOut = Callable[[Codec, bytes, Shape], PacketLayout]
"""Makes the packets of an access unit's payload for viewers of one shape."""
MAX_TIME_90K: Final = 1 << 60
"""No source counts further; sums of such times have room in 64 bits."""

_PACKETIZERS: Final[dict[Codec, Packetizer]] = {
    Codec.of(codec.name): codec.packetize for codec in VIDEO.values() if codec.packetize is not None
}


def can_send(codec: Codec) -> bool:
    """Whether there is an RTP payload format for it here."""
    return codec in _PACKETIZERS


def lay_out_by_python(codec: Codec, payload: bytes, shape: Shape) -> PacketLayout:
    """`LayOut` where the send kernel was not built or is off. The kernel's packets are the same."""
    packetize = _PACKETIZERS.get(codec)
    payloads = packetize(payload, MAX_PAYLOAD_BYTES) if packetize is not None else []
    return PacketLayout(lay_out(payloads, *shape))


def lay_out_by_kernel(kernel: SendKernel) -> LayOut:
    """`LayOut` in C."""

    def lay_out_in_c(codec: Codec, payload: bytes, shape: Shape) -> PacketLayout:
        made = kernel.lay_out(codec is Codec.HEVC, payload if codec in _PACKETIZERS else b"", *shape)
        assert made is not None, "Frame has looked at the lengths"
        return PacketLayout.of_kernel(made, *shape)

    return lay_out_in_c


class Frame:
    """An access unit and its packets. Shared by all slots that show it; keep it no longer than needed.

    One in a codec without a payload format here (see `can_send`) has no packets: it is for listeners and converters.
    Raises `BitstreamError` where the payload of H.264 or H.265 is no length-prefixed NAL units, or its times are none.
    """

    __slots__ = ("codec", "damaged", "keyframe", "layouts", "placement", "unit")

    def __init__(self, unit: AccessUnit) -> None:
        if unit.codec in _PACKETIZERS:
            check_length_prefixed(unit.payload)
        if not (-MAX_TIME_90K < unit.dts_90k < MAX_TIME_90K and -MAX_TIME_90K < unit.pts_90k < MAX_TIME_90K):
            raise BitstreamError(f"no camera's clock comes to {unit.dts_90k} or {unit.pts_90k}")
        self.unit = unit
        self.keyframe = unit.keyframe
        self.damaged = unit.damaged
        self.codec = int(unit.codec)
        self.placement = Placement.IN_ORDER
        """Where it stands among those before it, as its feed has found out. A droppable one is sent to nobody."""
        self.layouts: dict[Shape, PacketLayout] = {}
        """Those that `layout` was asked for."""

    def layout(self, shape: Shape, lay_out: LayOut) -> PacketLayout:
        """The packets for viewers whose packets have this shape; made when they are first asked for."""
        layout = self.layouts.get(shape)
        if layout is None:
            layout = self.layouts[shape] = lay_out(self.unit.codec, self.unit.payload, shape)
        return layout

    @property
    def size_bytes(self) -> int:
        """Of the payload."""
        return len(self.unit.payload)
