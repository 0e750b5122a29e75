"""Session descriptions (RFC 4566) of simulated cameras."""

from collections.abc import Sequence

from services.media.sdp import encode_sets
from services.sim.clip import EncodedClip
from services.sim.packetize import PAYLOAD_TYPES


def describe(name: str, address: str, clips: Sequence[EncodedClip], *, sprop: bool = True) -> str:
    """The SDP for the clips as tracks ``trackID=0``, 1, …; ``sprop``: with the parameter sets of H.264 and H.265."""
    family = "IP6" if ":" in address else "IP4"
    lines = [
        "v=0", f"o=- 0 0 IN {family} {address}", f"s={name}", f"c=IN {family} {address}",
        "t=0 0", "a=tool:pantau sim", "a=control:*", "a=range:npt=now-",
    ]  # fmt: skip
    for index, clip in enumerate(clips):
        lines += _media(clip, sprop)
        lines.append(f"a=control:trackID={index}")
    return "".join(line + "\r\n" for line in lines)


def _media(clip: EncodedClip, sprop: bool) -> list[str]:
    payload_type = PAYLOAD_TYPES[clip.codec]
    kind = "video" if clip.width_px else "audio"
    lines = [f"m={kind} 0 RTP/AVP {payload_type}"]
    if clip.width_px:
        bits = 8 * sum(len(unit.data) for unit in clip.units)
        seconds = len(clip.units) * clip.unit_ticks / clip.clock_rate_hz
        lines.append(f"b=AS:{round(bits / seconds / 1000)}")
    names = {
        "h264": "H264",
        "hevc": "H265",
        "mjpeg": "JPEG",
        "pcm_mulaw": "PCMU",
        "pcm_alaw": "PCMA",
        "aac": "mpeg4-generic",
    }
    channels = "/1" if clip.codec == "aac" else ""
    lines.append(f"a=rtpmap:{payload_type} {names[clip.codec]}/{clip.clock_rate_hz}{channels}")
    if clip.width_px:
        lines.append(f"a=framerate:{clip.clock_rate_hz / clip.unit_ticks:g}")
    if parameters := _format_parameters(clip, sprop):
        lines.append(f"a=fmtp:{payload_type} {parameters}")
    return lines


def _format_parameters(clip: EncodedClip, sprop: bool) -> str:
    if clip.codec == "h264":
        # RFC 6184 section 8.1
        level = f"packetization-mode=1;profile-level-id={clip.parameter_sets[0][1:4].hex()}"
        return f"{level};sprop-parameter-sets={encode_sets(clip.parameter_sets)}" if sprop else level
    if clip.codec == "hevc":
        # RFC 7798 section 7.1
        names = ("sprop-vps", "sprop-sps", "sprop-pps")
        pairs = zip(names, clip.parameter_sets, strict=True)
        return ";".join(f"{name}={encode_sets((unit,))}" for name, unit in pairs) if sprop else ""
    if clip.codec == "aac":
        # RFC 3640 section 4.1
        return (
            "streamtype=5;profile-level-id=15;mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;"
            f"config={clip.parameter_sets[0].hex()}"
        )
    return ""
