"""Cameras that break RFCs, lose packets, or cannot be read: what each does, and what the direct reader makes of it.

`tests/integration/test_direct_faults.py` reads each of them; `docs/ref/camera-faults.md` is generated from this table.
"""

import base64
import random
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Final

from services.contracts.models import Reason
from tests.support.faulty_kinds import (
    CREDENTIALS,
    DIGEST,
    H265_SDP,
    SHA_256,
    SOUND_SDP,
    VIDEO,
    WRONG,
    Change,
    FaultyCamera,
    Plays,
    based,
    controlled,
    each,
    framing,
    scripted,
    sending,
    shuffled,
    silent,
    status,
    transported,
    with_password,
)
from tests.support.faulty_seen import SEEN
from tests.support.faulty_variants import VARIANTS
from tests.support.scripted_camera import (
    PICTURES,
    Asked,
    Codec,
    RtpPacket,
    ScriptedCamera,
    answer,
    framed,
    is_slice,
    packets,
    pictures,
    renumbered,
)

# sessions


def keep_alive_refused() -> ScriptedCamera:
    return ScriptedCamera(
        script={"SETUP": short_session, "GET_PARAMETER": status("501 Not Implemented")}, needs_keep_alive_seconds=2.0
    )


def short_session(camera: ScriptedCamera, asked: Asked) -> bytes:
    return camera.set_up(asked).replace(b"timeout=60", b"timeout=1")


def needs_keep_alives() -> ScriptedCamera:
    return ScriptedCamera(script={"SETUP": short_session}, needs_keep_alive_seconds=1.0, picture_seconds=0.03)


def session_changes() -> ScriptedCamera:
    def play(_camera: ScriptedCamera, asked: Asked) -> bytes:
        return answer(asked, "200 OK", "Session: other-session")

    def parameter(_camera: ScriptedCamera, asked: Asked) -> bytes:
        return answer(asked, "200 OK" if asked.header("session") == "other-session" else "454 Session Not Found")

    return ScriptedCamera(script={"PLAY": play, "GET_PARAMETER": parameter})


def agent_demanded(camera: ScriptedCamera, asked: Asked) -> bytes:
    return camera.good(asked) if asked.header("user-agent") else answer(asked, "400 Bad Request")


def asks_the_client() -> ScriptedCamera:
    def frame(_camera: ScriptedCamera, number: int, data: bytes) -> bytes:
        request = b"OPTIONS * RTSP/1.0\r\nCSeq: %d\r\n\r\n" % number if number in (5, 40) else b""
        return request + framed(data)

    return ScriptedCamera(frame=frame)


def udp_only(camera: ScriptedCamera, asked: Asked) -> bytes:
    if "TCP" in asked.header("transport"):
        return answer(asked, "461 Unsupported Transport")
    return camera.set_up(asked)


def early() -> ScriptedCamera:
    return ScriptedCamera(before_play_answer=sum(packet.picture < 5 for packet in packets()))


def older_session(found: list[RtpPacket]) -> list[RtpPacket]:
    """Pictures of a session before, without a keyframe among them, and then this one's."""
    stale = [
        replace(packet, ssrc=4242, sequence=packet.sequence + 9000, timestamp=packet.timestamp + 900_000, picture=0)
        for packet in found
        if packet.picture in (3, 4, 5)
    ]
    return [*stale, *found]


# framing


def garbage_between(_camera: ScriptedCamera, number: int, data: bytes) -> bytes:
    rng = random.Random(number)
    garbage = (
        rng.choice([b"", b"$", b"$\0", b"RTSP"]) + rng.randbytes(rng.randrange(1, 200)) if number % 9 == 8 else b""
    )
    return garbage + framed(data)


def false_lengths(_camera: ScriptedCamera, number: int, data: bytes) -> bytes:
    wire = framed(data)
    return wire[:2] + b"\xff\xf0" + wire[4:] if number in (60, 100) else wire


def other_channels(_camera: ScriptedCamera, number: int, data: bytes) -> bytes:
    metadata = framed(b"\x80\x6b" + number.to_bytes(2, "big") + b"\0\0\0\1ABCD" + b"<xml/>" * 20, 4)
    return metadata + framed(data) if number % 3 == 0 else framed(data)


def wild_rtcp(_camera: ScriptedCamera, number: int, data: bytes) -> bytes:
    wild = [b"", b"\x80", b"\x80\xc8\0\6\0\0", b"\xff" * 30, b"\x80\xc8\xff\xff" + bytes(24), b"\x81\xcb\0\1\0\0\0\5"]
    return framed(wild[number % len(wild)], 1) + framed(data) if number % 4 == 0 else framed(data)


# payloads


def unmarked(packet: RtpPacket) -> RtpPacket:
    return replace(packet, marker=False)


def marked_sets(packet: RtpPacket) -> RtpPacket:
    return packet if packet.payload[0] & 31 in (1, 5, 28) else replace(packet, marker=True)


def padded(packet: RtpPacket) -> RtpPacket:
    return replace(packet, first_byte=0xA0, behind_payload=b"\0\0\0\4")


def extended(packet: RtpPacket) -> RtpPacket:
    return replace(packet, first_byte=0x91, before_payload=b"\0\0\0\1" + b"\xab\xac\0\1abcd")


def start_codes(found: list[RtpPacket]) -> list[RtpPacket]:
    changed = []
    for packet in found:
        data = packet.payload
        if data[0] & 31 == 28 and data[1] & 0x80:
            data = data[:2] + b"\0\0\0\1" + bytes((data[0] & 0xE0 | data[1] & 31,)) + data[2:]
        elif data[0] & 31 != 28:
            data = b"\0\0\0\1" + data
        changed.append(replace(packet, payload=data))
    return changed


def changing_types(packet: RtpPacket) -> RtpPacket:
    data = packet.payload
    if data[0] & 31 == 28 and not data[1] & 0x80:
        data = bytes((data[0], data[1] & 0xE0 | (1 if data[1] & 31 == 5 else 5))) + data[2:]
    return replace(packet, payload=data)


def empty_between(found: list[RtpPacket]) -> list[RtpPacket]:
    changed = []
    for packet in found:
        data = packet.payload
        if data[0] & 31 == 28 and data[1] & 0x80:  # the first fragment without data, then the rest of it
            changed.append(replace(packet, payload=data[:2], marker=False))
            changed.append(replace(packet, payload=bytes((data[0], data[1] & 0x7F)) + data[2:]))
        else:
            changed += [replace(packet, payload=b"", marker=False), packet]
    return renumbered(changed)


def without_sets(found: list[RtpPacket]) -> list[RtpPacket]:
    return renumbered([packet for packet in found if packet.payload[0] & 31 not in (7, 8)])


def sets_at_every_second(found: list[RtpPacket]) -> list[RtpPacket]:
    return renumbered([p for p in found if p.payload[0] & 31 not in (7, 8) or p.picture // 10 % 2 == 0])


def with_sprop(*units: bytes) -> str:
    sets = ",".join(base64.b64encode(unit).decode() for unit in units)
    return ScriptedCamera.sdp + f"a=fmtp:96 packetization-mode=1;sprop-parameter-sets={sets}\r\n"


def declared() -> tuple[bytes, ...]:
    return tuple(nal for nal in pictures()[0] if nal[0] & 31 in (7, 8))


def only_in_the_description() -> ScriptedCamera:
    return ScriptedCamera(sends=without_sets(packets()), sdp=with_sprop(*declared()))


def wrong_in_the_description() -> ScriptedCamera:
    return ScriptedCamera(sdp=with_sprop(b"\x67\x42\x00\x0a\xff", b"\x68\xff"))


def trailing_bytes() -> ScriptedCamera:
    return ScriptedCamera(sends=without_sets(packets()), sdp=with_sprop(*(unit + b"\0\0\0" for unit in declared())))


def partial_in_the_description() -> ScriptedCamera:
    return ScriptedCamera(sdp=with_sprop(declared()[0]))


def without_rtpmap() -> ScriptedCamera:
    return ScriptedCamera(sdp=with_sprop(*declared()).replace("a=rtpmap:96 H264/90000\r\n", ""))


def another_type(packet: RtpPacket) -> RtpPacket:
    return replace(packet, payload_type=35)


def changes_codec(first: Codec, then: Codec) -> ScriptedCamera:
    one = [packet for packet in packets(first) if packet.picture < PICTURES // 2]
    other = [packet for packet in packets(then) if packet.picture >= PICTURES // 2]
    return ScriptedCamera(sends=renumbered([*one, *other]), sdp=H265_SDP if first == "h265" else ScriptedCamera.sdp)


def slow_start_ticks(packet: RtpPacket) -> RtpPacket:
    return replace(packet, timestamp=5)


# losses


def lossy(share: float) -> Change:
    def change(found: list[RtpPacket]) -> list[RtpPacket]:
        rng = random.Random(11)
        return [packet for packet in found if packet.picture in (0, PICTURES - 1) or rng.random() >= share]

    return change


def doubled(found: list[RtpPacket]) -> list[RtpPacket]:
    return [packet for packet in found for _ in range(2)]


def restarted(found: list[RtpPacket]) -> list[RtpPacket]:
    """As an encoder that restarts: other numbers, times and sender from a keyframe on."""
    return [
        packet
        if packet.picture < 30
        else replace(packet, sequence=packet.sequence + 20_000, timestamp=packet.timestamp ^ 0x40000000, ssrc=77)
        for packet in found
    ]


# refused


def loop(_camera: ScriptedCamera, asked: Asked) -> bytes:
    return answer(asked, "302 Moved Temporarily", f"Location: /live/{asked.number}")


def endless_head() -> ScriptedCamera:
    return ScriptedCamera(greeting=b"RTSP/1.0 200 OK\r\n" + b"X-More: of the same\r\n" * 60_000)


def endless_body(_camera: ScriptedCamera, asked: Asked) -> bytes:
    return answer(asked, "200 OK", "Content-Type: application/sdp", "Content-Length: 20000") + b"v=0\r\n"


def huge_body(_camera: ScriptedCamera, asked: Asked) -> bytes:
    return answer(asked, "200 OK", "Content-Type: application/sdp", "Content-Length: 2000000000") + b"v=0\r\n"


def described(sdp: str) -> Callable[[], ScriptedCamera]:
    return lambda: ScriptedCamera(sdp=sdp)


def _dialogue(name: str, what: str, make: Callable[[], ScriptedCamera], **more: Any) -> FaultyCamera:
    return FaultyCamera(name, "Dialogue", what, make, more.pop("outcome", Plays()), **more)


def _payload(name: str, what: str, make: Callable[[], ScriptedCamera], **outcome: Any) -> FaultyCamera:
    return FaultyCamera(name, "Payload", what, make, Plays(**outcome))


def _refused(name: str, what: str, make: Callable[[], ScriptedCamera], reason: Reason, **source: Any) -> FaultyCamera:
    return FaultyCamera(name, "Refused", what, make, reason, source)


_FIRST: Final[tuple[FaultyCamera, ...]] = (
    _dialogue("none", "keeps to the RFCs", ScriptedCamera),
    _dialogue("base-doubled", "writes Content-Base twice in one", based("{url}/{url}/")),
    _dialogue("base-schemeless", "leaves the scheme out of Content-Base", based("127.0.0.1/live/")),
    _dialogue("base-empty", "sends an empty Content-Base", based("")),
    _dialogue("base-absent", "sends no Content-Base", based(None)),
    _dialogue("base-other-host", "names a host in Content-Base that nobody reaches", based("rtsp://192.0.2.7/live/")),
    _dialogue("control-star", "has only * as the track's control attribute", controlled("*", "/live/?")),
    _dialogue("control-absent", "has no control attribute", described(VIDEO)),
    _dialogue(
        "control-rooted", "means a control attribute of /track1 below the stream", controlled("/track1", "/live/track1")
    ),
    _dialogue("control-root", "means a control attribute of /track1 below the host", controlled("/track1", "/track1")),
    _dialogue("control-query", "has a query as control attribute", controlled("?track=1", r"/live/?\?track=1")),
    _dialogue(
        "control-other-host",
        "names another host in the control attribute",
        controlled("rtsp://192.0.2.7:9/live/track1", "/live/track1"),
    ),
    _dialogue("transport-avp", "answers TCP as RTP/AVP", transported("RTP/AVP;unicast;interleaved=0-1")),
    _dialogue("transport-bare", "answers with RTP/AVP alone", transported("RTP/AVP")),
    _dialogue(
        "transport-channels",
        "gives other channels than were asked for",
        transported("RTP/AVP/TCP;unicast;interleaved=6-7", channel=6),
    ),
    _dialogue(
        "transport-lies",
        "sends on another channel than it answers",
        transported("RTP/AVP/TCP;unicast;interleaved=0-1", channel=8),
    ),
    _dialogue(
        "transport-exchanged",
        "sends RTP on the channel that it gave for RTCP",
        transported("RTP/AVP/TCP;unicast;interleaved=0-1", channel=1),
    ),
    _dialogue("udp-only", "refuses TCP with 461, where transport is auto", scripted(SETUP=udp_only)),
    _dialogue("basic", "asks for Basic", with_password(lambda _: ['Basic realm="cam"'], "basic"), source=CREDENTIALS),
    _dialogue("digest", "asks for Digest with MD5", with_password(lambda n: [DIGEST.format(n)]), source=CREDENTIALS),
    _dialogue(
        "digest-sha-256",
        "asks for Digest with SHA-256 alone",
        with_password(lambda n: [SHA_256.format(n)], "sha256"),
        source=CREDENTIALS,
    ),
    _dialogue(
        "challenges-in-one-line",
        "offers Basic and Digest in one header line",
        with_password(lambda n: ['Basic realm="cam", ' + DIGEST.format(n)]),
        source=CREDENTIALS,
    ),
    _dialogue(
        "challenges-in-lines",
        "offers Basic, MD5 and SHA-256 in lines of their own",
        with_password(lambda n: ['Basic realm="cam"', DIGEST.format(n), SHA_256.format(n)], "sha256"),
        source=CREDENTIALS,
    ),
    _dialogue(
        "nonce-each-request",
        "wants a new nonce for every request, PLAY and keep-alives included",
        with_password(lambda n: [DIGEST.format(n)], each_request=True),
        source=CREDENTIALS,
    ),
    _dialogue(
        "agent-demanded",
        "refuses requests without User-Agent",
        scripted(**dict.fromkeys(("OPTIONS", "DESCRIBE", "SETUP", "PLAY"), agent_demanded)),
    ),
    _dialogue("session-changes", "gives another session at PLAY", session_changes),
    _dialogue("early-packets", "sends five pictures, the keyframe among them, before it answers PLAY", early),
    _dialogue(
        "play-unanswered-late",
        "answers PLAY with RTP-Info that cannot be read",
        scripted(PLAY=status("200 OK", "Session: 77", "RTP-Info: url=?;seq=x;rtptime=")),
    ),
    _dialogue(
        "rtp-info-zero",
        "answers PLAY with RTP-Info of zeros",
        scripted(PLAY=status("200 OK", "Session: 77", "RTP-Info: url=0;seq=0;rtptime=0")),
    ),
    _dialogue(
        "range-refused",
        "refuses PLAY with a Range (457)",
        scripted(PLAY=lambda c, a: answer(a, "457 Invalid Range") if a.header("range") else c.good(a)),
    ),
    _dialogue("older-session", "sends pictures of an older session after PLAY", sending(older_session)),
    _dialogue("options-unanswered", "never answers OPTIONS", scripted(OPTIONS=silent)),
    _dialogue("options-refused", "refuses OPTIONS", scripted(OPTIONS=status("501 Not Implemented"))),
    _dialogue("keep-alive-needed", "ends sessions that are not kept alive every second", needs_keep_alives),
    _dialogue("keep-alive-refused", "refuses GET_PARAMETER", keep_alive_refused),
    _dialogue(
        "keep-alive-unanswered",
        "never answers GET_PARAMETER",
        lambda: ScriptedCamera(script={"SETUP": short_session, "GET_PARAMETER": silent}, picture_seconds=0.03),
    ),
    _dialogue("asks-the-client", "sends requests of its own", asks_the_client),
    _dialogue(
        "redirect",
        "redirects to another path",
        scripted(DESCRIBE=lambda c, a: c.good(a) if a.number else answer(a, "302 Moved", "Location: /other")),
    ),
    FaultyCamera(
        "garbage",
        "Framing",
        "sends garbage in front of every ninth packet",
        framing(garbage_between),
        Plays(least_share=0.8),
    ),
    FaultyCamera(
        "false-lengths",
        "Framing",
        "writes a length of 65520 in front of two packets",
        framing(false_lengths),
        Plays(damage=True, least_share=0.7),
    ),
    FaultyCamera(
        "other-channels", "Framing", "sends on a channel that was never set up", framing(other_channels), Plays()
    ),
    FaultyCamera("wild-rtcp", "Framing", "sends empty, cut and senseless RTCP", framing(wild_rtcp), Plays()),
    _payload("markers-never", "never sets the marker", sending(each(unmarked))),
    _payload(
        "markers-never-h265", "sends H.265 and never sets the marker", sending(each(unmarked), "h265"), codec="h265"
    ),
    _payload("markers-on-sets", "sets the marker on parameter sets", sending(each(marked_sets))),
    _payload(
        "markers-always",
        "sets the marker on every packet of pictures of four slices",
        sending(each(lambda packet: replace(packet, marker=True)), slices=4),
        slices=4,
    ),
    _payload("clock-stands", "gives every packet the same timestamp", sending(each(slow_start_ticks))),
    _payload("padding", "pads every packet", sending(each(padded))),
    _payload("extensions", "sends sources and header extensions", sending(each(extended))),
    _payload("start-codes", "puts start codes in payloads and first fragments", sending(start_codes)),
    _payload("fragment-types", "changes the type from fragment to fragment", sending(each(changing_types))),
    _payload("empty-payloads", "sends empty payloads, and first fragments without data", sending(empty_between)),
    _payload("large-packets", "sends packets of 10 kB", sending(lambda found: found, limit=10_000)),
    _payload("static-type", "describes payload type 96 and sends 35", sending(each(another_type))),
    _payload(
        "static-type-described",
        "describes H.264 as payload type 26",
        sending(
            each(lambda p: replace(p, payload_type=26)),
            sdp="m=video 0 RTP/AVP 26\r\na=rtpmap:26 H264/90000\r\na=control:track1\r\n",
        ),
    ),
    _payload("no-rtpmap", "leaves a=rtpmap out", without_rtpmap),
    _payload("sets-in-the-description", "has parameter sets in the SDP alone", only_in_the_description),
    _payload("sets-wrong-in-the-description", "has wrong parameter sets in the SDP", wrong_in_the_description),
    _payload("sets-partial-in-the-description", "has only the SPS in the SDP", partial_in_the_description),
    _payload("sets-with-trailing-bytes", "has parameter sets with trailing zeros in the SDP alone", trailing_bytes),
    _payload("sets-at-every-second", "sends parameter sets at every second keyframe", sending(sets_at_every_second)),
    _payload(
        "codec-changes",
        "goes on in H.265 without saying so",
        partial(changes_codec, "h264", "h265"),
        openings=2,
        then="h265",
    ),
    _payload(
        "codec-changes-back",
        "goes on in H.264 without saying so",
        partial(changes_codec, "h265", "h264"),
        openings=2,
        codec="h265",
        then="h264",
    ),
    FaultyCamera("duplicates", "Loss", "sends every packet twice", sending(doubled), Plays()),
    FaultyCamera(
        "reordered", "Loss", "sends packets in another order, five apart", sending(partial(shuffled, apart=5)), Plays()
    ),
    FaultyCamera("restarts", "Loss", "goes on with another SSRC, other numbers and times", sending(restarted), Plays()),
    FaultyCamera(
        "loss-2", "Loss", "loses 2 % of its packets", sending(lossy(0.02)), Plays(damage=True, least_share=0.3)
    ),
    FaultyCamera(
        "loss-20", "Loss", "loses 20 % of its packets", sending(lossy(0.2)), Plays(damage=True, least_share=0.0)
    ),
    FaultyCamera(
        "loss-unmarked",
        "Loss",
        "loses 5 % of its packets and never sets the marker",
        sending(lambda found: lossy(0.05)(each(unmarked)(found))),
        Plays(damage=True, least_share=0.0),
    ),
    FaultyCamera(
        "udp-duplicates", "Loss", "sends every packet twice, over UDP", sending(doubled), Plays(), {"transport": "udp"}
    ),
    FaultyCamera(
        "udp-reordered",
        "Loss",
        "sends packets in another order, over UDP",
        sending(partial(shuffled, apart=5)),
        Plays(),
        {"transport": "udp"},
    ),
    FaultyCamera(
        "udp-loss",
        "Loss",
        "loses 5 % of its packets, over UDP",
        sending(lossy(0.05)),
        Plays(damage=True, least_share=0.0),
        {"transport": "udp"},
    ),
    _refused("head-endless", "sends a header block that never ends", endless_head, Reason.BAD_ANSWER),
    _refused("body-endless", "announces a body that never ends", scripted(DESCRIBE=endless_body), Reason.BAD_ANSWER),
    _refused("body-huge", "announces a body of 2 GB", scripted(DESCRIBE=huge_body), Reason.BAD_ANSWER),
    _refused(
        "other-protocol", "speaks HTTP", lambda: ScriptedCamera(greeting=b"HTTP/1.1 400 Bad\r\n\r\n"), Reason.BAD_ANSWER
    ),
    _refused(
        "silent", "takes the connection and says nothing", scripted(OPTIONS=silent, DESCRIBE=silent), Reason.NO_ANSWER
    ),
    _refused("silent-at-setup", "does not answer SETUP", scripted(SETUP=silent), Reason.NO_ANSWER),
    _refused("silent-at-play", "does not answer PLAY and sends nothing", scripted(PLAY=silent), Reason.NO_ANSWER),
    _refused(
        "hangs-up", "closes the connection without an answer", lambda: ScriptedCamera(greeting=b""), Reason.CLOSED
    ),
    _refused("redirect-loop", "redirects without an end", scripted(DESCRIBE=loop), Reason.REDIRECT_LOOP),
    _refused(
        "password-wrong",
        "does not accept the password",
        with_password(lambda n: [DIGEST.format(n)]),
        Reason.UNAUTHORIZED,
        **WRONG,
    ),
    _refused(
        "password-absent",
        "asks for a password, and there is none",
        with_password(lambda n: [DIGEST.format(n)]),
        Reason.UNAUTHORIZED,
    ),
    _refused(
        "auth-unknown",
        "asks for an authentication that is not known",
        with_password(lambda n: [DIGEST.format(n) + ", algorithm=SHA-512-256"], "sha512"),
        Reason.UNSUPPORTED_AUTH,
        **CREDENTIALS,
    ),
    _refused("not-found", "has no such stream", scripted(DESCRIBE=status("404 Not Found")), Reason.NOT_FOUND),
    _refused(
        "too-many-clients",
        "serves as many viewers as it can (453 at SETUP)",
        scripted(SETUP=status("453 Not Enough Bandwidth")),
        Reason.TOO_MANY_CLIENTS,
    ),
    _refused(
        "too-many-clients-at-play",
        "serves as many viewers as it can (453 at PLAY)",
        scripted(PLAY=status("453 Not Enough Bandwidth")),
        Reason.TOO_MANY_CLIENTS,
    ),
    _refused("unavailable", "answers 503", scripted(DESCRIBE=status("503 Service Unavailable")), Reason.REJECTED),
    _refused(
        "udp-only-over-tcp",
        "refuses TCP, where only TCP may be used",
        scripted(SETUP=udp_only),
        Reason.UNSUPPORTED_TRANSPORT,
        transport="tcp",
    ),
    _refused("sound-alone", "has sound and no pictures", described(SOUND_SDP), Reason.BAD_STREAM, audio=True),
    _refused(
        "sound-alone-unwanted",
        "has sound and no pictures, where no sound is wanted",
        described(SOUND_SDP),
        Reason.BAD_STREAM,
    ),
    _refused(
        "codec-unknown",
        "sends MPEG-4 Part 2",
        described("m=video 0 RTP/AVP 96\r\na=rtpmap:96 MP4V-ES/90000\r\na=control:track1\r\n"),
        Reason.UNSUPPORTED_CODEC,
    ),
    _refused("description-cut", "cuts its description", described("m=vid"), Reason.BAD_STREAM),
    _refused("description-none", "describes nothing", scripted(DESCRIBE=status("200 OK")), Reason.BAD_ANSWER),
)

FAULTY_CAMERAS: Final = (*_FIRST, *VARIANTS, *SEEN)


def slices_sent(camera: FaultyCamera, picture: int) -> tuple[bytes, ...]:
    """What of a picture must come through, codec changes included."""
    assert isinstance(camera.outcome, Plays)
    if camera.outcome.pictures is not None:
        return tuple(nal for nal in camera.outcome.pictures()[picture] if is_slice(nal, camera.outcome.codec))
    outcome = camera.outcome
    codec: Codec = outcome.then if outcome.then is not None and picture >= PICTURES // 2 else outcome.codec
    return tuple(nal for nal in pictures(codec, camera.outcome.slices)[picture] if is_slice(nal, codec))
