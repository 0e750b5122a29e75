"""RTSP messages."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sim import rtsp
from services.sim.rtsp import Interleaved, RtspRequest, RtspRequestParser, RtspSyntaxError

WIRE = (
    b"OPTIONS rtsp://h/cam-001/main RTSP/1.0\r\nCSeq: 1\r\n\r\n"
    b"$\x01\x00\x03abc"
    b"SET_PARAMETER rtsp://h/cam-001/main RTSP/1.0\r\ncseq:2\r\nContent-Length: 4\r\n\r\nbody\r\n"
    b"TEARDOWN rtsp://h/cam-001/main RTSP/1.0\r\nCSeq: 3\r\nSession: 12\r\n\r\n"
)


@given(st.lists(st.integers(0, len(WIRE)), max_size=12))
def test_messages_are_the_same_however_they_are_cut(cuts: list[int]) -> None:
    parser = RtspRequestParser()
    found: list[RtspRequest | Interleaved] = []
    edges = [0, *sorted(cuts), len(WIRE)]
    for begin, end in zip(edges, edges[1:], strict=False):  # noqa: RUF007 (pairs of edges)
        found += parser.feed(WIRE[begin:end])
    assert [type(each).__name__ for each in found] == ["RtspRequest", "Interleaved", "RtspRequest", "RtspRequest"]
    first, packet, second, third = found
    assert isinstance(first, RtspRequest)
    assert isinstance(second, RtspRequest)
    assert isinstance(third, RtspRequest)
    assert packet == Interleaved(1, b"abc")
    assert (first.method, first.headers["cseq"]) == ("OPTIONS", "1")
    assert (second.headers["cseq"], second.body) == ("2", b"body")
    assert third.headers["session"] == "12"


@given(st.binary(max_size=400))
def test_garbage_is_refused_or_waited_for(data: bytes) -> None:
    # passes if nothing raises
    with suppress(RtspSyntaxError):
        list(RtspRequestParser().feed(data))


@pytest.mark.parametrize(
    "data",
    [b"HELLO\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"A b RTSP/1.0\r\nno colon\r\n\r\n",
     b"A b RTSP/1.0\r\nContent-Length: -1\r\n\r\n", b"A b RTSP/1.0\r\nContent-Length: 99999999\r\n\r\n",
     b"\xff\xfe RTSP/1.0\r\n\r\n", b"A" * 20_000],
)  # fmt: skip
def test_what_is_no_rtsp_is_refused(data: bytes) -> None:
    with pytest.raises(RtspSyntaxError):
        list(RtspRequestParser().feed(data))


def test_transport_offers_keep_the_clients_order_and_leave_out_multicast() -> None:
    offers = rtsp.transport_offers(
        "RTP/AVP;multicast,RTP/AVP;unicast;client_port=5000-5001,RAW/RAW/UDP,RTP/AVP/TCP;interleaved=4-5"
    )
    assert [offer.tcp for offer in offers] == [False, True]
    assert offers[0].pair("client_port") == (5000, 5001)
    assert offers[1].pair("interleaved") == (4, 5)


@pytest.mark.parametrize(
    ("value", "pair"),
    [("6", (6, 7)), ("250-260", None), ("a-b", None), ("", None), ("²-3", None)],
)
def test_port_pairs_that_make_no_sense_are_none(value: str, pair: tuple[int, int] | None) -> None:
    (offer,) = rtsp.transport_offers(f"RTP/AVP/TCP;interleaved={value}")
    assert offer.pair("interleaved") == pair


def test_a_response_counts_its_body() -> None:
    wire = rtsp.response(200, "7", {"Session": "1"}, b"v=0")
    assert wire.startswith(b"RTSP/1.0 200 OK\r\nCSeq: 7\r\n")
    assert b"Content-Length: 3\r\n" in wire
    assert wire.endswith(b"\r\n\r\nv=0")
