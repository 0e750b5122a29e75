"""Offers read and answers written (RFC 8866, 8829, 8843): only what a relay that sends needs, and fast.

A browser's offer for 36 tiles has 175 kB and thousands of attributes; of those a dozen a media section matter.
"""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from services.contracts.errors import BadOfferError

PLAYOUT_DELAY: Final = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay"
ABS_SEND_TIME: Final = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
MAX_OFFER_BYTES: Final = 512 * 1024
MAX_SECTIONS: Final = 80
_ICE_CHARS: Final = re.compile(r"^[A-Za-z0-9+/]+$")
_FINGERPRINT: Final = re.compile(r"^[A-Fa-f0-9]{2}(:[A-Fa-f0-9]{2})+$")
_FINGERPRINT_BYTES: Final = {"sha-256": 32, "sha-384": 48, "sha-512": 64}
_DIRECTIONS: Final = ("recvonly", "sendonly", "inactive", "sendrecv")
_TOKEN: Final = re.compile(r"^[A-Za-z0-9!#$%&'*+.^_`{|}~-]{1,64}$")


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


class PeerTransport(NamedTuple):
    """A peer's side of ICE and DTLS. `check_transport` says whether it can be answered."""

    ufrag: str
    password: str
    fingerprints: tuple[tuple[str, str], ...]
    """Algorithm, value."""
    setup: str


class MediaSection(NamedTuple):
    """One media section (m-line)."""

    kind: str
    """audio, video or application."""
    protocol: str
    format_list: str
    port: int
    mid: str
    """Empty where there is none: an offer without BUNDLE needs no mids."""
    formats: dict[int, Format]
    extensions: dict[str, int]
    """Header extensions: URI → id; of these only what we use, and may send."""
    directed: frozenset[str]
    """Those of `extensions` whose offered id has a direction."""
    direction: str
    """recvonly, sendrecv, sendonly or inactive, as the peer sees it."""
    disabled: bool
    """The peer rejects it or has stopped it: port 0, and not because it is only bundled (RFC 8843, 6)."""
    transport: PeerTransport
    """Its own attributes, else the session's; empty where neither has them."""

    @property
    def receives(self) -> bool:
        """The peer wants to receive here."""
        return self.direction in ("recvonly", "sendrecv")


class Offer(NamedTuple):
    """A peer's offer."""

    sections: tuple[MediaSection, ...]
    bundles: tuple[tuple[str, ...], ...]
    """The mids of each BUNDLE group, in the group's order."""


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
    session, blocks = _Attributes(head), [_Attributes(block) for block in rest]
    # RFC 8445, 6.1.1: a lite agent begins no checks, and neither does ours.
    if any("ice-lite" in block.first for block in (session, *blocks)):
        raise BadOfferError("the offer is of an ICE-lite agent, as this server is one: a full agent must connect")
    groups = [group.split() for group in session.lists.get("group", ())]
    bundles = tuple(tuple(dict.fromkeys(mids)) for semantics, *mids in filter(None, groups) if semantics == "BUNDLE")
    sections = tuple(
        _section(text.split("\n", 1)[0], attributes, session) for text, attributes in zip(rest, blocks, strict=True)
    )
    mids = [section.mid for section in sections if section.mid]
    if len(set(mids)) != len(mids):
        raise BadOfferError("two media sections have the same mid")
    if not all(_TOKEN.match(mid) for mid in mids):
        raise BadOfferError("an a=mid has at most 64 token characters")
    return Offer(sections, bundles)


def check_transport(transport: PeerTransport) -> None:
    """Raises `BadOfferError` where a peer cannot be connected to by it."""
    if not 4 <= len(transport.ufrag) <= 256 or not 22 <= len(transport.password) <= 256:
        raise BadOfferError("the offer has no usable ice-ufrag and ice-pwd")
    if not _ICE_CHARS.match(transport.ufrag) or not _ICE_CHARS.match(transport.password):
        raise BadOfferError("the offer's ice-ufrag or ice-pwd has characters that RFC 8839 does not allow")
    if not transport.fingerprints:
        raise BadOfferError("the offer has no fingerprint: only DTLS-SRTP is spoken here")
    known = [(name, value) for name, value in transport.fingerprints if name in _FINGERPRINT_BYTES]
    if not known:
        raise BadOfferError("the offer's fingerprint must be SHA-256, SHA-384 or SHA-512")
    for name, value in known:  # of one that no certificate can have, DTLS would fail behind the answer
        size = _FINGERPRINT_BYTES[name]
        if not _FINGERPRINT.match(value) or len(value) != 3 * size - 1:
            raise BadOfferError(f"the offer's {name} fingerprint is not {size} bytes in hexadecimal")
    if transport.setup not in ("actpass", "active", "passive"):
        raise BadOfferError(f"a=setup:{transport.setup[:16]} cannot be answered")


class _Attributes:
    """The a= lines of one block, by name. Candidates and ssrc lines, the bulk of an offer, are passed over."""

    __slots__ = ("first", "lists")

    def __init__(self, block: str) -> None:
        self.first: dict[str, str] = {}
        self.lists: dict[str, list[str]] = {}
        for line in block.split("\n"):
            if not line.startswith("a=") or line.startswith(("a=ssrc", "a=candidate")):
                continue
            name, _, value = line[2:].rstrip().partition(":")
            if name not in self.first:
                self.first[name] = value
            self.lists.setdefault(name, []).append(value)


def _section(line: str, attributes: _Attributes, session: _Attributes) -> MediaSection:
    parts = line.split()
    port = _number(parts[1].partition("/")[0], 65_535) if len(parts) >= 4 else None  # <port>/<number of ports>
    if port is None:
        raise BadOfferError(f"a media line cannot be read: m={line[:60]}")
    kind, protocol = parts[0], parts[2]
    formats = _formats(parts[3:], attributes) if kind in ("audio", "video") else {}
    extensions: dict[str, int] = {}
    directed: set[str] = set()
    for value in (*session.lists.get("extmap", ()), *attributes.lists.get("extmap", ())):
        number, _, uri = value.partition(" ")
        uri = uri.split(" ", 1)[0]
        number, _, way = number.partition("/")
        if uri not in (PLAYOUT_DELAY, ABS_SEND_TIME) or way in ("sendonly", "inactive"):
            continue
        if (place := _number(number, 14)) and place not in extensions.values():
            extensions[uri] = place
            if way:
                directed.add(uri)
    direction = next((name for name in _DIRECTIONS for given in (attributes, session) if name in given.first), "")
    return MediaSection(
        kind, protocol, " ".join(parts[3:]), port, attributes.first.get("mid", ""), formats, extensions,
        frozenset(directed), direction or "sendrecv", port == 0 and "bundle-only" not in attributes.first,
        _transport(attributes, session),
    )  # fmt: skip


def _transport(attributes: _Attributes, session: _Attributes) -> PeerTransport:
    def one(name: str) -> str:
        return attributes.first.get(name, session.first.get(name, ""))

    prints = attributes.lists.get("fingerprint") or session.lists.get("fingerprint") or []
    fingerprints = tuple((a.lower(), v.strip()) for a, _, v in (line.partition(" ") for line in prints))
    return PeerTransport(one("ice-ufrag"), one("ice-pwd"), fingerprints, one("setup") or "actpass")


def _formats(numbers: Sequence[str], attributes: _Attributes) -> dict[int, Format]:
    fmtp: dict[str, str] = {}
    for value in attributes.lists.get("fmtp", ()):
        number, line = _split(value)
        fmtp[number] = line
    feedback: dict[str, set[str]] = {}
    for value in attributes.lists.get("rtcp-fb", ()):
        number, what = _split(value)
        feedback.setdefault(number, set()).add(what)
    maps = dict(map(_split, attributes.lists.get("rtpmap", ())))
    formats: dict[int, Format] = {}
    for number in numbers:
        mapping = maps.get(number) or {"0": "PCMU/8000", "8": "PCMA/8000"}.get(number)
        payload_type = _number(number, 127)
        codec, _, rate = (mapping or "").partition("/")
        clock, _, channels = rate.partition("/")
        clock_rate = _number(clock, 0xFFFFFFFF)
        if payload_type is None or clock_rate is None:
            continue
        line = fmtp.get(number, "")
        pairs = (item.partition("=") for item in line.split(";"))
        parameters = {name.strip().lower(): setting.strip() for name, _, setting in pairs if name.strip()}
        fb = frozenset(feedback.get(number, set()) | feedback.get("*", set()))
        formats[payload_type] = Format(
            payload_type, codec.upper(), clock_rate, _number(channels, 255) or 1, parameters, fb, line
        )
    return formats


def _split(value: str) -> tuple[str, str]:
    """A payload type and what is said of it, with any blanks between them."""
    number, rest = (*value.split(None, 1), "", "")[:2]
    return number, rest


def _number(text: str, most: int) -> int | None:
    """A decimal number of at most ``most``; None where the text is none."""
    if len(text) > 10 or not (text.isascii() and text.isdigit()) or int(text) > most:
        return None
    return int(text)


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
    offer: Offer,
    bundle: Sequence[str],
    accepted: dict[int, SentMedia],
    local: LocalTransport,
    session_id: int,
    cname: str,
) -> str:
    """The answer. ``accepted``: a section's place → what we send there; any other section is rejected.

    ``bundle``: the mids of the accepted sections that share a transport by the offer's group; without any there is no
    group (RFC 8843, 7.3).
    """
    lines = ["v=0", f"o=- {session_id} 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=ice-lite", "a=msid-semantic: WMS *"]
    if bundle:
        lines.append("a=group:BUNDLE " + " ".join(bundle))
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
    for place, section in enumerate(offer.sections):
        sent = accepted.get(place)
        mid = [f"a=mid:{section.mid}"] if section.mid else []
        if sent is None:
            # pion refuses an answer that lists a payload type without saying which, here as well.
            listed = next(iter(section.formats.values()), None)
            number = listed.payload_type if listed is not None else section.format_list.split(" ", 1)[0]
            lines += [
                f"m={section.kind} 0 {section.protocol} {number}", "c=IN IP4 0.0.0.0", *mid, "a=inactive",
                *([_rtpmap(listed)] if listed is not None else []), *transport[:5],  # aiortc wants them here too
            ]  # fmt: skip
            continue
        numbers = " ".join(str(f.payload_type) for f in sent.formats)
        lines += [f"m={section.kind} {port} {section.protocol} {numbers}", f"c=IN {family} {host}"]
        lines += [*mid, "a=rtcp-rsize", *transport]
        lines += ["a=inactive"] if sent.ssrc is None else ["a=sendonly", f"a=msid:{sent.stream} {sent.track}"]
        lines += [
            # RFC 8285, 5: the direction of an id that was offered with one is answered; many parsers know no other form
            f"a=extmap:{number}{'/sendonly' if uri in section.directed else ''} {uri}"
            for uri, number in sent.extensions.items()
        ]
        for f in sent.formats:
            lines.append(_rtpmap(f))
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


def _rtpmap(f: Format) -> str:
    name = {"RTX": "rtx", "OPUS": "opus"}.get(f.codec, f.codec)
    channels = f"/{f.channels}" if f.channels > 1 else ""
    return f"a=rtpmap:{f.payload_type} {name}/{f.clock_rate}{channels}"
