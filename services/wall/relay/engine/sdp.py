"""Offers read and answers written (RFC 8866, 8829, 8843): only what a relay that sends needs, and fast.

A browser's offer for 36 tiles has 175 kB and thousands of attributes; of those a dozen a media section matter.
"""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from services.contracts.errors import BadOfferError
from services.media.codecs import AUDIO, VIDEO

PLAYOUT_DELAY: Final = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay"
ABS_SEND_TIME: Final = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
MAX_OFFER_BYTES: Final = 512 * 1024
MAX_SECTIONS: Final = 80
_ICE_CHARS: Final = re.compile(r"^[A-Za-z0-9+/]+$")
_FINGERPRINT: Final = re.compile(r"^[A-Fa-f0-9]{2}(:[A-Fa-f0-9]{2})+$")
_TOKEN: Final = re.compile(r"^[A-Za-z0-9!#$%&'*+.^_`{|}~-]{1,32}$")


class Format(NamedTuple):
    """One payload type of a media section."""

    payload_type: int
    codec: str
    """Upper-case encoding name: H264, H265, RTX, OPUS, PCMU, …"""
    clock_rate: int
    channels: int
    parameters: dict[str, str]
    """The fmtp line."""
    feedback: frozenset[str]
    """``nack``, ``nack pli``, ``ccm fir``, ``goog-remb``, ``transport-cc``."""
    fmtp: str
    """The fmtp line as it stood."""


class MediaSection(NamedTuple):
    """One media section (m-line)."""

    kind: str
    """audio, video or application."""
    protocol: str
    format_list: str
    port: int
    mid: str
    formats: dict[int, Format]
    extensions: dict[str, int]
    """Header extensions: URI → id; of these only what we use."""
    receives: bool
    """The peer wants to receive here: recvonly or sendrecv."""
    rtcp_mux: bool


class Offer(NamedTuple):
    """A peer's offer. ICE and DTLS parameters are those of the first section of the bundle."""

    sections: tuple[MediaSection, ...]
    bundle: tuple[str, ...]
    ufrag: str
    password: str
    fingerprints: tuple[tuple[str, str], ...]
    """Algorithm, value."""
    setup: str


def parse_offer(text: str) -> Offer:
    """Reads an offer. Raises `BadOfferError` where something that is needed is missing or malformed."""
    if len(text) > MAX_OFFER_BYTES:
        raise BadOfferError(f"the offer has {len(text)} characters; at most {MAX_OFFER_BYTES} are read")
    if not text.startswith("v=0"):
        raise BadOfferError("the body is no session description: it must begin with v=0")
    text = text.replace("\r\n", "\n")
    if "\r" in text or "\0" in text:  # what is repeated in the answer must not begin a line there
        raise BadOfferError("the offer has a stray carriage return or zero character")
    head, *rest = text.split("\nm=")
    if not rest:
        raise BadOfferError("the offer has no media section")
    if len(rest) > MAX_SECTIONS:
        raise BadOfferError(f"the offer has {len(rest)} media sections; at most {MAX_SECTIONS} are answered")
    session = _Attributes(head)
    bundle: tuple[str, ...] = ()
    for group in session.lists.get("group", ()):
        semantics, *mids = group.split()
        if semantics == "BUNDLE":
            bundle = tuple(mids)
    sections = []
    transport: _Attributes | None = None
    for block in rest:
        attributes = _Attributes(block)
        section = _section(block.split("\n", 1)[0], attributes)
        sections.append(section)
        if transport is None and (section.mid == bundle[0] if bundle else section.kind != "application"):
            transport = attributes
    if transport is None:
        raise BadOfferError("the offer's BUNDLE group names no media section of it")

    def one(name: str) -> str:
        return transport.first.get(name, session.first.get(name, ""))

    prints = transport.lists.get("fingerprint") or session.lists.get("fingerprint") or []
    fingerprints = tuple((a.lower(), v.strip()) for a, _, v in (line.partition(" ") for line in prints))
    offer = Offer(tuple(sections), bundle, one("ice-ufrag"), one("ice-pwd"), fingerprints, one("setup") or "actpass")
    _check(offer)
    return offer


def _check(offer: Offer) -> None:
    if not 4 <= len(offer.ufrag) <= 256 or not 22 <= len(offer.password) <= 256:
        raise BadOfferError("the offer has no usable ice-ufrag and ice-pwd")
    if not _ICE_CHARS.match(offer.ufrag) or not _ICE_CHARS.match(offer.password):
        raise BadOfferError("the offer's ice-ufrag or ice-pwd has characters that RFC 8839 does not allow")
    if not offer.fingerprints or not all(_FINGERPRINT.match(value) for _, value in offer.fingerprints):
        raise BadOfferError("the offer has no usable fingerprint: only DTLS-SRTP is spoken here")
    if not any(name in ("sha-256", "sha-384", "sha-512") for name, _ in offer.fingerprints):
        raise BadOfferError("the offer's fingerprint must be SHA-256, SHA-384 or SHA-512")
    if offer.setup not in ("actpass", "active", "passive"):
        raise BadOfferError(f"a=setup:{offer.setup[:16]} cannot be answered")
    mids = [section.mid for section in offer.sections]
    if len(set(mids)) != len(mids):
        raise BadOfferError("two media sections have the same mid")
    if not all(_TOKEN.match(mid) for mid in mids):
        raise BadOfferError("every media section needs an a=mid of at most 32 token characters")


class _Attributes:
    """The a= lines of one block, by name. Candidates and ssrc lines, the bulk of an offer, are passed over."""

    __slots__ = ("first", "lists")

    def __init__(self, block: str) -> None:
        self.first: dict[str, str] = {}
        self.lists: dict[str, list[str]] = {}
        for line in block.split("\n"):
            if not line.startswith("a=") or line.startswith(("a=ssrc", "a=candidate")):
                continue
            name, _, value = line[2:].partition(":")
            if name not in self.first:
                self.first[name] = value
            self.lists.setdefault(name, []).append(value)


def _section(line: str, attributes: _Attributes) -> MediaSection:
    parts = line.split(" ")
    if len(parts) < 4 or not parts[1].isascii() or not parts[1].isdigit():
        raise BadOfferError(f"a media line cannot be read: m={line[:60]}")
    kind, port, protocol = parts[0], int(parts[1]), parts[2]
    formats = _formats(parts[3:], attributes) if kind in ("audio", "video") else {}
    extensions: dict[str, int] = {}
    for value in attributes.lists.get("extmap", ()):
        number, _, uri = value.partition(" ")
        uri = uri.split(" ", 1)[0]
        number = number.partition("/")[0]
        if uri in (PLAYOUT_DELAY, ABS_SEND_TIME) and number.isascii() and number.isdigit() and 1 <= int(number) <= 14:
            extensions[uri] = int(number)
    receives = "sendonly" not in attributes.first and "inactive" not in attributes.first
    return MediaSection(
        kind, protocol, " ".join(parts[3:]), port, attributes.first.get("mid", ""), formats, extensions, receives,
        "rtcp-mux" in attributes.first,
    )  # fmt: skip


def _formats(numbers: Sequence[str], attributes: _Attributes) -> dict[int, Format]:
    fmtp: dict[str, str] = {}
    for value in attributes.lists.get("fmtp", ()):
        number, _, line = value.partition(" ")
        fmtp[number] = line
    feedback: dict[str, set[str]] = {}
    for value in attributes.lists.get("rtcp-fb", ()):
        number, _, what = value.partition(" ")
        feedback.setdefault(number, set()).add(what)
    maps = dict(value.split(" ", 1) for value in attributes.lists.get("rtpmap", ()) if " " in value)
    formats: dict[int, Format] = {}
    for number in numbers:
        mapping = maps.get(number) or {"0": "PCMU/8000", "8": "PCMA/8000"}.get(number)
        if not mapping or not number.isascii() or not number.isdigit() or int(number) > 127:
            continue
        codec, _, rate = mapping.partition("/")
        clock, _, channels = rate.partition("/")
        if not (clock.isascii() and clock.isdigit()):
            continue
        line = fmtp.get(number, "")
        pairs = (item.strip().partition("=") for item in line.split(";"))
        parameters = {name.lower(): setting for name, _, setting in pairs if name}
        fb = frozenset(feedback.get(number, set()) | feedback.get("*", set()))
        formats[int(number)] = Format(
            int(number), codec.upper(), int(clock), int(channels) if channels.isdigit() else 1, parameters, fb, line
        )
    return formats


class HostCandidate(NamedTuple):
    """A host candidate of ours."""

    host: str
    port: int
    priority: int


class LocalTransport(NamedTuple):
    """Our side of ICE and DTLS."""

    ufrag: str
    password: str
    fingerprint: str
    """SHA-256, colon separated."""
    setup: str
    candidates: tuple[HostCandidate, ...]


class SentMedia(NamedTuple):
    """What is sent in an accepted section; the payload types are the offer's."""

    formats: tuple[Format, ...]
    ssrc: int | None
    """None: nothing is sent here, the section is kept inactive."""
    rtx_ssrc: int | None
    extensions: dict[str, int]
    stream: str
    track: str


_FEEDBACK_WANTED: Final = ("nack", "nack pli", "ccm fir", "goog-remb")


def build_answer(
    offer: Offer, accepted: dict[str, SentMedia], local: LocalTransport, session_id: int, cname: str
) -> str:
    """The answer. ``accepted``: mid → what we send there; any other section is rejected."""
    mids = [section.mid for section in offer.sections if section.mid in accepted]
    lines = ["v=0", f"o=- {session_id} 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=ice-lite", "a=msid-semantic: WMS *"]
    if offer.bundle:
        lines.append("a=group:BUNDLE " + " ".join(mids))
    host = local.candidates[0].host if local.candidates else "0.0.0.0"  # noqa: S104 (means: none)
    family = "IP6" if ":" in host else "IP4"
    port = local.candidates[0].port if local.candidates else 9
    transport = [
        f"a=ice-ufrag:{local.ufrag}", f"a=ice-pwd:{local.password}", f"a=fingerprint:sha-256 {local.fingerprint}",
        f"a=setup:{local.setup}", "a=rtcp-mux",
        *(
            f"a=candidate:{n} 1 udp {c.priority} {c.host} {c.port} typ host"
            for n, c in enumerate(local.candidates, start=1)
        ),
        "a=end-of-candidates",
    ]  # fmt: skip
    for section in offer.sections:
        sent = accepted.get(section.mid)
        if sent is None:
            lines += [
                f"m={section.kind} 0 {section.protocol} {section.format_list.split(' ', 1)[0]}",
                "c=IN IP4 0.0.0.0", f"a=mid:{section.mid}", "a=inactive", *transport[:5],  # aiortc wants them here too
            ]  # fmt: skip
            continue
        numbers = " ".join(str(f.payload_type) for f in sent.formats)
        lines += [f"m={section.kind} {port} {section.protocol} {numbers}", f"c=IN {family} {host}"]
        lines += [f"a=mid:{section.mid}", "a=rtcp-rsize", *transport]
        lines += ["a=inactive"] if sent.ssrc is None else ["a=sendonly", f"a=msid:{sent.stream} {sent.track}"]
        lines += [f"a=extmap:{number} {uri}" for uri, number in sent.extensions.items()]
        for f in sent.formats:
            name = {"RTX": "rtx", "OPUS": "opus"}.get(f.codec, f.codec)
            channels = f"/{f.channels}" if f.channels > 1 else ""
            lines.append(f"a=rtpmap:{f.payload_type} {name}/{f.clock_rate}{channels}")
            lines += [f"a=rtcp-fb:{f.payload_type} {what}" for what in _FEEDBACK_WANTED if what in f.feedback]
            if f.fmtp:
                lines.append(f"a=fmtp:{f.payload_type} {f.fmtp}")
        if sent.rtx_ssrc is not None:
            lines.append(f"a=ssrc-group:FID {sent.ssrc} {sent.rtx_ssrc}")
        for ssrc in (sent.ssrc, sent.rtx_ssrc):
            if ssrc is not None:
                lines.append(f"a=ssrc:{ssrc} cname:{cname}")
                lines.append(f"a=ssrc:{ssrc} msid:{sent.stream} {sent.track}")
    return "\r\n".join(lines) + "\r\n"


_SOUND: Final = frozenset(name for codec in AUDIO.values() if codec.in_browsers for name in codec.rtp_names)


def choose_audio(section: MediaSection) -> tuple[Format, ...]:
    """The payload types in which cameras' sound can be sent: G.711 as it is, and Opus."""
    return tuple(f for f in section.formats.values() if f.codec in _SOUND)


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


def choose_video(section: MediaSection) -> VideoChoice:
    """One payload type for each codec, the one that its `VideoCodec.rank_offer` puts first.

    Decoders go by the stream's parameter sets and not by the negotiated profile; with one
    payload type for all cameras a slot changes cameras without a new decoder.
    """
    by_codec: dict[str, Format] = {}
    for codec in VIDEO.values():
        offered = [f for f in section.formats.values() if f.codec == codec.rtp_name]
        ranked = [(rank, f) for f in offered if (rank := codec.rank_offer(f.parameters)) is not None]
        if ranked:
            by_codec[codec.name] = min(ranked, key=lambda pair: pair[0])[1]
    rtx = {
        int(f.parameters["apt"]): f
        for f in section.formats.values()
        if f.codec == "RTX" and f.parameters.get("apt", "").isascii() and f.parameters.get("apt", "").isdigit()
    }
    return VideoChoice(by_codec, rtx)
