"""libav's trace: what it says of an opening, as FFmpeg 8.1 words it."""

import pytest

from services.contracts.models import Reason
from services.ingest.readers.libav_errors import end_from_trace
from services.ingest.readers.libav_trace import MAX_HEADER_LINES, LibavTrace
from services.ingest.readers.source import Source

SOURCE = Source("rtsp://10.1.2.3/s?x=1")


def traced(*lines: str) -> LibavTrace:
    trace = LibavTrace()
    for line in lines:
        trace.feed(line)
    return trace


def test_the_dialogue_is_followed_to_the_answer_that_failed() -> None:
    trace = traced(
        "[tcp @ 0x56] Successfully connected to 10.1.2.3 port 554",
        "[rtsp @ 0x56] Sending:",
        "DESCRIBE rtsp://10.1.2.3/s RTSP/1.0",
        "[rtsp @ 0x56] ret=1 c=52 [R]",
        "[rtsp @ 0x56] line='RTSP/1.0 200 OK'",
        "[rtsp @ 0x56] line=''",
        "[rtsp @ 0x56] sdp: m='video 0 RTP/AVP 96'",
        "[rtsp @ 0x56] sdp: a='rtpmap:96 H264/90000'",
        "SETUP rtsp://10.1.2.3/s/t0 RTSP/1.0",
        "[rtsp @ 0x56] line='RTSP/1.0 453 Not Enough Bandwidth'",
        "TEARDOWN rtsp://10.1.2.3/s RTSP/1.0",
        "[rtsp @ 0x56] line='RTSP/1.0 200 OK'",
    )
    assert (trace.connected, trace.method, trace.status, trace.media, trace.codecs) == (
        True, "SETUP", 453, ["video"], ["H264"],
    )  # fmt: skip
    end = end_from_trace(trace, SOURCE)
    assert end is not None
    assert end.reason is Reason.TOO_MANY_CLIENTS


def test_challenges_that_libav_can_answer_are_told_from_those_it_cannot() -> None:
    for challenges, known in (
        (['Digest realm="x", nonce="n", algorithm=SHA-256'], False),
        (['Digest realm="x", nonce="n", algorithm="SHA-512-256"'], False),
        (['Digest realm="x", nonce="n"'], True),
        (['Digest realm="x", nonce="n", algorithm=MD5'], True),
        (['Digest realm="x", algorithm=SHA-256', 'Basic realm="x"'], True),
        (["Bearer"], False),
    ):
        trace = traced(*(f"[rtsp @ 0] line='WWW-Authenticate: {challenge}'" for challenge in challenges))
        assert trace.known_challenge is known, challenges


def test_a_header_without_an_end_is_noticed_and_two_answers_are_not_taken_for_one() -> None:
    line = "[rtsp @ 0x56] line='X-Filler: a'"
    assert traced(*[line] * (MAX_HEADER_LINES + 1)).endless
    answer = [*[line] * (MAX_HEADER_LINES // 2), "[rtsp @ 0x56] line=''"]
    assert not traced(*answer, *answer, *answer).endless


def test_lost_packets_are_counted() -> None:
    trace = traced("[rtsp @ 0] RTP: missed 3 packets", "[rtsp @ 0] RTP: PT=60: bad cseq 0004 expected=0002")
    assert trace.missed_packets == 4


@pytest.mark.parametrize(
    "line",
    [
        "[tls @ 0x56] Unable to verify peer certificate: Error in the certificate.",
        "[tls @ 0x56] Peer certificate failed verification",
        "[tls @ 0x56] The certificate's owner does not match hostname 10.1.2.3",
    ],
)
def test_a_certificate_that_is_not_trusted_is_told_as_such(line: str) -> None:
    end = end_from_trace(traced("[tcp @ 0x56] Successfully connected to 10.1.2.3 port 322", line), SOURCE)
    assert end is not None
    assert end.reason is Reason.BAD_CERTIFICATE
