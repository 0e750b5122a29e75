"""Which RTP payload formats can be read, and by what."""

from collections.abc import Callable
from typing import Final

from services.media.depacketize.aac_units import AacDepacketizer, declared_config
from services.media.depacketize.h264_units import H264Depacketizer
from services.media.depacketize.h265_units import H265Depacketizer
from services.media.depacketize.jpeg_units import JpegDepacketizer
from services.media.depacketize.latm_units import LatmDepacketizer, declared_mux
from services.media.depacketize.nal_units import OtherCodec
from services.media.depacketize.sound import PlainDepacketizer
from services.media.depacketize.unit_sink import ArrivalClock, UnitSink
from services.media.nal import join_annex_b
from services.media.rtp_receive import Depacketizer
from services.media.sdp import RtpFormat, decode_sets

VIDEO_ENCODINGS: Final = ("h264", "h265", "jpeg")
AUDIO_ENCODINGS: Final = ("pcmu", "pcma", "opus", "mpeg4-generic", "mp4a-latm")
_ALIASES: Final = {"hevc": "h265", "g711u": "pcmu", "g711a": "pcma"}


def encoding_of(known: RtpFormat) -> str:
    """The encoding name, one for each format."""
    return _ALIASES.get(known.encoding, known.encoding)


def is_readable(kind: str, known: RtpFormat) -> bool:
    """Whether there is a depacketizer for a format of a ``video`` or ``audio`` section."""
    encoding = encoding_of(known)
    if kind == "video":
        return encoding in VIDEO_ENCODINGS
    if encoding == "mpeg4-generic":
        return bool(declared_config(known.parameters))
    if encoding == "mp4a-latm":
        return known.parameters.get("cpresent", "1") != "0" or declared_mux(known.parameters) is not None
    return encoding in AUDIO_ENCODINGS


def declared_sets(known: RtpFormat) -> list[bytes]:
    """The parameter sets that a format of H.264 or H.265 is described with."""
    names = ("sprop-parameter-sets",) if encoding_of(known) == "h264" else ("sprop-vps", "sprop-sps", "sprop-pps")
    return [unit for name in names for unit in decode_sets(known.parameters.get(name, ""))]


def declared_extradata(known: RtpFormat) -> bytes:
    """What the description says that a decoder needs: parameter sets in Annex B, an AudioSpecificConfig, or nothing."""
    encoding = encoding_of(known)
    if encoding in ("h264", "h265"):
        return join_annex_b(declared_sets(known))
    if encoding == "mpeg4-generic":
        return declared_config(known.parameters)
    if encoding == "mp4a-latm" and (mux := declared_mux(known.parameters)) is not None:
        return mux.config
    return b""


def make_depacketizer(
    known: RtpFormat, sink: UnitSink, clock: ArrivalClock, on_other_codec: OtherCodec | None = None
) -> Depacketizer:
    """The depacketizer for a format that `is_readable`."""
    encoding = encoding_of(known)
    parameters = known.parameters
    if encoding == "h264":
        return H264Depacketizer(sink, clock, declared_sets(known), on_other_codec)
    if encoding == "h265":
        numbered = parameters.get("sprop-max-don-diff", "0") not in ("", "0")
        return H265Depacketizer(sink, clock, declared_sets(known), on_other_codec, order_numbers=numbered)
    makers: dict[str, Callable[[], Depacketizer]] = {
        "jpeg": lambda: JpegDepacketizer(sink, clock),
        "mpeg4-generic": lambda: AacDepacketizer(sink, clock, parameters, known.clock_rate_hz),
        "mp4a-latm": lambda: LatmDepacketizer(sink, clock, parameters, known.clock_rate_hz),
    }
    return makers.get(encoding, lambda: PlainDepacketizer(sink, clock))()
