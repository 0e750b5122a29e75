"""Fuzzes the parsers of `services.media` that read what cameras send. For developers: `pip install atheris` first.

    python -m tools.fuzz_media TARGET [libFuzzer arguments, such as -max_total_time=600]

A target may raise the error that it declares and no other, and may not hold more than its bound.
"""

import sys
from collections.abc import Callable
from contextlib import suppress

import atheris

with atheris.instrument_imports(include=["services.media"]):
    from services.media.depacketize.formats import make_depacketizer
    from services.media.depacketize.nal_units import MAX_UNIT_BYTES, NalDepacketizer
    from services.media.depacketize.unit_sink import ArrivalClock
    from services.media.rtp_track import RtcpReceiver, RtpTrack
    from services.media.rtsp.addresses import RtspAddressError, base_path, control_urls, parse_address, redirected
    from services.media.rtsp.auth import Authorizer, parse_challenges, strongest
    from services.media.rtsp.dialogue import DialogueWishes, RtspDialogue
    from services.media.rtsp.framing import BUFFER_BYTES, RtspFramer
    from services.media.rtsp.messages import RtspSyntaxError, parse_session, parse_transports
    from services.media.sdp import RtpFormat, SdpError, parse_sdp

ENCODINGS = ("h264", "h265", "jpeg", "mpeg4-generic", "mp4a-latm", "pcmu")
HBR = {"sizelength": "13", "indexlength": "3", "indexdeltalength": "3", "config": "1408"}
DESCRIPTION = b"v=0\nm=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\n"


def _ignore(*_: object) -> None:
    return


def framing(data: bytes) -> None:
    """A connection's bytes, cut at places that the first bytes say, with a track on channels 0 and 1."""
    media = parse_sdp(DESCRIPTION).media[0]
    track = RtpTrack(media, media.formats, ArrivalClock(), _ignore, _ignore)
    framer = RtspFramer(_ignore, _ignore)
    framer.add_receiver(0, track.receiver, track.receiver.receive_pictures)
    framer.add_receiver(1, RtcpReceiver(track))
    step = data[0] + 1 if data else 1
    try:
        for at in range(1, len(data), step):
            framer.feed(data[at : at + step])
            if not at % 7:
                framer.settle()
    except RtspSyntaxError:
        return
    assert framer.pending_bytes <= BUFFER_BYTES


def dialogue(data: bytes) -> None:
    """Any bytes as a server's answers."""
    wishes = DialogueWishes(audio=True, username="user", password="word", open_ports=lambda: (5000, 5001))
    one = RtspDialogue(parse_address("rtsp://camera/1"), wishes, on_track=_ignore)
    framer = RtspFramer(lambda message: one.received(message, 1.0))
    one.start(0.0)
    sent = 0
    try:
        for at in range(0, len(data), 64):
            framer.feed(data[at : at + 64])
            framer.settle()
            one.tick(float(at))
            sent += len(one.take_output())
    except RtspSyntaxError:
        return
    if one.goes_on_after_loss():
        one.start(float(len(data)))
        assert not one.goes_on_after_loss(), "one connection more, and no further"
    assert sent < 10_000 + 500 * len(data)


def texts(data: bytes) -> None:
    """Headers, addresses and descriptions."""
    text = data.decode("utf-8", "replace")
    parse_transports(text)
    parse_session(text)
    challenge = strongest(parse_challenges([text]))
    if challenge is not None:
        Authorizer(challenge, "user", "word", lambda: "c").header("PLAY", "rtsp://camera/1")
    address = parse_address("rtsp://camera/live?x=1")
    control_urls(address, base_path(address, text), text)
    with suppress(RtspAddressError):
        parse_address(text)
    with suppress(RtspAddressError):
        redirected(address, text)
    try:
        description = parse_sdp(data)
    except SdpError:
        return
    for media in description.media:
        for known in media.formats:
            if known.encoding in ENCODINGS:
                make_depacketizer(known, _ignore, ArrivalClock())


def payloads(data: bytes) -> None:
    """RTP payloads of every format: a length byte and flags in front of each."""
    if not data:
        return
    encoding = ENCODINGS[data[0] % len(ENCODINGS)]
    one = make_depacketizer(RtpFormat(96, encoding, 90_000, 1, HBR), _ignore, ArrivalClock())
    at = 1
    while at + 2 <= len(data):
        size, flags = data[at], data[at + 1]
        payload = bytearray(data[at + 2 : at + 2 + size])
        if flags & 2:
            one.lose()
        one.push(payload, 0, len(payload), bool(flags & 1), flags >> 4)
        at += 2 + size
    if isinstance(one, NalDepacketizer):
        assert one.held_bytes <= MAX_UNIT_BYTES
    one.flush(float("inf"))


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target for target in (framing, dialogue, texts, payloads)
}


def main() -> None:
    """Runs one target until libFuzzer ends it."""
    target = TARGETS[sys.argv[1]]
    atheris.Setup([sys.argv[0], *sys.argv[2:]], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
