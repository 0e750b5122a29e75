"""Which sections of an offer are sent in, by which payload types, and why there is none. Pure.

All that is sent to a peer shares one transport. Sections share one where the offer bundles them (RFC 8843); any other
section stands alone. So of the offer's groups and lone sections the one with most usable video is answered, and all
other sections are rejected.
"""

from typing import Final, NamedTuple

from services.contracts.errors import BadOfferError
from services.media.codecs import AUDIO, VIDEO
from services.wall.relay.engine.sdp import Format, MediaSection, Offer, PeerTransport, check_transport

_SECURE: Final = frozenset(
    f"{below}RTP/{profile}" for below in ("UDP/TLS/", "TCP/DTLS/", "TCP/TLS/", "") for profile in ("SAVPF", "SAVP")
)
"""Protocols of an offer that means DTLS-SRTP (RFC 8829, 5.1.2)."""
_REPAIRS: Final = frozenset(("RTX", "RED", "ULPFEC", "FLEXFEC-03"))
"""Encoding names that carry no pictures of their own."""
_SOUND_HZ: Final = {name: codec.rtp_hz for codec in AUDIO.values() if codec.in_browsers for name in codec.rtp_names}
_PICTURE_HZ: Final = 90_000
_LIKE_RTCP: Final = range(64, 96)
"""Payload types of which a marked packet is taken for RTCP where both share a port (RFC 5761, 4), as all here do."""


class VideoChoice(NamedTuple):
    """The payload types by which a video section is sent."""

    by_codec: dict[str, Format]
    """By FFmpeg's name of the codec, the preferred first."""
    rtx: dict[int, Format]
    """By the payload type that is repeated."""

    @property
    def formats(self) -> tuple[Format, ...]:
        """All of them, the preferred first."""
        chosen = list(self.by_codec.values())
        return tuple(chosen + [self.rtx[f.payload_type] for f in chosen if f.payload_type in self.rtx])


class Agreement(NamedTuple):
    """What of an offer is answered."""

    transport: PeerTransport
    bundle: tuple[str, ...]
    """The mids of the sections below, the one that gives the transport first; empty where there is one section."""
    videos: dict[int, VideoChoice]
    """By the section's place in the offer, in that order."""
    sound: tuple[int, tuple[Format, ...]] | None
    """Its section's place, and the payload types."""


def negotiate(offer: Offer, max_videos: int, sound_codec: str = "") -> Agreement:
    """What is sent where. Raises `BadOfferError` where no video can be sent: the message says why.

    ``sound_codec``: see `choose_audio`.
    """
    usable = {
        place: choice
        for place, section in enumerate(offer.sections)
        if section.kind == "video" and not _closed(section) and (choice := choose_video(section)).by_codec
    }
    place_of = {section.mid: place for place, section in enumerate(offer.sections) if section.mid}
    groups = [tuple(place_of[mid] for mid in mids if mid in place_of) for mids in offer.bundles]
    grouped = {place for group in groups for place in group}
    shares = [*groups, *((place,) for place in range(len(offer.sections)) if place not in grouped)]
    share = max(shares, key=lambda places: sum(place in usable for place in places))
    videos = {place: usable[place] for place in sorted(share) if place in usable}
    if not videos:
        raise BadOfferError(_why_none(offer))
    # Where not all may be sent in, those that take most codecs: which one the camera will send is not known here.
    most = sorted(videos, key=lambda place: -len(videos[place].by_codec))[:max_videos]
    videos = {place: videos[place] for place in sorted(most)}
    found = ((place, choose_audio(offer.sections[place], sound_codec)) for place in sorted(share))
    sound = next(((place, formats) for place, formats in found if formats), None)
    answered = [place for place in share if place in videos or (sound is not None and place == sound[0])]
    bundle = tuple(offer.sections[place].mid for place in answered) if share in groups else ()
    transport = next(
        (t for place in (*answered, *share) if (t := offer.sections[place].transport).ufrag),
        offer.sections[answered[0]].transport,
    )
    check_transport(transport)
    return Agreement(transport, bundle, videos, sound)


def choose_audio(section: MediaSection, codec: str = "") -> tuple[Format, ...]:
    """The payload types in which cameras' sound can be sent, G.711 as it is, and Opus; empty where it cannot.

    G.711 that is offered at another rate or in two channels would play what is sent at another pitch. ``codec``:
    FFmpeg's name of what the one camera sends whose sound it is; empty where that is not known, or may change. Nothing
    is converted to G.711.
    """
    if section.kind != "audio" or _closed(section):
        return ()
    formats = tuple(
        f
        for f in _sendable(section)
        if _SOUND_HZ.get(f.codec) == f.clock_rate and (f.codec == "OPUS" or f.channels == 1)
    )
    silent = codec in AUDIO and not {f.codec for f in formats} & {"OPUS", *AUDIO[codec].rtp_names}
    return () if silent else formats


def choose_video(section: MediaSection) -> VideoChoice:
    """One payload type for each codec, the one that its `VideoCodec.rank_offer` puts first.

    Decoders go by the stream's parameter sets and not by the negotiated profile; with one
    payload type for all cameras a slot changes cameras without a new decoder.
    """
    by_codec: dict[str, Format] = {}
    for codec in VIDEO.values():
        offered = [f for f in _sendable(section) if (f.codec, f.clock_rate) == (codec.rtp_name, _PICTURE_HZ)]
        ranked = [(rank, f) for f in offered if (rank := codec.rank_offer(f.parameters)) is not None]
        if ranked:
            by_codec[codec.name] = min(ranked, key=lambda pair: pair[0])[1]
    repeats = {f.parameters.get("apt", ""): f for f in _sendable(section) if f.codec == "RTX"}
    rtx = {number: repeats[str(number)] for number in section.formats if str(number) in repeats}
    return VideoChoice(by_codec, rtx)


def _sendable(section: MediaSection) -> list[Format]:
    return [f for f in section.formats.values() if f.payload_type not in _LIKE_RTCP]


def _closed(section: MediaSection) -> str:
    """Why nothing can be sent in a section, of any kind; empty where something may be."""
    if section.disabled:
        return "its port is 0, which rejects it"
    if section.direction == "sendonly":
        return "it wants to send (a=sendonly), and this server only sends: offer recvonly"
    if section.direction == "inactive":
        return "it is inactive: offer recvonly"
    if section.protocol not in _SECURE:
        return f"its protocol is {section.protocol[:40]}, and only DTLS-SRTP (UDP/TLS/RTP/SAVPF) is spoken here"
    return ""


def _why_none(offer: Offer) -> str:
    videos = [section for section in offer.sections if section.kind == "video"]
    if not videos:
        return "the offer asks for no video: it has no m=video section"
    reasons = (f"the video section {_named(section)} cannot be used: {_why_not(section)}" for section in videos)
    return "no video can be sent: " + "; ".join(reasons)


def _named(section: MediaSection) -> str:
    return f"with mid {section.mid}" if section.mid else "without a mid"


def _why_not(section: MediaSection) -> str:
    """Of a video section that no video can be sent in."""
    if trouble := _closed(section):
        return trouble
    names = [codec.rtp_name for codec in VIDEO.values() if codec.packetize is not None]
    offered = {form.codec for form in section.formats.values()} - _REPAIRS
    if offered & {*names} and not {form.codec for form in _sendable(section)} & {*names}:
        return "its payload types are among 64 to 95, which RTCP takes (RFC 5761): offer others, as 96 to 127"
    hint = " (H264 with packetization-mode=1, or without an a=fmtp line)" if "H264" in offered else ""
    known = ", ".join(sorted(offered))[:80] or "no codec that is known"
    return f"it offers {known}, and {' or '.join(names)} can be sent{hint}"
