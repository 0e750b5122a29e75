"""From a source's packets to the mesh's access units.

Nothing is handed on before a decoder could begin with it, and parameter sets stand in front of every keyframe, wherever
the source had them: in its description, in the stream, or in both.
"""

from collections.abc import Sequence
from typing import Final

from services.contracts.frames import Codec
from services.ingest.readers.source import Track
from services.ingest.timing.adts import is_adts, split_adts
from services.ingest.timing.nal_assembler import H264Assembler, HevcAssembler
from services.ingest.timing.units import Assembler, Shape, Unit
from services.media import jpeg
from services.media.g711 import G711Config
from services.media.nal import BitstreamError

_G711: Final = (Codec.PCM_ALAW, Codec.PCM_MULAW)
# Around a picture may stand the headers of a multipart stream's parts.
_START_OF_IMAGE: Final = b"\xff\xd8\xff"
_END_OF_IMAGE: Final = b"\xff\xd9"


def assembler(track: Track) -> Assembler:
    """The assembler for ``track``."""
    if track.codec is Codec.H264:
        return H264Assembler(track.extradata)
    if track.codec is Codec.HEVC:
        return HevcAssembler(track.extradata)
    if track.codec is Codec.MJPEG:
        return JpegAssembler()
    return AudioAssembler(track)


class JpegAssembler:
    """MJPEG: every picture stands alone."""

    def __init__(self) -> None:
        self.shape = Shape()

    def assemble(self, data: bytes | Sequence[bytes]) -> Sequence[Unit]:
        data = _whole(data)
        if not data.startswith(_START_OF_IMAGE):
            data = data[max(0, data.find(_START_OF_IMAGE)) :]
        if not data.endswith(_END_OF_IMAGE) and (end := data.rfind(_END_OF_IMAGE)) > 0:
            data = data[: end + len(_END_OF_IMAGE)]
        width, height = jpeg.size_px(data)
        new = (width, height) != (self.shape.width_px, self.shape.height_px)
        changed = new and self.shape.width_px != 0
        if new:
            self.shape = Shape(width, height)
        return (Unit(data, keyframe=True, new_parameters=changed),)

    def is_b_picture(self, unit: Unit) -> bool:
        """MJPEG has none."""
        return False


class AudioAssembler:
    """Audio: every frame stands alone. AAC is freed of ADTS headers; G.711 gets its rate, which no frame tells."""

    def __init__(self, track: Track) -> None:
        self.shape = Shape()
        self._aac = track.codec is Codec.AAC
        self._config = track.extradata if self._aac else b""
        self._extradata = b""
        if track.codec in _G711 and track.sample_rate_hz:
            self._extradata = G711Config(track.sample_rate_hz, track.channels).pack()

    def assemble(self, data: bytes | Sequence[bytes]) -> Sequence[Unit]:
        data = _whole(data)
        if not self._aac:
            return (Unit(data, keyframe=True, extradata=self._extradata),)
        if not is_adts(data):
            if not self._config:
                raise BitstreamError("AAC without an AudioSpecificConfig")
            return (Unit(data, keyframe=True, extradata=self._config),)
        units = []
        for frame in split_adts(data):
            changed = self._config not in (b"", frame.config)
            self._config = frame.config
            units.append(Unit(frame.payload, keyframe=True, new_parameters=changed, extradata=frame.config))
        return units

    def is_b_picture(self, unit: Unit) -> bool:
        """Audio has none."""
        return False


def _whole(data: bytes | Sequence[bytes]) -> bytes:
    return data if isinstance(data, bytes) else b"".join(data)
