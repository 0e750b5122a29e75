"""Cameras as people have met them: faults of known makes, told in the issue lists of readers of cameras."""

import base64
import hashlib
import re
import struct
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from tests.support.faulty_kinds import (
    CREDENTIALS,
    PASSWORD,
    USER,
    Change,
    FaultyCamera,
    Plays,
    Section,
    framing,
    scripted,
    sending,
)
from tests.support.faulty_variants import sets_of
from tests.support.scripted_camera import (
    TICKS,
    Asked,
    Codec,
    RtpPacket,
    Script,
    ScriptedCamera,
    answer,
    framed,
    packets,
    renumbered,
)

_METHODS: Final = ("OPTIONS", "DESCRIBE", "SETUP", "PLAY", "GET_PARAMETER")
_PRIVATE: Final = b"\1\2\3\4" * 5


# packets


def begins(found: list[RtpPacket], at: int) -> bool:
    """Whether a picture's first packet is at that place."""
    return not at or found[at].picture != found[at - 1].picture


def of_another_type(packet: RtpPacket, payload_type: int) -> RtpPacket:
    before = (packet.timestamp - TICKS) & 0xFFFFFFFF
    return replace(packet, payload=_PRIVATE, payload_type=payload_type, marker=True, timestamp=before)


def with_the_same_number(found: list[RtpPacket]) -> list[RtpPacket]:
    sent: list[RtpPacket] = []
    for at, packet in enumerate(found):
        sent += [of_another_type(packet, 50)] * begins(found, at) + [packet]
    return sent


def with_numbers_of_their_own(found: list[RtpPacket]) -> list[RtpPacket]:
    return renumbered([found[0], *with_the_same_number(found)[2:]])


def counted_from_keyframes(found: list[RtpPacket]) -> list[RtpPacket]:
    first = 0
    sent = []
    for at, packet in enumerate(found):
        if begins(found, at) and packet.picture % 10 == 0:
            first = at
        sent.append(replace(packet, sequence=at - first))
    return sent


def sets_with_the_time_before(found: list[RtpPacket]) -> list[RtpPacket]:
    """And the marker on the SPS."""
    return [
        replace(packet, timestamp=(packet.timestamp - TICKS) & 0xFFFFFFFF, marker=packet.payload[0] & 31 == 7)
        if packet.payload[0] & 31 in (7, 8)
        else packet
        for packet in found
    ]


def behind_pictures(payload: bytes) -> Change:
    """A NAL unit with the marker behind each picture's slices."""

    def change(found: list[RtpPacket]) -> list[RtpPacket]:
        sent: list[RtpPacket] = []
        for packet in found:
            more = [replace(packet, payload=payload)] if packet.marker else []
            sent += [replace(packet, marker=False), *more]
        return renumbered(sent)

    return change


def before_pictures(payload: bytes) -> Change:
    def change(found: list[RtpPacket]) -> list[RtpPacket]:
        sent: list[RtpPacket] = []
        for at, packet in enumerate(found):
            sent += [replace(packet, payload=payload, marker=False)] * begins(found, at) + [packet]
        return renumbered(sent)

    return change


def odd_aggregates(found: list[RtpPacket]) -> list[RtpPacket]:
    """Parameter sets in aggregation packets, with an empty unit in front and zeros behind."""
    sets = b"".join(struct.pack(">H", len(unit)) + unit for unit in sets_of("h264"))
    sent = [packet for packet in found if packet.payload[0] & 31 not in (7, 8)]
    return renumbered(
        [
            each
            for at, packet in enumerate(sent)
            for each in (
                [replace(packet, payload=b"\x78\0\0" + sets + bytes(3), marker=False)]
                * (begins(sent, at) and packet.picture % 10 == 0)
                + [packet]
            )
        ]
    )


def clocked(ticks: int) -> Change:
    """The description says 90 kHz."""
    return lambda found: [replace(packet, timestamp=1000 + packet.picture * ticks) for packet in found]


def in_pairs(found: list[RtpPacket]) -> list[RtpPacket]:
    return [replace(packet, timestamp=1000 + packet.picture // 2 * 2 * TICKS) for packet in found]


def without_sets(found: list[RtpPacket]) -> list[RtpPacket]:
    return renumbered([packet for packet in found if packet.payload[0] & 31 not in (7, 8)])


def all_at_once() -> ScriptedCamera:
    """Everything is sent in one go, and the connection closed behind it."""
    return ScriptedCamera(sends=[replace(packet, picture=0) for packet in packets(limit=90)], ends_after_seconds=0.0)


# descriptions

_VIDEO: Final = ScriptedCamera.sdp
_SOUND: Final = _VIDEO + "m=audio 0 RTP/AVP 8\r\na=control:track2\r\n"


def with_sets(text: str, *, start_codes: bool = False) -> Callable[[], ScriptedCamera]:
    """The parameter sets are in the description alone; ``text`` has a place for them."""
    front = b"\0\0\0\1" if start_codes else b""
    sets = ",".join(base64.b64encode(front + unit).decode() for unit in sets_of("h264"))
    return lambda: ScriptedCamera(sdp=text.format(sets=sets), sends=without_sets(packets()))


_OF_OLD_RECORDERS: Final = (
    "m=video 0 RTP/AVP 96\r\na=control:track1\r\na=rtpmap:96 H264/90000 \r\na=framerate:0S\r\n"
    "a=fmtp:96 packetization-mode=1;profile-level-id=000001;sprop-parameter-sets={sets}\r\n"
    "a=Media_header:MEDIAINFO=494D4B48;\r\n"
)


# dialogues


class CameraWithQuery(ScriptedCamera):
    """A camera whose address has a query that counts."""

    @property
    def url(self) -> str:
        return f"rtsp://127.0.0.1:{self.port}/cam/realmonitor?channel=1&subtype=0"


def query_before_the_track() -> ScriptedCamera:
    def set_up(camera: ScriptedCamera, asked: Asked) -> bytes:
        if asked.url.endswith("/cam/realmonitor?channel=1&subtype=0/track1"):
            return camera.set_up(asked)
        return answer(asked, "454 Session Not Found")

    return CameraWithQuery(script={"SETUP": set_up})


def query_behind_the_track() -> ScriptedCamera:
    def describe(camera: ScriptedCamera, asked: Asked) -> bytes:
        base = f"rtsp://127.0.0.1:{camera.port}/Streaming/Channels/101/"
        sdp = f"v=0\r\na=control:{base}\r\n" + _VIDEO.replace("track1", f"{base}trackID=1?mode=unicast&profile=1")
        return answer(asked, "200 OK", "Content-Type: application/sdp", f"Content-Base: {base}", body=sdp)

    def set_up(camera: ScriptedCamera, asked: Asked) -> bytes:
        if asked.url.endswith("/101/trackID=1?mode=unicast&profile=1"):
            return camera.set_up(asked)
        return answer(asked, "404 Not Found")

    return CameraWithQuery(script={"DESCRIBE": describe, "SETUP": set_up})


def odd_headers(camera: ScriptedCamera, asked: Asked) -> bytes:
    odd = b"\r\nX-Empty:\r\nRTP-Info:\r\nno colon here\r\nx-Accept-Dynamic-Rate: 1\r\n"
    return camera.good(asked).replace(b"\r\n", odd, 1)


def guarded_with_qop(algorithm: str, qop: str) -> Callable[[], ScriptedCamera]:
    """Digest with counted nonces (RFC 7616), each count taken once, and an opaque value to be given back."""
    name = algorithm.replace("-", "").lower()

    def digest(text: str) -> str:
        return hashlib.new(name, text.encode(), usedforsecurity=False).hexdigest()

    def make() -> ScriptedCamera:
        counts: set[str] = set()

        def script(camera: ScriptedCamera, asked: Asked) -> bytes:
            given = dict(re.findall(r'(\w+)="?([^",]*)"?', asked.header("authorization")))
            first = digest(f"{USER}:IP Camera(K1234):{PASSWORD}")
            body = f":{digest('')}" if given.get("qop") == "auth-int" else ""
            second = digest(f"{asked.method}:{given.get('uri')}{body}")
            nonce = ":".join(given.get(each, "") for each in ("nonce", "nc", "cnonce", "qop"))
            right = given.get("response") == digest(f"{first}:{nonce}:{second}") and given.get("opaque") == "op"
            if right and given["nc"] not in counts:
                counts.add(given["nc"])
                return camera.good(asked)
            challenge = f'realm="IP Camera(K1234)", nonce="n", algorithm={algorithm}, qop="{qop}", opaque="op"'
            return answer(asked, "401 Unauthorized", f'WWW-Authenticate: Digest {challenge}, stale="FALSE"')

        return ScriptedCamera(script=dict.fromkeys(_METHODS, script))

    return make


def accept_demanded(camera: ScriptedCamera, asked: Asked) -> bytes:
    return camera.good(asked) if "application/sdp" in asked.header("accept") else answer(asked, "406 Not Acceptable")


def two_sessions(camera: ScriptedCamera, asked: Asked) -> bytes:
    return camera.set_up(asked).replace(b"Session: 77", b"Session: 78" if asked.number else b"Session: 77")


def sound_refused(camera: ScriptedCamera, asked: Asked) -> bytes:
    return answer(asked, "500 Internal Server Error") if asked.url.endswith("track2") else camera.set_up(asked)


def short_session(camera: ScriptedCamera, asked: Asked) -> bytes:
    return camera.set_up(asked).replace(b"timeout=60", b"timeout=1")


def kept_alive(script: Script) -> Callable[[], ScriptedCamera]:
    """A camera whose session is short, and how it answers keep-alives."""
    scripts: dict[str, Script] = {"SETUP": short_session, "GET_PARAMETER": script, "SET_PARAMETER": script}
    return lambda: ScriptedCamera(script=scripts, picture_seconds=0.03)


def answered_with_a_body(_camera: ScriptedCamera, asked: Asked) -> bytes:
    body = "position: 1\r\nRTSP/1.0 200 OK\r\n\r\n"
    return answer(asked, "200 OK", "Session: 77", "Content-Type: text/parameters", body=body)


def refused_without_number(_camera: ScriptedCamera, _asked: Asked) -> bytes:
    return b"RTSP/1.0 405 Method Not Allowed\r\nAllow: OPTIONS\r\n\r\n"


def answered_twice(camera: ScriptedCamera, asked: Asked) -> bytes:
    return camera.good(asked) * 2


# framing


def empty_packets(_camera: ScriptedCamera, number: int, data: bytes) -> bytes:
    return b"$\0\0\0" * (number % 3 == 0) + b"$\1\0\0" * (number % 5 == 0) + framed(data)


def lengths_too_short() -> ScriptedCamera:
    """Of every fifth picture's second fragment nine bytes stand behind what its length says."""
    sent = packets(limit=40)
    lengths = [len(packet.wire()) for packet in sent]
    short = {
        at
        for at in range(1, len(sent))
        if sent[at].picture % 5 == 3 and lengths[at] == lengths[at - 1] and sent[at - 1].payload[1] & 0x80
    }

    def frame(_camera: ScriptedCamera, number: int, data: bytes) -> bytes:
        return b"$\0" + (len(data) - 9 * (number in short)).to_bytes(2, "big") + data

    return ScriptedCamera(sends=sent, frame=frame)


def reports(ntp: Callable[[int], int]) -> Callable[[], ScriptedCamera]:
    """Sender reports of any time."""

    def frame(_camera: ScriptedCamera, number: int, data: bytes) -> bytes:
        report = b"\x80\xc8\0\6\x0b\xad\xca\xfe" + struct.pack(">Q", ntp(number)) + data[4:8] + bytes(8)
        return framed(report, 1) * (number % 10 == 0) + framed(data)

    return framing(frame)


def report_on_the_port_of_rtp(number: int) -> list[tuple[int, bytes]]:
    report = b"\x80\xc8\0\6\x0b\xad\xca\xfe" + bytes(20)
    return [(0, report)] if number % 10 == 0 else []


def _seen(
    name: str,
    section: Section,
    what: str,
    make: Callable[[], ScriptedCamera],
    *,
    codec: Codec = "h264",
    source: dict[str, Any] | None = None,
) -> FaultyCamera:
    return FaultyCamera(name, section, what, make, Plays(codec=codec), source or {})


_OTHER_TYPES: Final[tuple[tuple[str, Codec, str], ...]] = (
    ("h264", "h264", "tcp"),
    ("h265", "h265", "tcp"),
    ("udp", "h264", "udp"),
)

SEEN: Final = (
    _seen("track-behind-query", "Dialogue", "has its track behind the address's query", query_before_the_track),
    _seen("query-behind-track", "Dialogue", "has a query behind its track alone", query_behind_the_track),
    _seen(
        "headers-odd",
        "Dialogue",
        "sends headers without a value and without a colon",
        scripted(**dict.fromkeys(_METHODS[:4], odd_headers)),
    ),
    _seen(
        "qop-sha-256",
        "Dialogue",
        "asks for Digest with SHA-256 and counted nonces",
        guarded_with_qop("SHA-256", "auth"),
        source=CREDENTIALS,
    ),
    _seen(
        "qop-of-bodies",
        "Dialogue",
        "asks for Digest with qop=auth-int",
        guarded_with_qop("MD5", "auth-int"),
        source=CREDENTIALS,
    ),
    _seen(
        "accept-demanded",
        "Dialogue",
        "describes itself only where SDP is asked for (406)",
        scripted(DESCRIBE=accept_demanded),
    ),
    _seen(
        "session-for-each-track",
        "Dialogue",
        "gives each track another session",
        lambda: ScriptedCamera(sdp=_SOUND, script={"SETUP": two_sessions}),
        source={"audio": True},
    ),
    _seen(
        "sound-refused",
        "Dialogue",
        "refuses its sound",
        lambda: ScriptedCamera(sdp=_SOUND, script={"SETUP": sound_refused}),
        source={"audio": True},
    ),
    _seen(
        "back-channel",
        "Dialogue",
        "describes a loudspeaker and metadata",
        lambda: ScriptedCamera(
            sdp=_SOUND + "a=sendonly\r\nm=application 0 RTP/AVP 107\r\na=rtpmap:107 vnd.onvif.metadata/90000\r\n"
        ),
        source={"audio": True},
    ),
    _seen("kept-alive-with-bodies", "Dialogue", "answers keep-alives with a body", kept_alive(answered_with_a_body)),
    _seen(
        "kept-alive-unnumbered",
        "Dialogue",
        "refuses keep-alives without CSeq (405)",
        kept_alive(refused_without_number),
    ),
    _seen("play-answered-twice", "Dialogue", "answers PLAY twice", scripted(PLAY=answered_twice)),
    _seen(
        "describe-port-senseless",
        "Dialogue",
        "describes a negative port and an address that is no text",
        lambda: ScriptedCamera(sdp="c=IN IP4 '&\ufffd\r\n" + _VIDEO.replace("video 0", "video -1353744643")),
    ),
    _seen(
        "describe-own-media",
        "Dialogue",
        "describes a media section of its maker's own first",
        lambda: ScriptedCamera(sdp="m=application/MAKER 0 RTP/AVP smart/1/90000\r\na=control:track3\r\n" + _VIDEO),
    ),
    FaultyCamera(
        "lengths-too-short",
        "Framing",
        "says that second fragments are shorter than they are",
        lengths_too_short,
        Plays(damage=True, least_share=0.7),
    ),
    _seen("empty-packets", "Framing", "sends interleaved packets without a byte", framing(empty_packets)),
    _seen(
        "reports-of-1970",
        "Framing",
        "has a clock of 1970 in its reports",
        reports(lambda n: (2_208_988_800 << 32) + (n << 20)),
    ),
    _seen(
        "reports-wild",
        "Framing",
        "has any time in its reports",
        reports(lambda n: n * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF),
    ),
    _seen(
        "reports-on-rtp-port",
        "Framing",
        "sends reports to the port of RTP",
        lambda: ScriptedCamera(datagrams=report_on_the_port_of_rtp),
        source={"transport": "udp"},
    ),
    _seen(
        "udp-all-at-once",
        "Framing",
        "sends all in one go over UDP and closes the connection",
        all_at_once,
        source={"transport": "udp"},
    ),
    *(
        _seen(
            f"other-type-same-number-{name}",
            "Payload",
            f"sends packets of another type that have the next one's number ({name})",
            sending(with_the_same_number, codec),
            codec=codec,
            source={"transport": transport},
        )
        for name, codec, transport in _OTHER_TYPES
    ),
    _seen(
        "other-type-own-number",
        "Payload",
        "counts packets of another type among its pictures'",
        sending(with_numbers_of_their_own),
    ),
    _seen(
        "sets-of-the-time-before",
        "Payload",
        "sends parameter sets with the time of the picture before, and the marker on the SPS",
        sending(sets_with_the_time_before),
    ),
    _seen(
        "private-units-behind",
        "Payload",
        "sends a NAL unit of no known type behind each picture, with the marker",
        sending(behind_pictures(b"\x1f\1\2\3")),
    ),
    _seen(
        "sei-behind",
        "Payload",
        "sends SEI behind each picture, with the marker",
        sending(behind_pictures(b"\6\5\4abcd\x80")),
    ),
    _seen(
        "prefix-units",
        "Payload",
        "sends prefix NAL units (of SVC) in front of pictures",
        sending(before_pictures(b"\x6e\x40\x80\x0f\x80")),
    ),
    _seen(
        "aggregates-odd",
        "Payload",
        "sends aggregation packets with empty units, and zeros behind",
        sending(odd_aggregates),
    ),
    _seen(
        "sets-with-start-codes",
        "Payload",
        "has parameter sets behind start codes in the SDP alone",
        with_sets(_OF_OLD_RECORDERS, start_codes=True),
    ),
    _seen(
        "sets-with-a-comma",
        "Payload",
        "has a comma behind its parameter sets, and says packetization-mode=0",
        with_sets(_VIDEO + "a=fmtp:96 sprop-parameter-sets={sets},;packetization-mode=0\r\n"),
    ),
    _seen("clock-of-milliseconds", "Payload", "counts its time in milliseconds", sending(clocked(40))),
    _seen("clock-of-microseconds", "Payload", "counts its time in microseconds", sending(clocked(40_000))),
    _seen("clock-in-pairs", "Payload", "gives each second picture the time of the one before", sending(in_pairs)),
    *(
        _seen(
            f"numbers-from-keyframes-{name}",
            "Loss",
            f"counts its packets from 0 at each keyframe ({what})",
            sending(counted_from_keyframes, limit=limit),
        )
        for name, what, limit in (("small", "many small ones", 60), ("large", "few large ones", 1000))
    ),
)
