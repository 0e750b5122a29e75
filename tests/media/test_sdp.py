"""Session descriptions as cameras write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.media.sdp import SdpError, decode_sets, encode_sets, parse_sdp


def video(*lines: str) -> bytes:
    return ("v=0\r\ns=x\r\n" + "".join(line + "\r\n" for line in lines)).encode()


def test_a_description() -> None:
    found = parse_sdp(
        video(
            "a=control:rtsp://h/live",
            "m=video 0 RTP/AVP 96 97",
            "a=rtpmap:96 H264/90000",
            "a=rtpmap:97 rtx/90000",
            "a=fmtp:96 packetization-mode=1; Sprop-Parameter-Sets=Z0I=,aM4=",
            "a=control:trackID=1",
            "m=audio 0 RTP/AVP 98",
            "a=rtpmap:98 mpeg4-generic/16000/2",
        )
    )
    assert found.control == "rtsp://h/live"
    picture, sound = found.media
    assert (picture.kind, picture.control, picture.formats[0].encoding) == ("video", "trackID=1", "h264")
    assert picture.formats[0].parameters["sprop-parameter-sets"] == "Z0I=,aM4="
    assert (sound.formats[0].clock_rate_hz, sound.formats[0].channels) == (16_000, 2)
    assert picture.format_of(97) is not None


@pytest.mark.parametrize("line_end", ["\r\n", "\n", "\r", "\n\n"])
def test_lines_may_end_in_any_way(line_end: str) -> None:
    body = line_end.join(["v=0", "m=video 0 RTP/AVP 96", "a=rtpmap:96 H265/90000"])
    assert parse_sdp(b"\xef\xbb\xbf" + body.encode() + b"\0").media[0].formats[0].encoding == "h265"


@pytest.mark.parametrize(
    ("lines", "encoding", "rate"),
    [
        (("m=video 0 RTP/AVP 26",), "jpeg", 90_000),
        (("m=audio 0 RTP/AVP 8",), "pcma", 8000),
        (("m=video 0 RTP/AVP 26", "a=rtpmap:26 H264/90000"), "h264", 90_000),
        (("m=video 0 RTP/AVP 35", "a=rtpmap:35 H264"), "h264", 90_000),
        (("m=video 0 RTP/AVP 96", "a=fmtp:96 sprop-parameter-sets=Z0I="), "h264", 90_000),
        (("m=video 0 RTP/AVP 96", "a=fmtp:96 sprop-vps=QAE="), "h265", 90_000),
        (("m=video 0 RTP/AVP 96",), "", 90_000),
        (("m=audio 0 RTP/AVP 0", "a=rtpmap:0 PCMU/16000"), "pcmu", 16_000),
    ],
)
def test_payload_types_are_what_the_description_or_their_number_says(
    lines: tuple[str, ...], encoding: str, rate: int
) -> None:
    known = parse_sdp(video(*lines)).media[0].formats[0]
    assert (known.encoding, known.clock_rate_hz) == (encoding, rate)


def test_a_cut_description_is_told_as_broken() -> None:
    assert parse_sdp(video("m=vid")).broken
    assert not parse_sdp(video("m=video 0 RTP/AVP 96")).broken


@pytest.mark.parametrize("body", [b"", b"<html>", b"\0\0\0"])
def test_what_is_no_description_is_refused(body: bytes) -> None:
    with pytest.raises(SdpError):
        parse_sdp(body)


def test_parameter_sets_that_cannot_be_read_are_left_out() -> None:
    assert decode_sets("Z0I=, aM4 ,###,,Z0I") == [b"gB", b"h\xce", b"gB"]
    assert decode_sets(encode_sets([b"\x67\1", b"\x68\2"])) == [b"\x67\1", b"\x68\2"]


@given(st.text(max_size=400))
def test_any_description_is_read_or_refused(text: str) -> None:
    for body in (text, "v=0\nm=video 0 RTP/AVP 96\na=" + text, "v=0\nm=" + text):
        try:
            parse_sdp(body.encode())
        except SdpError:
            continue
