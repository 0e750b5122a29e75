"""The kinds of `faulty_cameras` once more: over UDP, in H.265, and as other cameras write them."""

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Any, Final, NamedTuple

from services.contracts.models import Reason
from services.media.nal import split_annex_b
from tests.media import encoded
from tests.support.faulty_kinds import (
    CREDENTIALS,
    DIGEST,
    H265_SDP,
    SHA_256,
    WRONG,
    FaultyCamera,
    Plays,
    Section,
    guarded,
    scripted,
    shuffled,
    silent,
    status,
    with_password,
)
from tests.support.scripted_camera import (
    PICTURES,
    Asked,
    Codec,
    RtpPacket,
    Script,
    ScriptedCamera,
    answer,
    framed,
    is_keyframe,
    packetized,
    packets,
    pictures,
    renumbered,
)

CODECS: Final[tuple[Codec, ...]] = ("h264", "h265")
SDP: Final[dict[Codec, str]] = {"h264": ScriptedCamera.sdp, "h265": H265_SDP}
H264: Final = "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"


# What is inside a payload, of either codec


def is_fragment(data: bytes, codec: Codec) -> bool:
    return data[0] & 31 == 28 if codec == "h264" else data[0] >> 1 & 63 == 49


def fragment_at(codec: Codec) -> int:
    """Where the fragment's own header stands."""
    return 1 if codec == "h264" else 2


def is_set(nal: bytes, codec: Codec) -> bool:
    return nal[0] & 31 in (7, 8) if codec == "h264" else 32 <= nal[0] >> 1 & 63 <= 34


def sets_of(codec: Codec) -> tuple[bytes, ...]:
    return tuple(nal for nal in pictures(codec)[0] if is_set(nal, codec))


# Changes of packets, of either codec


def unmarked(found: list[RtpPacket], _codec: Codec) -> list[RtpPacket]:
    return [replace(packet, marker=False) for packet in found]


def always_marked(found: list[RtpPacket], _codec: Codec) -> list[RtpPacket]:
    return [replace(packet, marker=True) for packet in found]


def marked_on_sets(found: list[RtpPacket], codec: Codec) -> list[RtpPacket]:
    return [replace(packet, marker=packet.marker or is_set(packet.payload, codec)) for packet in found]


def marked_on_sets_alone(found: list[RtpPacket], codec: Codec) -> list[RtpPacket]:
    return [replace(packet, marker=is_set(packet.payload, codec)) for packet in found]


def padded(found: list[RtpPacket], _codec: Codec) -> list[RtpPacket]:
    return [replace(packet, first_byte=0xA0, behind_payload=b"\0" * 7 + b"\x08") for packet in found]


def extended(found: list[RtpPacket], _codec: Codec) -> list[RtpPacket]:
    head = b"\0\0\0\1\0\0\0\2" + b"\xbe\xde\0\2" + b"\x10\xaa\x21\xbb\xcc\0\0\0"
    return [replace(packet, first_byte=0xB2, before_payload=head, behind_payload=b"\1") for packet in found]


def standing_clock(found: list[RtpPacket], _codec: Codec) -> list[RtpPacket]:
    return [replace(packet, timestamp=5) for packet in found]


def start_codes(found: list[RtpPacket], codec: Codec) -> list[RtpPacket]:
    """In front of whole NAL units, and in first fragments with the NAL unit's header behind them."""
    changed = []
    at = fragment_at(codec)
    for packet in found:
        data = packet.payload
        if not is_fragment(data, codec):
            data = b"\0\0\0\1" + data
        elif data[at] & 0x80:
            kind = data[at] & 0x3F
            header = (
                bytes((data[0] & 0xE0 | kind & 31,))
                if codec == "h264"
                else bytes((data[0] & 0x81 | kind << 1, data[1]))
            )
            data = data[: at + 1] + b"\0\0\1" + header + data[at + 1 :]
        changed.append(replace(packet, payload=data))
    return changed


def changing_types(found: list[RtpPacket], codec: Codec) -> list[RtpPacket]:
    changed = []
    at = fragment_at(codec)
    for packet in found:
        data = packet.payload
        if is_fragment(data, codec) and not data[at] & 0x80:
            data = data[:at] + bytes((data[at] & 0xC0 | 1,)) + data[at + 1 :]
        changed.append(replace(packet, payload=data))
    return changed


def empty_payloads(found: list[RtpPacket], codec: Codec) -> list[RtpPacket]:
    changed = []
    at = fragment_at(codec)
    for packet in found:
        data = packet.payload
        if is_fragment(data, codec) and data[at] & 0x80:
            changed.append(replace(packet, payload=data[: at + 1], marker=False))
            changed.append(replace(packet, payload=data[:at] + bytes((data[at] & 0x7F,)) + data[at + 1 :]))
        else:
            changed += [replace(packet, payload=b"", marker=False), packet]
    return renumbered(changed)


def empty_fragments(found: list[RtpPacket], codec: Codec) -> list[RtpPacket]:
    """Fragments without data in the middle of a NAL unit, and as its end."""
    changed = []
    at = fragment_at(codec)
    for packet in found:
        data = packet.payload
        if not is_fragment(data, codec):
            changed.append(packet)
        elif data[at] & 0x40:
            changed.append(
                replace(packet, payload=data[:at] + bytes((data[at] & 0xBF,)) + data[at + 1 :], marker=False)
            )
            changed.append(replace(packet, payload=data[:at] + bytes((data[at] & 0x7F,))))
        else:
            changed += [packet, replace(packet, payload=data[:at] + bytes((data[at] & 0x3F,)), marker=False)]
    return renumbered(changed)


def endless_fragments(found: list[RtpPacket], codec: Codec) -> list[RtpPacket]:
    """Last fragments without their end bit."""
    changed = []
    at = fragment_at(codec)
    for packet in found:
        data = packet.payload
        if is_fragment(data, codec):
            data = data[:at] + bytes((data[at] & 0xBF,)) + data[at + 1 :]
        changed.append(replace(packet, payload=data))
    return changed


def lone_fragments(found: list[RtpPacket], codec: Codec) -> list[RtpPacket]:
    """Whole NAL units as one fragment that is first and last."""
    changed = []
    for packet in found:
        data = packet.payload
        if not is_fragment(data, codec):
            if codec == "h264":
                data = bytes((data[0] & 0xE0 | 28, 0xC0 | data[0] & 31)) + data[1:]
            else:
                data = bytes((data[0] & 0x81 | 98, data[1], 0xC0 | data[0] >> 1 & 63)) + data[2:]
        changed.append(replace(packet, payload=data))
    return changed


def aggregated(found: list[RtpPacket], codec: Codec) -> list[RtpPacket]:
    """What stands in front of a picture's fragments in one packet (STAP-A, AP)."""
    changed: list[RtpPacket] = []
    waiting: list[RtpPacket] = []

    def flush() -> None:
        if len(waiting) == 1:
            changed.append(waiting[0])
        elif waiting:
            nals = b"".join(len(one.payload).to_bytes(2, "big") + one.payload for one in waiting)
            head = b"\x78" if codec == "h264" else b"\x60\x01"
            changed.append(replace(waiting[-1], payload=head + nals))
        waiting.clear()

    for packet in found:
        if waiting and (waiting[0].picture != packet.picture or is_fragment(packet.payload, codec)):
            flush()
        if is_fragment(packet.payload, codec):
            changed.append(packet)
        else:
            waiting.append(packet)
    flush()
    return renumbered(changed)


def several_in_one(found: list[RtpPacket], codec: Codec) -> list[RtpPacket]:
    """Small NAL units behind each other with start codes between them, in one packet."""
    changed: list[RtpPacket] = []
    for packet in found:
        last = changed[-1] if changed else None
        small = not is_fragment(packet.payload, codec)
        if last and small and last.picture == packet.picture and not is_fragment(last.payload, codec):
            changed[-1] = replace(packet, payload=last.payload + b"\0\0\0\1" + packet.payload)
        else:
            changed.append(packet)
    return renumbered(changed)


def delimited(found: list[RtpPacket], codec: Codec) -> list[RtpPacket]:
    """A delimiter in front of each picture, filler and zeros behind slices."""
    changed: list[RtpPacket] = []
    picture = -1
    for packet in found:
        if packet.picture != picture:
            picture = packet.picture
            aud = b"\x09\xf0" if codec == "h264" else b"\x46\x01\x50"
            changed.append(replace(packet, payload=aud, marker=False))
        ends = not is_fragment(packet.payload, codec) or packet.payload[fragment_at(codec)] & 0x40
        changed.append(replace(packet, payload=packet.payload + b"\0\0\0") if ends else packet)
    return renumbered(changed)


def doubled(found: list[RtpPacket], _codec: Codec) -> list[RtpPacket]:
    return [packet for packet in found for _ in range(2)]


def restarted(found: list[RtpPacket], _codec: Codec) -> list[RtpPacket]:
    return [
        packet
        if packet.picture < 30
        else replace(packet, sequence=packet.sequence + 20_000, timestamp=packet.timestamp ^ 0x40000000, ssrc=77)
        for packet in found
    ]


def restarted_at_every_keyframe(found: list[RtpPacket], _codec: Codec) -> list[RtpPacket]:
    return [
        replace(
            packet,
            sequence=packet.sequence + packet.picture // 10 * 7000,
            timestamp=packet.timestamp + packet.picture // 10 * 0x10000000 & 0xFFFFFFFF,
            ssrc=100 + packet.picture // 10,
        )
        for packet in found
    ]


def older_session(found: list[RtpPacket], _codec: Codec) -> list[RtpPacket]:
    stale = [
        replace(packet, ssrc=4242, sequence=packet.sequence + 9000, timestamp=packet.timestamp + 900_000, picture=0)
        for packet in found
        if packet.picture in (3, 4, 5)
    ]
    return [*stale, *found]


def without_sets(found: list[RtpPacket], codec: Codec) -> list[RtpPacket]:
    return renumbered([packet for packet in found if not is_set(packet.payload, codec)])


def sets_at_every_second(found: list[RtpPacket], codec: Codec) -> list[RtpPacket]:
    return renumbered([p for p in found if not is_set(p.payload, codec) or p.picture // 10 % 2 == 0])


def time_backwards(found: list[RtpPacket], _codec: Codec) -> list[RtpPacket]:
    """From a keyframe on times are an hour earlier, then ten minutes later, then run backwards."""
    leaps = (0, -3600 * 90_000, 600 * 90_000)

    def at(packet: RtpPacket) -> int:
        part = packet.picture // 20
        return (packet.timestamp + leaps[part]) & 0xFFFFFFFF

    return [replace(packet, timestamp=at(packet)) for packet in found]


def wrapping(found: list[RtpPacket], _codec: Codec) -> list[RtpPacket]:
    return [replace(packet, timestamp=packet.timestamp + 0xFFFFFFFF - 100_000 & 0xFFFFFFFF) for packet in found]


def lossy(share: float, found: list[RtpPacket], _codec: Codec) -> list[RtpPacket]:
    rng = random.Random(11)
    return [packet for packet in found if packet.picture in (0, PICTURES - 1) or rng.random() >= share]


def lossy_bursts(found: list[RtpPacket], _codec: Codec) -> list[RtpPacket]:
    """Three pictures in a row, packets of all kinds among them, and a keyframe's middle."""
    keyframe = [at for at, packet in enumerate(found) if packet.picture == 30]
    gone = set(keyframe[len(keyframe) // 2 : len(keyframe) // 2 + 3])
    return [p for at, p in enumerate(found) if p.picture not in (13, 14, 15) and at not in gone]


AnyChange = Callable[[list[RtpPacket], Codec], list[RtpPacket]]


class Media(NamedTuple):
    """A fault of what is sent, for each codec and transport."""

    name: str
    what: str
    change: AnyChange
    section: Section = "Payload"
    plays: Plays = Plays()
    slices: int = 1
    limit: int = 60
    sdp: Callable[[Codec], str] = SDP.__getitem__
    already: tuple[str, ...] = ()
    """Codec and transport that `faulty_cameras` has."""


def with_sets(codec: Codec, *, trailing: bytes = b"") -> str:
    from services.media.sdp import encode_sets

    units = [unit + trailing for unit in sets_of(codec)]
    if codec == "h264":
        return SDP[codec] + f"a=fmtp:96 packetization-mode=1;sprop-parameter-sets={encode_sets(units)}\r\n"
    names = ("sprop-vps", "sprop-sps", "sprop-pps")
    text = ";".join(f"{name}={encode_sets([unit])}" for name, unit in zip(names, units, strict=True))
    return SDP[codec] + f"a=fmtp:96 {text}\r\n"


_TCP: Final = ("h264/tcp",)
_BOTH: Final = ("h264/tcp", "h264/udp")
MEDIA: Final = (
    Media("plain", "keeps to the RFCs", lambda found, _codec: found, already=_TCP),
    Media("markers-never", "never sets the marker", unmarked, already=("h264/tcp", "h265/tcp")),
    Media(
        "markers-always", "sets the marker on every packet of pictures of four slices", always_marked,
        plays=Plays(slices=4), slices=4, already=("h264/tcp", "h265/tcp", "h265/udp"),
    ),
    Media("markers-on-sets", "sets the marker on parameter sets", marked_on_sets, already=_TCP),
    Media("markers-on-sets-alone", "sets the marker on parameter sets and nowhere else", marked_on_sets_alone),
    Media("padding", "pads every packet", padded, already=_TCP),
    Media("extensions", "sends sources, header extensions and padding together", extended),
    Media("clock-stands", "gives every packet the same timestamp", standing_clock, already=_TCP),
    Media("start-codes", "puts start codes in payloads and first fragments", start_codes, already=_TCP),
    Media("several-in-one", "puts NAL units with start codes between them into one packet", several_in_one),
    Media("fragment-types", "changes the type from fragment to fragment", changing_types, already=_TCP),
    Media("empty-payloads", "sends empty payloads, and first fragments without data", empty_payloads, already=_TCP),
    Media("empty-fragments", "sends fragments without data within and behind NAL units", empty_fragments),
    Media("endless-fragments", "never sets the end bit of fragments", endless_fragments),
    Media("lone-fragments", "sends small NAL units as one fragment that is first and last", lone_fragments),
    Media("aggregates", "puts small NAL units into aggregation packets", aggregated),
    Media("delimiters", "puts delimiters in front of pictures and zeros behind slices", delimited),
    Media("large-packets", "sends packets of 10 kB", lambda found, _codec: found, limit=10_000, already=_TCP),
    Media("tiny-packets", "sends packets of 7 bytes", lambda found, _codec: found, limit=7),
    Media(
        "sets-in-the-description", "has parameter sets in the SDP alone", without_sets, sdp=with_sets, already=_TCP
    ),
    Media(
        "sets-with-trailing-bytes", "has parameter sets with trailing zeros in the SDP alone", without_sets,
        sdp=partial(with_sets, trailing=b"\0\0\0"), already=_TCP,
    ),
    Media(
        "sets-at-every-second", "sends parameter sets at every second keyframe", sets_at_every_second, already=_TCP
    ),
    Media("time-leaps", "sends times that leap an hour back and ten minutes ahead", time_backwards),
    Media("time-wraps", "sends times that pass the end of their 32 bits", wrapping),
    Media("duplicates", "sends every packet twice", doubled, "Loss", already=_BOTH),
    Media(
        "reordered", "sends packets in another order", lambda found, _codec: shuffled(found, apart=4), "Loss",
        already=_BOTH,
    ),
    Media("restarts", "goes on with another SSRC, other numbers and times", restarted, "Loss", already=_TCP),
    Media("restarts-often", "has another SSRC at each keyframe", restarted_at_every_keyframe, "Loss"),
    Media("older-session", "sends pictures of an older session after PLAY", older_session, "Loss", already=_TCP),
    Media(
        "loss-5", "loses 5 % of its packets", partial(lossy, 0.05), "Loss", Plays(damage=True, least_share=0.0),
        already=("h264/udp",),
    ),
    Media(
        "loss-in-bursts", "loses whole pictures and a keyframe's middle", lossy_bursts, "Loss",
        Plays(damage=True, least_share=0.6),
    ),
)  # fmt: skip


def _made(media: Media, codec: Codec) -> ScriptedCamera:
    sends = media.change(packets(codec, slices=media.slices, limit=media.limit), codec)
    return ScriptedCamera(sends=sends, sdp=media.sdp(codec))


def _matrix() -> tuple[FaultyCamera, ...]:
    return tuple(
        FaultyCamera(
            f"{media.name}-{codec}-{transport}",
            media.section,
            f"{media.what} ({codec.upper().replace('H26', 'H.26')}, {transport.upper()})",
            partial(_made, media, codec),
            replace(media.plays, codec=codec),
            {"transport": transport},
        )
        for media in MEDIA
        for codec in CODECS
        for transport in ("tcp", "udp")
        if f"{codec}/{transport}" not in media.already
    )


# Streams of their own


def _annex_b(stream: encoded.Stream) -> tuple[tuple[bytes, ...], ...]:
    return tuple(tuple(split_annex_b(packet.data)) for packet in stream.packets)


@cache
def _with_b_pictures(codec: Codec) -> encoded.Stream:
    if codec == "h264":
        return encoded.video(
            "libx264", frames=PICTURES, gop=10, b_frames=2, size=(320, 192),
            options=(("x264-params", "repeat-headers=1:slices=3:b-adapt=0:bframes=2:open-gop=0"), ("preset", "fast")),
        )  # fmt: skip
    params = "repeat-headers=1:log-level=none:keyint=10:min-keyint=10:scenecut=0:bframes=2:b-adapt=0:open-gop=0"
    return encoded.video(
        "libx265", frames=PICTURES, gop=10, b_frames=2, size=(320, 192), options=(("x265-params", params),)
    )


def b_pictures(codec: Codec, change: AnyChange) -> ScriptedCamera:
    stream = _with_b_pictures(codec)
    made = packetized(_annex_b(stream), codec, times=[packet.pts for packet in stream.packets])
    return ScriptedCamera(sends=change(made, codec), sdp=SDP[codec])


@cache
def _two_sizes(codec: Codec) -> tuple[tuple[bytes, ...], ...]:
    """The second half in another size, without a word about it but its parameter sets."""
    name = "libx264" if codec == "h264" else "libx265"
    option = ("x264-params", "repeat-headers=1") if codec == "h264" else (
        "x265-params", "repeat-headers=1:log-level=none:keyint=10:min-keyint=10:scenecut=0:bframes=0"
    )  # fmt: skip
    small = encoded.video(name, frames=PICTURES // 2, gop=10, size=(320, 192), options=(option,))
    large = encoded.video(name, frames=PICTURES // 2, gop=10, size=(480, 272), options=(option,))
    return _annex_b(small) + _annex_b(large)


def two_sizes(codec: Codec) -> ScriptedCamera:
    return ScriptedCamera(sends=packetized(_two_sizes(codec), codec), sdp=SDP[codec])


@cache
def _two_ids(codec: Codec) -> tuple[tuple[bytes, ...], ...]:
    """A second SPS and PPS of other ids in front of each keyframe, which no picture uses."""
    other: Sequence[bytes]
    if codec == "h264":
        params = "repeat-headers=1:sps-id=3"
        stream = encoded.video("libx264", frames=1, gop=1, size=(640, 360), options=(("x264-params", params),))
        other = [nal for nal in _annex_b(stream)[0] if is_set(nal, codec)]
    else:
        params = "repeat-headers=1:log-level=none:bframes=0"
        stream = encoded.video("libx265", frames=1, gop=1, size=(640, 360), options=(("x265-params", params),))
        # sps_video_parameter_set_id, sps_max_sub_layers… stay; sps_seq_parameter_set_id is changed by `_other_id`.
        other = [_other_sps_id(nal) for nal in _annex_b(stream)[0] if nal[0] >> 1 & 63 == 33]
    return tuple((*other, *nals) if any(is_keyframe(nal, codec) for nal in nals) else nals for nals in pictures(codec))


def _other_sps_id(sps: bytes) -> bytes:
    """With ``sps_seq_parameter_set_id`` 0 (a single 1 bit) made 2 (``011``): behind 2 + 1 + 12 bytes of one layer."""
    plain = sps.replace(b"\0\0\3", b"\0\0")
    bits = "".join(f"{byte:08b}" for byte in plain)
    at = (2 + 1 + 12) * 8
    assert bits[at] == "1"
    changed = bits[:at] + "011" + bits[at + 1 :].rstrip("0")
    changed += "0" * (-len(changed) % 8)
    raw = bytes(int(changed[place : place + 8], 2) for place in range(0, len(changed), 8))
    return re.sub(rb"\x00\x00([\x00-\x03])", lambda found: b"\0\0\3" + found[1], raw)


def two_ids(codec: Codec) -> ScriptedCamera:
    return ScriptedCamera(sends=packetized(_two_ids(codec), codec), sdp=SDP[codec])


STREAMS: Final = tuple(
    made
    for codec in CODECS
    for made in (
        FaultyCamera(
            f"b-pictures-{codec}", "Payload", f"reorders its pictures ({codec})",
            partial(b_pictures, codec, lambda found, _codec: found),
            Plays(codec=codec, pictures=partial(lambda codec: _annex_b(_with_b_pictures(codec)), codec)),
        ),
        FaultyCamera(
            f"b-pictures-unmarked-{codec}", "Payload", f"reorders its pictures and never sets the marker ({codec})",
            partial(b_pictures, codec, unmarked),
            Plays(codec=codec, pictures=partial(lambda codec: _annex_b(_with_b_pictures(codec)), codec)),
        ),
        FaultyCamera(
            f"two-sizes-{codec}", "Payload", f"changes its resolution without a word ({codec})",
            partial(two_sizes, codec), Plays(codec=codec, pictures=partial(_two_sizes, codec)),
        ),
        FaultyCamera(
            f"two-sps-{codec}", "Payload", f"sends a second SPS that no picture uses ({codec})",
            partial(two_ids, codec), Plays(codec=codec, pictures=partial(_two_ids, codec)),
        ),
    )
)  # fmt: skip


# Dialogue


def answering(method: str, text: str) -> Callable[[], ScriptedCamera]:
    """A camera whose answer to ``method`` is ``text``; {cseq} and {sdp} are filled in."""

    def reply(camera: ScriptedCamera, asked: Asked) -> bytes:
        sdp = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=x\r\nt=0 0\r\n" + camera.sdp
        filled = text.format(cseq=asked.header("cseq"), sdp=sdp, length=len(sdp), transport=asked.header("transport"))
        return filled.encode("utf-8", "surrogateescape")

    return lambda: ScriptedCamera(script={method: reply})


def rewritten(change: Callable[[bytes], bytes], *methods: str) -> Callable[[], ScriptedCamera]:
    """A camera whose good answers are changed."""

    def reply(camera: ScriptedCamera, asked: Asked) -> bytes:
        return change(camera.good(asked))

    return lambda: ScriptedCamera(script=dict.fromkeys(methods or ("OPTIONS", "DESCRIBE", "SETUP", "PLAY"), reply))


def line_feeds(reply: bytes) -> bytes:
    head, _, body = reply.partition(b"\r\n\r\n")
    return head.replace(b"\r\n", b"\n") + b"\n\n" + body


def transport(text: str, **more: Any) -> Callable[[], ScriptedCamera]:
    return lambda: ScriptedCamera(script={"SETUP": lambda camera, asked: camera.set_up(asked, text)}, **more)


def described(sdp: str, **more: Any) -> Callable[[], ScriptedCamera]:
    return lambda: ScriptedCamera(sdp=sdp, **more)


def whole_sdp(sdp: str) -> Callable[[], ScriptedCamera]:
    """A camera whose whole description is ``sdp``."""

    def describe(_camera: ScriptedCamera, asked: Asked) -> bytes:
        return answer(asked, "200 OK", "Content-Type: application/sdp", body=sdp)

    return lambda: ScriptedCamera(script={"DESCRIBE": describe})


def takes(path: str, sdp: str) -> Callable[[], ScriptedCamera]:
    """A camera that takes a SETUP of ``path`` (a pattern) alone."""

    def set_up(camera: ScriptedCamera, asked: Asked) -> bytes:
        fits = re.fullmatch(rf"rtsp://[^/]+{path}", asked.url)
        return camera.set_up(asked) if fits else answer(asked, "404 Not Found")

    return lambda: ScriptedCamera(sdp=sdp, script={"SETUP": set_up})


def session(setup: str, play: str, *, wants: str) -> Callable[[], ScriptedCamera]:
    """A camera with these Session headers, that refuses a keep-alive of another id than ``wants``."""

    def set_up(camera: ScriptedCamera, asked: Asked) -> bytes:
        return camera.set_up(asked).replace(b"Session: 77;timeout=60", setup.encode())

    def started(_camera: ScriptedCamera, asked: Asked) -> bytes:
        return answer(asked, "200 OK", *([play] if play else []))

    def kept(_camera: ScriptedCamera, asked: Asked) -> bytes | None:
        return answer(asked, "200 OK" if asked.header("session") == wants else "454 Session Not Found")

    def make() -> ScriptedCamera:
        return ScriptedCamera(
            script={"SETUP": set_up, "PLAY": started, "GET_PARAMETER": kept, "OPTIONS": options},
            needs_keep_alive_seconds=4.0, picture_seconds=0.03,
        )  # fmt: skip

    def options(camera: ScriptedCamera, asked: Asked) -> bytes:
        return camera.good(asked)

    return make


def requests_of_the_server(_camera: ScriptedCamera, number: int, data: bytes) -> bytes:
    body = b"v=0\r\ns=changed\r\n"
    requests = {
        5: b"GET_PARAMETER rtsp://x/ RTSP/1.0\r\nCSeq: 1\r\nSession: 77\r\n\r\n",
        20: b"SET_PARAMETER rtsp://x/ RTSP/1.0\r\nCSeq: 2\r\nContent-Length: 8\r\n\r\nhello: 1",
        40: b"ANNOUNCE rtsp://x/ RTSP/1.0\r\nCSeq: 3\r\nContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s"
        % (len(body), body),
        60: b"PLAY_NOTIFY rtsp://x/ RTSP/1.0\r\nCSeq: 4\r\n\r\n",
        80: b"OPTIONS rtsp://x/ RTSP/2.0\nCSeq: 5\n\n",
    }
    return requests.get(number, b"") + framed(data)


def keep_alive_by(method: str) -> Callable[[], ScriptedCamera]:
    """A camera that knows one way of being kept alive."""

    def make() -> ScriptedCamera:
        camera = ScriptedCamera(needs_keep_alive_seconds=3.0, picture_seconds=0.04)
        refused: Script = lambda _camera, asked: answer(asked, "405 Method Not Allowed")  # noqa: E731 (one of four)
        methods = {"GET_PARAMETER", "SET_PARAMETER", "OPTIONS"} - {method}

        def options(camera: ScriptedCamera, asked: Asked) -> bytes:
            return camera.good(asked) if asked.number == 0 else refused(camera, asked) or b""

        camera.script = {name: (options if name == "OPTIONS" else refused) for name in methods}
        camera.script["SETUP"] = lambda one, asked: one.set_up(asked).replace(b"timeout=60", b"timeout=2")
        return camera

    return make


def stale_nonce() -> ScriptedCamera:
    """The nonce is too old from the first keep-alive on."""
    issued = [0]

    def script(camera: ScriptedCamera, asked: Asked) -> bytes:
        if asked.header("authorization") and not (asked.method == "GET_PARAMETER" and issued[0] == 1):
            return camera.good(asked)
        issued[0] += 1
        stale = ", stale=true" if issued[0] > 1 else ""
        return answer(asked, "401 Unauthorized", f'WWW-Authenticate: Digest realm="cam", nonce="n{issued[0]}"{stale}')

    def short(camera: ScriptedCamera, asked: Asked) -> bytes:
        return script(camera, asked).replace(b"timeout=60", b"timeout=2")

    return ScriptedCamera(
        script={"DESCRIBE": script, "SETUP": short, "PLAY": script, "GET_PARAMETER": script},
        needs_keep_alive_seconds=3.0, picture_seconds=0.03,
    )  # fmt: skip


def challenged_and_cut() -> ScriptedCamera:
    guard = guarded(lambda n: [DIGEST.format(1)])
    return ScriptedCamera(
        script=dict.fromkeys(("OPTIONS", "DESCRIBE", "SETUP", "PLAY"), guard),
        hangs_up=lambda _asked, reply: b" 401 " in reply[:20],
    )


def challenged(*lines: str, algorithm: str = "md5") -> Callable[[], ScriptedCamera]:
    return with_password(lambda n: [line.format(n) for line in lines], algorithm)


def one_method(method: str, *lines: str) -> Callable[[], ScriptedCamera]:
    """A camera that asks for a password at one method alone."""

    def make() -> ScriptedCamera:
        return ScriptedCamera(script={method: guarded(lambda n: [line.format(n) for line in lines])})

    return make


def rtcp_among_rtp(_camera: ScriptedCamera, number: int, data: bytes) -> bytes:
    report = b"\x80\xc8\0\6\x0b\xad\xca\xfe" + bytes(20)
    return framed(report) + framed(data) if number % 5 == 0 else framed(data)


def early_bye(_camera: ScriptedCamera, number: int, data: bytes) -> bytes:
    bye = b"\x81\xcb\0\1\x0b\xad\xca\xfe"
    return framed(bye, 1) + framed(data) if number % 20 == 0 else framed(data)


def dollars(_camera: ScriptedCamera, number: int, data: bytes) -> bytes:
    """Garbage that looks like packets: right channels, lengths that fit, even RTP's version."""
    rng = random.Random(number)
    kind = number // 11 % 4
    garbage = (
        b"$\0\0\x20" + rng.randbytes(30),
        b"$\0\0\x40\x80\x60" + rng.randbytes(20),
        b"$" * 40,
        b"$\1\0\x08\x80\xc8\0\6",
    )[kind]
    return (garbage if number % 11 == 5 else b"") + framed(data)


def cut_packets(_camera: ScriptedCamera, number: int, data: bytes) -> bytes:
    """Every thirtieth packet lacks its last bytes, though its length says that they are there."""
    wire = framed(data)
    return wire[:-9] if number % 30 == 7 else wire


def last_ones_false(codec: Codec, *, cut: bool) -> ScriptedCamera:
    """The last packet of every seventh picture is cut, or said to be longer, by nine bytes of the next one's."""
    sent = packets(codec)
    last = {packet.picture: number for number, packet in enumerate(sent)}

    def frame(_camera: ScriptedCamera, number: int, data: bytes) -> bytes:
        picture = sent[number].picture
        if picture % 7 != 3 or last[picture] != number:
            return framed(data)
        return framed(data)[:-9] if cut else b"$\0" + (len(data) + 9).to_bytes(2, "big") + data

    return ScriptedCamera(sends=sent, frame=frame, sdp=SDP[codec])


def answers_between(_camera: ScriptedCamera, number: int, data: bytes) -> bytes:
    late = b"RTSP/1.0 200 OK\r\nCSeq: 99\r\nSession: 77\r\n\r\n" if number % 15 == 4 else b""
    return b"\r\n" * (number % 3) + late + framed(data)


def wild_datagrams(number: int) -> list[tuple[int, bytes]]:
    rng = random.Random(number)
    wild = (
        b"",
        b"\x80",
        b"\x80\xc8\0\6\0\0",
        b"\x80\xc8\xff\xff" + bytes(24),
        b"\x81\xcb\0\1\0\0\0\5",
        rng.randbytes(50),
    )
    return [(number % 2, wild[number % len(wild)])] if number % 4 == 0 else []


def unanswered_play() -> ScriptedCamera:
    """Sends, and never answers PLAY."""

    class Mute(ScriptedCamera):
        def good(self, asked: Asked) -> bytes:
            return super().good(asked)

    def play(_camera: ScriptedCamera, asked: Asked) -> bytes:
        return b"RTSP/1.0 200 OK\r\nCSeq: 999\r\n\r\n" if asked.number else b"RTSP/1.0 200"

    return Mute(script={"PLAY": play})


def elsewhere(location: str, *, code: str = "302 Moved") -> Callable[[], ScriptedCamera]:
    def describe(camera: ScriptedCamera, asked: Asked) -> bytes:
        if asked.number:
            return camera.good(asked)
        return answer(asked, code, f"Location: {location.format(port=camera.port)}")

    return scripted(DESCRIBE=describe)


def _dialogue(name: str, what: str, make: Callable[[], ScriptedCamera], **more: Any) -> FaultyCamera:
    return FaultyCamera(name, "Dialogue", what, make, more.pop("outcome", Plays()), **more)


def _framing(name: str, what: str, frame: Any, plays: Plays = Plays(), **more: Any) -> FaultyCamera:  # noqa: B008 (frozen)
    return FaultyCamera(name, "Framing", what, lambda: ScriptedCamera(frame=frame, **more), plays)


def _refused(name: str, what: str, make: Callable[[], ScriptedCamera], reason: Reason, **source: Any) -> FaultyCamera:
    return FaultyCamera(name, "Refused", what, make, reason, source)


DIALOGUES: Final = (
    _dialogue("answers-with-line-feeds", "ends its lines with line feeds alone", rewritten(line_feeds)),
    _dialogue(
        "answers-in-bytes", "sends its answers byte by byte", lambda: ScriptedCamera(piece_bytes=1, picture_seconds=0.0)
    ),
    _dialogue(
        "answers-after-blanks", "sends empty lines in front of its answers", rewritten(lambda r: b"\r\n\r\n" + r)
    ),
    _dialogue("answers-100", "says 100 Continue first", rewritten(lambda r: b"RTSP/1.0 100 Continue\r\n\r\n" + r)),
    _dialogue("answers-2.0", "says that it speaks RTSP/2.0", rewritten(lambda r: r.replace(b"RTSP/1.0", b"RTSP/2.0"))),
    _dialogue(
        "answers-without-words", "leaves out the reason phrase", rewritten(lambda r: r.replace(b"200 OK", b"200"))
    ),
    _dialogue(
        "answers-in-capitals",
        "writes header names in capitals",
        rewritten(lambda r: re.sub(rb"(?m)^[\w-]+:", lambda m: m[0].upper(), r)),
    ),
    _dialogue(
        "answers-in-small",
        "writes header names in small letters",
        rewritten(lambda r: re.sub(rb"(?m)^[\w-]+:", lambda m: m[0].lower(), r)),
    ),
    _dialogue("answers-tight", "leaves no blank behind header names", rewritten(lambda r: r.replace(b": ", b":"))),
    _dialogue("answers-uncounted", "leaves CSeq out", rewritten(lambda r: re.sub(rb"CSeq: \d+\r\n", b"", r))),
    _dialogue("answers-miscounted", "always answers CSeq 0", rewritten(lambda r: re.sub(rb"CSeq: \d+", b"CSeq: 0", r))),
    _dialogue("answers-folded", "folds its headers", rewritten(lambda r: r.replace(b": ", b":\r\n ", 1))),
    _dialogue(
        "answers-binary",
        "has bytes in headers that are no text",
        rewritten(lambda r: r.replace(b"\r\n", b"\r\nServer: \xff\xfe\xe9\r\n", 1)),
    ),
    _dialogue(
        "body-without-length",
        "gives no length of its description",
        answering("DESCRIBE", "RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\nContent-Type: application/sdp\r\n\r\n{sdp}"),
    ),
    _dialogue(
        "body-longer-than-said",
        "says that its description is 20 bytes shorter",
        answering(
            "DESCRIBE",
            "RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\nContent-Type: application/sdp\r\nContent-Length: 80\r\n\r\n{sdp}",
        ),
    ),
    _dialogue(
        "body-shorter-than-said",
        "says that its description is longer",
        answering(
            "DESCRIBE",
            "RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\nContent-Type: application/sdp\r\n"
            "Content-Length: 1{length}\r\n\r\n{sdp}",
        ),
    ),
    _dialogue(
        "base-location",
        "sends Content-Location instead of Content-Base",
        rewritten(lambda r: r.replace(b"Content-Base", b"Content-Location")),
    ),
    _dialogue("base-senseless", "sends a Content-Base that is no address", lambda: ScriptedCamera(base="*")),
    _dialogue(
        "base-with-user",
        "writes a user into Content-Base",
        lambda: ScriptedCamera(base="rtsp://admin:secret@127.0.0.1/live/"),
    ),
    _dialogue("base-of-a-track", "names a file in Content-Base", lambda: ScriptedCamera(base="{url}")),
    _dialogue(
        "base-other-port", "names another port in Content-Base", lambda: ScriptedCamera(base="rtsp://127.0.0.1:1/live/")
    ),
    _dialogue(
        "control-session-absolute",
        "has an absolute control attribute of the session",
        described("a=control:rtsp://192.0.2.7/live\r\n" + ScriptedCamera.sdp),
    ),
    _dialogue(
        "control-session-star",
        "has * as control attribute of the session",
        described("a=control:*\r\n" + ScriptedCamera.sdp),
    ),
    _dialogue(
        "control-deep", "has a path as control attribute", takes("/live/a/b/track1", H264 + "a=control:a/b/track1\r\n")
    ),
    _dialogue(
        "control-equals",
        "has trackID=1 as control attribute",
        takes("/live/trackID=1", H264 + "a=control:trackID=1\r\n"),
    ),
    _dialogue(
        "control-spaced",
        "has blanks around the control attribute",
        takes("/live/track1", H264 + "a=control: track1 \r\n"),
    ),
    _dialogue("control-capital", "writes Control", takes("/live/track1", H264 + "a=Control:track1\r\n")),
    _dialogue(
        "control-user",
        "writes a user into an absolute control attribute",
        takes("/live/track1", H264 + "a=control:rtsp://u:p@127.0.0.1/live/track1\r\n"),
    ),
    _dialogue(
        "control-rtspu",
        "writes another scheme into the control attribute",
        takes("/live/track1", H264 + "a=control:rtspu://127.0.0.1/live/track1\r\n"),
    ),
    _dialogue(
        "transport-none",
        "answers SETUP without a Transport header",
        rewritten(lambda r: re.sub(rb"Transport: .*?\r\n", b"", r), "SETUP"),
    ),
    _dialogue("transport-small", "answers in small letters", transport("rtp/avp/tcp;unicast;interleaved=0-1")),
    _dialogue("transport-one-channel", "names one channel", transport("RTP/AVP/TCP;unicast;interleaved=0")),
    _dialogue("transport-no-channels", "names no channels", transport("RTP/AVP/TCP;unicast")),
    _dialogue(
        "transport-bare-interleaved",
        "answers RTP/AVP with channels",
        transport("RTP/AVP;interleaved=0-1;ssrc=0BADCAFE"),
    ),
    _dialogue(
        "transport-wrong-ssrc",
        "announces another SSRC than it sends",
        transport("RTP/AVP/TCP;unicast;interleaved=0-1;ssrc=12345678"),
    ),
    _dialogue(
        "transport-senseless-ssrc",
        "announces an SSRC that is none",
        transport("RTP/AVP/TCP;unicast;interleaved=0-1;ssrc= (null)"),
    ),
    _dialogue(
        "transport-spaced",
        "puts blanks between the parts",
        transport('RTP/AVP/TCP ; unicast ; interleaved = 0-1 ; mode = "PLAY"'),
    ),
    _dialogue(
        "transport-high-channels",
        "gives channels 200 and 201",
        transport("RTP/AVP/TCP;unicast;interleaved=200-201", channel=200),
    ),
    _dialogue(
        "transport-several",
        "answers with several alternatives",
        transport("RTP/AVP/TCP;unicast;interleaved=0-1,RTP/AVP;unicast"),
    ),
    _dialogue(
        "session-with-parameters",
        "changes the session at PLAY, with a time-out",
        session("Session: 77;timeout=60", "Session: 88;timeout=3", wants="88"),
    ),
    _dialogue(
        "session-spaced",
        "writes blanks into the Session header",
        session("Session:  77 ; timeout = 3", "Session: 77 ; timeout = 3", wants="77"),
    ),
    _dialogue(
        "session-at-play-alone",
        "names its session at PLAY",
        session("X-Nothing: 1", "Session: 99;timeout=3", wants="99"),
    ),
    _dialogue("session-none", "names no session", session("X-Nothing: 1", "", wants="")),
    _dialogue(
        "session-zero-time-out", "gives a time-out of 0", session("Session: 77;timeout=0", "Session: 77", wants="77")
    ),
    _dialogue(
        "session-odd-id",
        "has an odd session id",
        session("Session: $Ab-_.+9;timeout=3", "Session: $Ab-_.+9", wants="$Ab-_.+9"),
    ),
    _dialogue("kept-alive-by-options", "knows OPTIONS alone as keep-alive", keep_alive_by("OPTIONS")),
    _dialogue("kept-alive-by-get", "knows GET_PARAMETER alone as keep-alive", keep_alive_by("GET_PARAMETER")),
    _dialogue("kept-alive-by-set", "knows SET_PARAMETER alone as keep-alive", keep_alive_by("SET_PARAMETER")),
    _dialogue("time-out-5", "ends sessions after 5 s", session("Session: 77;timeout=5", "", wants="77")),
    _dialogue("nonce-stale", "calls the nonce stale at a keep-alive", stale_nonce, source=CREDENTIALS),
    _dialogue(
        "realm-with-commas",
        "has commas in its realm, and offers Basic and Digest in one line",
        challenged('Basic realm="a, b=c", Digest realm="cam", nonce="n{}", opaque="x,y"'),
        source=CREDENTIALS,
    ),
    _dialogue(
        "digest-first-in-line",
        "offers Digest, then Basic, in one line",
        challenged('Digest realm="cam", nonce="n{}", Basic realm="a, b"'),
        source=CREDENTIALS,
    ),
    _dialogue(
        "challenge-in-small",
        "writes its challenge in small letters",
        challenged('digest REALM="cam", NONCE="n{}"'),
        source=CREDENTIALS,
    ),
    _dialogue(
        "challenge-unknown-first",
        "offers NTLM and Negotiate as well",
        challenged("Negotiate", "NTLM", DIGEST),
        source=CREDENTIALS,
    ),
    _dialogue(
        "challenge-too-strong-first",
        "offers SHA-512-256, then MD5",
        challenged(DIGEST + ", algorithm=SHA-512-256", DIGEST),
        source=CREDENTIALS,
    ),
    _dialogue(
        "challenge-quoted-algorithm",
        "quotes the algorithm",
        challenged('Digest realm="cam", nonce="n{}", algorithm="MD5"'),
        source=CREDENTIALS,
    ),
    _dialogue(
        "sha-256-and-basic",
        "offers SHA-256 and Basic in one line",
        challenged('Basic realm="x", ' + SHA_256, algorithm="sha256"),
        source=CREDENTIALS,
    ),
    _dialogue(
        "challenged-at-setup", "asks for a password at SETUP alone", one_method("SETUP", DIGEST), source=CREDENTIALS
    ),
    _dialogue(
        "challenged-at-play", "asks for a password at PLAY alone", one_method("PLAY", DIGEST), source=CREDENTIALS
    ),
    _dialogue(
        "challenged-and-cut",
        "closes the connection behind each 401",
        challenged_and_cut,
        source=CREDENTIALS,
        connections=2,
    ),
    _dialogue(
        "describe-in-line-feeds",
        "describes itself with line feeds alone",
        whole_sdp("v=0\no=- 1 1 IN IP4 0.0.0.0\ns=x\nt=0 0\n" + ScriptedCamera.sdp.replace("\r", "")),
    ),
    _dialogue(
        "describe-in-returns",
        "describes itself with carriage returns alone",
        whole_sdp("v=0\rs=x\rt=0 0\r" + ScriptedCamera.sdp.replace("\r\n", "\r")),
    ),
    _dialogue("describe-bare", "describes the video and nothing else", whole_sdp(ScriptedCamera.sdp)),
    _dialogue(
        "describe-metadata-first",
        "describes metadata first",
        described(
            "m=application 0 RTP/AVP 107\r\na=rtpmap:107 vnd.onvif.metadata/90000\r\na=control:meta\r\n"
            + ScriptedCamera.sdp
        ),
    ),
    _dialogue(
        "describe-other-video-first",
        "describes a video that nobody can read first",
        described("m=video 0 RTP/AVP 99\r\na=rtpmap:99 VP8/90000\r\na=control:vp8\r\n" + ScriptedCamera.sdp),
    ),
    _dialogue(
        "describe-several-types",
        "describes several payload types",
        described(H264.replace("96\r\n", "99 96\r\na=rtpmap:99 VP8/90000\r\n", 1) + "a=control:track1\r\n"),
    ),
    _dialogue(
        "describe-in-small",
        "writes h264",
        described("m=video 0 RTP/AVP 96\r\na=rtpmap:96 h264/90000\r\na=control:track1\r\n"),
    ),
    _dialogue(
        "describe-rateless",
        "leaves the clock rate out",
        described("m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264\r\na=control:track1\r\n"),
    ),
    _dialogue(
        "describe-tcp",
        "writes RTP/AVP/TCP and a port",
        described("m=video 5004 RTP/AVP/TCP 96\r\na=rtpmap:96 H264/90000\r\na=control:track1\r\n"),
    ),
    _dialogue(
        "describe-latin",
        "names itself in Latin-1",
        answering(
            "DESCRIBE",
            "RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\nContent-Length: {length}\r\n\r\n{sdp}".replace("s=x", "s=\udce9"),
        ),
    ),
    _dialogue("redirect-absolute", "redirects to a whole address", elsewhere("rtsp://127.0.0.1:{port}/other/live")),
    _dialogue("redirect-301", "has moved permanently", elsewhere("/other", code="301 Moved Permanently")),
    _dialogue(
        "redirect-with-user", "redirects to an address with a user", elsewhere("rtsp://admin:x@127.0.0.1:{port}/live2")
    ),
    _dialogue("public-none", "names no methods", scripted(OPTIONS=status("200 OK"))),
    _dialogue(
        "range-echo",
        "answers PLAY with an odd Range and Scale",
        scripted(
            PLAY=status(
                "200 OK",
                "Session: 77",
                "Range: clock=19700101T000000Z-",
                "Scale: 1.000000",
                "RTP-Info: url=rtsp://x/;seq=999999;rtptime=-5",
            )
        ),
    ),
    _dialogue(
        "early-packets-udp",
        "sends five pictures before it answers PLAY, over UDP",
        lambda: ScriptedCamera(before_play_answer=sum(packet.picture < 5 for packet in packets())),
        source={"transport": "udp"},
    ),
    _dialogue(
        "early-packets-h265",
        "sends five pictures of H.265 before it answers PLAY",
        lambda: ScriptedCamera(
            sends=packets("h265"),
            sdp=H265_SDP,
            before_play_answer=sum(packet.picture < 5 for packet in packets("h265")),
        ),
        outcome=Plays(codec="h265"),
    ),
    _dialogue(
        "udp-from-elsewhere",
        "sends datagrams from another address than it answers",
        lambda: ScriptedCamera(sends_from="127.0.0.2"),
        source={"transport": "udp"},
    ),
    _dialogue(
        "udp-without-ports",
        "names no ports of its own",
        lambda: ScriptedCamera(
            script={"SETUP": lambda camera, asked: camera.set_up(asked).replace(b";server_port=0-0", b"")}
        ),
        source={"transport": "udp"},
    ),
    _dialogue(
        "udp-other-protocol",
        "answers RTP/AVP/UDP",
        lambda: ScriptedCamera(
            script={"SETUP": lambda camera, asked: camera.set_up(asked).replace(b"RTP/AVP;", b"RTP/AVP/UDP;")}
        ),
        source={"transport": "udp"},
    ),
    _dialogue(
        "udp-instead-of-tcp",
        "answers a SETUP of TCP with ports",
        scripted(
            SETUP=lambda camera, asked: camera.set_up(
                asked,
                None
                if "TCP" not in asked.header("transport")
                else "RTP/AVP;unicast;client_port=0-1;server_port=5000-5001",
            )
        ),
    ),
)

FRAMINGS: Final = (
    _framing(
        "requests-of-the-server", "sends GET_PARAMETER, SET_PARAMETER, ANNOUNCE and others", requests_of_the_server
    ),
    _framing("rtcp-among-rtp", "sends reports on the channel of RTP", rtcp_among_rtp),
    _framing("early-bye", "says goodbye and goes on", early_bye),
    _framing("garbage-like-packets", "sends garbage that looks like packets", dollars, Plays(least_share=0.8)),
    _framing("cut-packets", "cuts packets and not their lengths", cut_packets, Plays(damage=True, least_share=0.5)),
    _framing("zeros-between", "sends two zeros behind every packet", lambda _c, _n, data: framed(data) + b"\0\0"),
    *(
        FaultyCamera(
            f"last-packets-{'cut' if cut else 'longer'}-{codec}",
            "Framing",
            f"{'cuts the last packets of pictures' if cut else 'says that last packets are longer'} ({codec})",
            partial(last_ones_false, codec, cut=cut),
            Plays(damage=True, least_share=0.7, codec=codec),
        )
        for codec in CODECS
        for cut in (True, False)
    ),
    _framing("answers-between", "sends answers that nobody asked for, and empty lines", answers_between),
    FaultyCamera(
        "packets-in-bytes",
        "Framing",
        "sends everything five bytes at a time",
        lambda: ScriptedCamera(piece_bytes=5, picture_seconds=0.0, sends=packets(limit=600)),
        Plays(),
    ),
    FaultyCamera(
        "wild-rtcp-udp",
        "Framing",
        "sends empty, cut and senseless datagrams to both ports",
        lambda: ScriptedCamera(datagrams=wild_datagrams),
        Plays(),
        {"transport": "udp"},
    ),
)

REFUSED: Final = (
    _refused(
        "line-endless",
        "sends a line that never ends",
        lambda: ScriptedCamera(greeting=b"RTSP/1.0 200 OK\r\nX: " + b"a" * 2_000_000),
        Reason.BAD_ANSWER,
    ),
    _refused(
        "greeting-garbage",
        "sends garbage",
        lambda: ScriptedCamera(greeting=bytes(range(256)) * 4000),
        Reason.BAD_ANSWER,
    ),
    _refused("greeting-ssh", "speaks SSH", lambda: ScriptedCamera(greeting=b"SSH-2.0-dropbear\r\n"), Reason.BAD_ANSWER),
    _refused(
        "answer-html",
        "answers with a web page",
        lambda: ScriptedCamera(greeting=b"<html><body>No</body></html>\r\n\r\n"),
        Reason.BAD_ANSWER,
    ),
    _refused(
        "describe-html",
        "describes itself with a web page",
        scripted(DESCRIBE=lambda _c, a: answer(a, "200 OK", "Content-Type: text/html", body="<html>Sign in</html>")),
        Reason.BAD_ANSWER,
    ),
    _refused(
        "password-wrong-basic",
        "does not accept the password (Basic)",
        with_password(lambda _: ['Basic realm="cam"'], "basic"),
        Reason.UNAUTHORIZED,
        **WRONG,
    ),
    _refused(
        "password-forbidden",
        "answers 403 to the password",
        scripted(
            DESCRIBE=lambda _c, a: (
                answer(a, "403 Forbidden")
                if a.header("authorization")
                else answer(a, "401 Unauthorized", "WWW-Authenticate: " + DIGEST.format(1))
            )
        ),
        Reason.UNAUTHORIZED,
        **CREDENTIALS,
    ),
    _refused(
        "password-asked-for-ever",
        "calls every nonce stale",
        scripted(
            DESCRIBE=lambda _c, a: answer(
                a, "401 Unauthorized", f'WWW-Authenticate: Digest realm="cam", nonce="n{a.number}", stale=true'
            )
        ),
        Reason.UNAUTHORIZED,
        **CREDENTIALS,
    ),
    _refused(
        "challenge-none",
        "answers 401 without a challenge",
        scripted(DESCRIBE=status("401 Unauthorized")),
        Reason.UNSUPPORTED_AUTH,
        **CREDENTIALS,
    ),
    _refused("gone", "has no such stream any more (410)", scripted(DESCRIBE=status("410 Gone")), Reason.NOT_FOUND),
    _refused(
        "not-found-at-setup",
        "has no such stream, as it finds at SETUP",
        scripted(SETUP=status("404 Not Found")),
        Reason.NOT_FOUND,
    ),
    _refused(
        "method-not-allowed",
        "does not know DESCRIBE",
        scripted(DESCRIBE=status("405 Method Not Allowed")),
        Reason.REJECTED,
    ),
    _refused("server-error", "answers 500", scripted(DESCRIBE=status("500 Internal Server Error")), Reason.REJECTED),
    _refused(
        "too-many-clients-at-describe",
        "serves as many viewers as it can (453 at DESCRIBE)",
        scripted(DESCRIBE=status("453 Not Enough Bandwidth")),
        Reason.TOO_MANY_CLIENTS,
    ),
    _refused(
        "no-transport-at-all",
        "refuses every transport",
        scripted(SETUP=status("461 Unsupported Transport")),
        Reason.UNSUPPORTED_TRANSPORT,
    ),
    _refused(
        "tcp-only-over-udp",
        "refuses UDP, where only UDP may be used",
        scripted(
            SETUP=lambda c, a: c.set_up(a) if "TCP" in a.header("transport") else answer(a, "461 Unsupported Transport")
        ),
        Reason.UNSUPPORTED_TRANSPORT,
        transport="udp",
    ),
    _refused("silent-at-describe", "does not answer DESCRIBE", scripted(DESCRIBE=silent), Reason.NO_ANSWER),
    _refused("redirect-nowhere", "redirects to no address", scripted(DESCRIBE=status("302 Moved")), Reason.BAD_ANSWER),
    _refused(
        "redirect-to-itself",
        "redirects to where it is",
        scripted(DESCRIBE=lambda _c, a: answer(a, "302 Moved", f"Location: {a.url}")),
        Reason.REDIRECT_LOOP,
    ),
    _refused(
        "describe-empty",
        "describes a session without media",
        whole_sdp("v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=x\r\nt=0 0\r\n"),
        Reason.BAD_STREAM,
    ),
    _refused(
        "metadata-alone",
        "sends metadata alone",
        whole_sdp(
            "v=0\r\ns=x\r\nm=application 0 RTP/AVP 107\r\na=rtpmap:107 vnd.onvif.metadata/90000\r\na=control:m\r\n"
        ),
        Reason.BAD_STREAM,
    ),
    _refused(
        "codec-vp9",
        "sends VP9",
        described("m=video 0 RTP/AVP 96\r\na=rtpmap:96 VP9/90000\r\na=control:track1\r\n"),
        Reason.UNSUPPORTED_CODEC,
    ),
    _refused(
        "codec-unnamed",
        "does not say what it sends",
        described("m=video 0 RTP/AVP 96\r\na=control:track1\r\n"),
        Reason.UNSUPPORTED_CODEC,
    ),
    _refused(
        "length-senseless",
        "announces a body of a negative length",
        scripted(DESCRIBE=lambda _c, a: answer(a, "200 OK", "Content-Type: application/sdp", "Content-Length: -5")),
        Reason.BAD_ANSWER,
    ),
)

VARIANTS: Final[tuple[FaultyCamera, ...]] = (*DIALOGUES, *FRAMINGS, *_matrix(), *STREAMS, *REFUSED)
