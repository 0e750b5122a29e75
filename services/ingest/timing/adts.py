"""AAC in ADTS framing (ISO/IEC 14496-3, 1.A.2), as MPEG-TS and HLS carry it: headers off, configuration out."""

from typing import NamedTuple

from services.media.nal import BitstreamError


class AdtsFrame(NamedTuple):
    """One AAC frame and the AudioSpecificConfig that its header amounts to."""

    config: bytes
    payload: bytes


def is_adts(data: bytes) -> bool:
    """Whether ``data`` begins with an ADTS syncword."""
    return len(data) >= 7 and data[0] == 0xFF and data[1] & 0xF6 == 0xF0


def split_adts(data: bytes) -> list[AdtsFrame]:
    """The AAC frames in ``data``. Raises `BitstreamError` where a header is wrong or a frame is cut."""
    frames: list[AdtsFrame] = []
    at = 0
    while at < len(data):
        head = data[at : at + 7]
        if not is_adts(head):
            raise BitstreamError("an ADTS header is missing")
        object_type = (head[2] >> 6) + 1
        rate_index = (head[2] >> 2) & 0xF
        channels = (head[2] & 1) << 2 | head[3] >> 6
        length = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
        header_bytes = 7 if head[1] & 1 else 9
        if length <= header_bytes or at + length > len(data):
            raise BitstreamError("an ADTS frame is cut")
        config = (object_type << 11 | rate_index << 7 | channels << 3).to_bytes(2, "big")
        frames.append(AdtsFrame(config, data[at + header_bytes : at + length]))
        at += length
    return frames
