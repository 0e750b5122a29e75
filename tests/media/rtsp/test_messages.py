"""RTSP messages: heads parsed leniently, written exactly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.media.rtsp.messages import (
    RtspHeaders,
    RtspRequest,
    RtspResponse,
    RtspSyntaxError,
    TransportOption,
    parse_head,
    parse_session,
    parse_transports,
)


def test_a_request_is_written_and_read_back() -> None:
    headers = RtspHeaders({"CSeq": "7", "user-agent": "x"})
    request = RtspRequest("SETUP", "rtsp://h/1", headers, b"body")
    wire = request.pack()
    assert wire == b"SETUP rtsp://h/1 RTSP/1.0\r\nCSeq: 7\r\nUser-Agent: x\r\nContent-Length: 4\r\n\r\nbody"
    read = parse_head(wire[: wire.index(b"\r\n\r\n")])
    assert isinstance(read, RtspRequest)
    assert (read.method, read.url, read.headers.get("cseq")) == ("SETUP", "rtsp://h/1", "7")


@pytest.mark.parametrize(
    "head",
    [
        b"RTSP/1.0 200 OK\r\nCSeq: 2\r\nX-Y:z",
        b"RTSP/1.0 200 OK\nCSeq:2",
        b"RTSP/1.0  200\r\ncseq :   2 ",
        b"RTSP/1.0 200 OK\r\nno colon here\r\nCSeq: 2",
        b"RTSP/1.0 200 D\xe9j\xe0\r\nServer: \xff\xfe\r\nCSeq: 2",
    ],
)
def test_heads_as_cameras_write_them_are_read(head: bytes) -> None:
    response = parse_head(head)
    assert isinstance(response, RtspResponse)
    assert response.status == 200
    assert response.headers.get("cseq") == "2"


def test_a_folded_line_belongs_to_the_one_before() -> None:
    response = parse_head(b"RTSP/1.0 401 No\r\nWWW-Authenticate: Digest a=1,\r\n  b=2\r\nWWW-Authenticate: Basic")
    assert response.headers.all("www-authenticate") == ["Digest a=1, b=2", "Basic"]


@pytest.mark.parametrize(
    "head", [b"", b"HTTP/1.1 400 Bad Request", b"SSH-2.0-OpenSSH", b"RTSP/1.0 OK", b"get x RTSP/1.0"]
)
def test_what_is_no_rtsp_is_refused(head: bytes) -> None:
    with pytest.raises(RtspSyntaxError):
        parse_head(head)


@given(st.binary(max_size=300))
def test_any_head_is_read_or_refused(head: bytes) -> None:
    try:
        message = parse_head(b"RTSP/1.0 200 OK\r\n" + head)
    except RtspSyntaxError:
        pytest.fail("its first line is well")
    assert isinstance(message, RtspResponse)


@pytest.mark.parametrize(
    ("header", "pair"),
    [
        ("RTP/AVP/TCP;unicast;interleaved=2-3", (2, 3)),
        ("RTP/AVP;unicast;interleaved=4", (4, 5)),
        ("RTP/AVP/TCP; Interleaved = 0-1 ;ssrc=1", (0, 1)),
        ("RTP/AVP/TCP;interleaved=300-301", None),
        ("RTP/AVP/TCP;interleaved=x-y", None),
        ("RTP/AVP/TCP", None),
    ],
)
def test_channels_of_a_transport(header: str, pair: tuple[int, int] | None) -> None:
    assert parse_transports(header)[0].pair("interleaved") == pair


def test_the_parts_of_a_transport() -> None:
    one, two = parse_transports("RTP/AVP;multicast;destination=224.1.1.1,RTP/AVP/TCP;unicast;ssrc=0000BEEF")
    assert (one.multicast, one.tcp, two.multicast, two.tcp, two.ssrc) == (True, False, False, True, 0xBEEF)
    assert parse_transports(" , ") == []
    assert TransportOption("RTP/AVP", {"ssrc": "what"}).ssrc is None


@pytest.mark.parametrize(
    ("header", "session"),
    [
        ("abc;timeout=30", ("abc", 30.0)),
        ("abc; Timeout = 30 ", ("abc", 30.0)),
        ("abc", ("abc", None)),
        ("abc;timeout=soon", ("abc", None)),
        ("abc;timeout=60;x", ("abc", 60.0)),
    ],
)
def test_sessions(header: str, session: tuple[str, float | None]) -> None:
    assert parse_session(header) == session
